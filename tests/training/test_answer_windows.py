"""Questions as windows of tokens: answers are found again, no part of a context is lost, and masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codesign.errors import InputError
from codesign.text.squad import Answer, Question
from codesign.text.tokenizer import Tokenizer, shipped_tokenizer
from codesign.training.answer_windows import AnswerSet, answer_set, answer_spans, learned_from
from codesign.training.answers_table import AnswersTable

WINDOW = 24
TABLE = AnswersTable(question=5, stride=7, answer=4, context=0, unanswerable=True, empty_windows=1.0)

WORDS = st.lists(st.text("ab,.'é😀Z1 \n", min_size=1, max_size=6), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The smaller shipped one."""
    return shipped_tokenizer("sotu", 2048)


def one_question(data: st.DataObject) -> Question:
    """A question with one or two answers anywhere in a context of letters of one to four bytes."""
    context = " ".join(data.draw(WORDS))
    assume(context.strip())
    answers = []
    for _ in range(data.draw(st.integers(1, 2))):
        start = data.draw(st.integers(0, len(context) - 1))
        text = context[start : data.draw(st.integers(start + 1, min(len(context), start + 12)))]
        assume(text.strip())
        answers.append(Answer(text, start))
    return Question("q", context, "".join(data.draw(WORDS)), tuple(answers))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_answers_are_found_again(data: st.DataObject, tokenizer: Tokenizer) -> None:
    """The tokens of an answer hold all of it, and one token fewer would not."""
    one = one_question(data)
    _, places = tokenizer.encode_with_places([one.context])[0]
    for answer, (first, last) in zip(one.answers, answer_spans(one, places), strict=True):
        assert places[first, 0] <= answer.start < places[first, 1]
        assert places[last, 0] < answer.start + len(answer.text) <= places[last, 1]
        assert answer.text.strip() in AnswerSet((one,), (places,), None).text(0, first, last)  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_windows_hold_the_context_and_point_at_the_answer(data: st.DataObject, tokenizer: Tokenizer) -> None:
    """Windows together are the context, at multiples of the stride; targets are answers, 0 where none fits."""
    one = one_question(data)
    tokens, places = tokenizer.encode_with_places([one.context])[0]
    spans = answer_spans(one, places)
    windows = answer_set([one], tokenizer, TABLE, WINDOW).windows
    covered = np.zeros(len(tokens), dtype=bool)
    for row, length, at, offset, start, end, number in zip(*windows.numbers(), strict=True):
        assert (row[0], row[at - 1], number, offset % TABLE.stride) == (tokenizer.end, tokenizer.end, 0, 0)
        count = length - at
        np.testing.assert_array_equal(row[at:length], tokens[offset : offset + count])
        covered[offset : offset + count] = True
        held = [(a, b) for a, b in spans if offset <= a and b < offset + count]
        assert (start > 0) == bool(held)
        assert not held or (start - at + offset, end - at + offset) in held
    assert covered.all()
    room = WINDOW - TABLE.question - 2
    if any(b - a <= room - TABLE.stride for a, b in spans):
        assert (windows.starts > 0).any()


def test_answers_at_words_come_back_exactly(tokenizer: Tokenizer) -> None:
    """Answers that are whole words are the text of their tokens, without the space before."""
    context = "Beyoncé ☺ was born in Houston, Texas, in 1981."
    for text in ("Beyoncé", "☺", "Houston, Texas", "1981", "Texas"):
        one = Question("q", context, "?", (Answer(text, context.index(text)),))
        whole = answer_set([one], tokenizer, TABLE, 64)
        ((first, last),) = answer_spans(one, whole.places[0])
        assert whole.text(0, first, last) == text


def test_masks_allow_the_context_and_the_first_token(tokenizer: Tokenizer) -> None:
    """No answer starts in the question, at the separator, or in the padding."""
    questions = [Question("a", "one two three", "who is it?", ()), Question("b", "four", "?", ())]
    windows = answer_set(questions, tokenizer, TABLE, WINDOW).windows
    batch = windows.batch("cpu")
    assert batch.tokens.shape[1] == windows.lengths.max()
    for allowed, real, at, length in zip(batch.allowed, batch.real, windows.contexts, windows.lengths, strict=True):
        expected = {0, *range(at, length)}
        assert set(np.flatnonzero(allowed.numpy())) == expected
        assert real.sum() == length


def test_long_questions_keep_what_is_around_the_blank(tokenizer: Tokenizer) -> None:
    """Of a long question the first tokens are kept; of one with a blank, those on both sides of it."""
    words = [f"{letter}{letter}" for letter in "abcdefghijklmnop"]
    blank = " ".join([*words[:9], "____", *words[9:]])
    for text, wanted in ((" ".join(words), tokenizer.encode(" ".join(words))[:5]), (blank, None)):
        windows = answer_set([Question("q", "x y", text, ())], tokenizer, TABLE, WINDOW).windows
        kept = windows.tokens[0, 1 : windows.contexts[0] - 1]
        assert len(kept) == TABLE.question
        if wanted is not None:
            np.testing.assert_array_equal(kept, wanted)
        else:
            assert "__" in tokenizer.decode(kept[1:4])


def test_which_windows_are_learned_from(tokenizer: Tokenizer) -> None:
    """All with an answer and all of questions without one; of the others a share, evenly spread."""
    long = " ".join(f"word{i}" for i in range(40))
    questions = [Question("a", long, "?", (Answer("word39", long.index("word39")),)), Question("b", long, "?", ())]
    whole = answer_set(questions, tokenizer, TABLE, WINDOW)
    first, held = whole.windows.questions == 0, whole.windows.starts > 0
    assert held.any()
    assert not held[~first].any()
    for share in (0.0, 0.5, 1.0):
        seen = learned_from(whole, share)
        assert seen[held | ~first].all()
        empty = first & ~held
        assert (seen & empty).sum() == round(share * empty.sum())


def test_some_questions_keep_their_windows(tokenizer: Tokenizer) -> None:
    """Evenly spread questions are numbered anew, with the windows and texts that they had."""
    contexts = [f"context number {i} " + "and more " * (5 * i) for i in range(5)]
    whole = answer_set([Question(str(i), one, "?", ()) for i, one in enumerate(contexts)], tokenizer, TABLE, WINDOW)
    some = whole.spread(3)
    assert [one.id for one in some.questions] == ["0", "2", "4"]
    for new, old in enumerate((0, 2, 4)):
        ours, theirs = some.windows.tokens[some.windows.questions == new], whole.windows.tokens[
            whole.windows.questions == old
        ]  # fmt: skip
        np.testing.assert_array_equal(ours, theirs)
        assert some.text(new, 0, 2) == whole.text(old, 0, 2)
    assert len(whole.spread(99)) == 5


def test_empty_contexts_are_refused(tokenizer: Tokenizer) -> None:
    """The question is named."""
    with pytest.raises(InputError, match="question 'b': expected a context, got an empty one"):
        answer_set([Question("a", "x", "?", ()), Question("b", " ", "?", ())], tokenizer, TABLE, WINDOW)
