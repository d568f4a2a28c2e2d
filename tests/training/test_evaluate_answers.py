"""What a network answers: the surest span of all windows, or that there is none, and how that is scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.elastic.architecture import Architecture, largest
from codesign.elastic.setting import Setting
from codesign.elastic.transformer import Elastic
from codesign.errors import InputError
from codesign.text.squad import Answer, Question
from codesign.text.tokenizer import shipped_tokenizer
from codesign.training import evaluate_answers as module
from codesign.training.answer_windows import AnswerSet, answer_set
from codesign.training.answers_table import AnswersTable
from codesign.training.evaluate_answers import MeasuredAnswers, evaluate_answers, surest_spans

TABLE = AnswersTable(question=4, stride=8, answer=3, context=0, unanswerable=True, empty_windows=1.0)
CONTEXT = " ".join(f"{word} of Texas" for word in ("Houston", "Congress", "Senate", "Mexico", "Ohio", "Treasury"))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(1, 12))
def test_the_surest_span_is_that_of_plain_search(seed: int, width: int, most: int) -> None:
    """Of all spans in the context that are not too long and do not end before they start, the best sum."""
    rng = np.random.default_rng(seed)
    starts, ends = rng.normal(size=(2, 3, width))
    contexts = rng.integers(1, width, 3)
    lengths = np.array([rng.integers(at + 1, width + 1) for at in contexts])
    score, first, last = surest_spans(starts, ends, contexts, lengths, most)
    for row in range(3):
        inside = range(contexts[row], lengths[row])
        spans = {(a, b): starts[row, a] + ends[row, b] for a in inside for b in inside if a <= b < a + most}
        assert (first[row], last[row]) == max(spans, key=spans.__getitem__)
        assert score[row] == pytest.approx(max(spans.values()))


def questions(unanswerable: int = 1) -> AnswerSet:
    """Three questions on contexts of some windows, one of them without an answer."""
    texts = ["Houston", "Treasury of Texas"]
    found = [Question(text, CONTEXT, "who?", (Answer(text, CONTEXT.index(text)),)) for text in texts]
    none = [Question(f"none {i}", CONTEXT, "who?", ()) for i in range(unanswerable)]
    return answer_set([*found, *none], shipped_tokenizer("sotu", 2048), TABLE, 20)


def network() -> tuple[Elastic, Setting]:
    """A network with an answer head, untrained."""
    a = Architecture(stack="encoder", vocabulary=2048, context=20, hidden=8, layers=2, heads=2, head_width=4, ffn=8,
                     task="span_answers")  # fmt: skip
    return Elastic(a, seed=1).eval(), largest(a)


def test_neighbours_and_padding_never_matter() -> None:
    """Answers and losses are the same whatever else is in a batch."""
    model, whole = network()
    together, alone = (evaluate_answers(model, whole, questions(), TABLE, batch) for batch in (64, 1))
    assert together.answers == alone.answers
    np.testing.assert_allclose(together.losses, alone.losses, atol=1e-5)


def test_a_question_without_answer_needs_every_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is given where the first token is surer than the surest span in all windows, and where that is possible."""
    chosen = questions()
    windows = chosen.windows
    at = windows.contexts
    score, nowhere = np.full(len(windows), -3.0), np.full(len(windows), -1.0)
    first_of = np.searchsorted(windows.questions, np.arange(3))
    second = first_of[1] + 1
    score[second], nowhere[second] = -0.5, -2.0
    found = module._Found(score, at, at, nowhere, np.arange(len(windows), dtype=float))
    monkeypatch.setattr(module, "_found", lambda *_: found)
    measured = evaluate_answers(*network(), chosen, TABLE, 8)
    place = int(windows.offsets[second])
    assert measured.answers == ("", chosen.text(1, place, place), "")
    assert measured.losses[1] == np.flatnonzero(windows.questions == 1).mean()
    measured = evaluate_answers(*network(), chosen, replace_table(unanswerable=False), 8)
    assert measured.answers[0] == chosen.text(0, 0, 0)


def replace_table(**changes: bool) -> AnswersTable:
    """The table with something changed."""
    return AnswersTable(**({name: getattr(TABLE, name) for name in TABLE.__struct_fields__} | changes))


def test_scores_by_hand() -> None:
    """One less F1 over words, of the nearest right answer; exact match without case and punctuation."""
    asked = questions().questions
    one = MeasuredAnswers(asked, ("houston.", "Treasury", ""), np.zeros(3))
    np.testing.assert_allclose(one.errors, [0.0, 1 - 2 * 1 / (3 + 1), 0.0])
    np.testing.assert_allclose(one.exact, [1, 0, 1])
    assert replace(one, answers=("Ohio", "", "Texas")).errors.tolist() == [1, 1, 1]


def test_no_question_is_refused() -> None:
    """There is nothing to measure."""
    with pytest.raises(InputError, match="expected at least one question"):
        evaluate_answers(*network(), questions().spread(0), TABLE, 8)
