"""Questions as a task: windows, spans, what a fine-tune does, and what `codesign prune` writes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from typer.testing import CliRunner

from codesign.cli import app
from codesign.errors import InputError
from codesign.pretrained.answerer import read_answerer
from codesign.pretrained.answering import ANSWER, answering, answers_of, fit_span_head, span_logits, span_losses
from codesign.pretrained.checkpoint import published_answer_head, read_checkpoint
from codesign.pretrained.classification import read_tokenizer
from codesign.pretrained.head import Head, write_head
from codesign.pretrained.objective import Network, Objective
from codesign.pretrained.question_windows import Window, batch_of, target, windows_of
from codesign.pretrained.recovery import fine_tuned, published
from codesign.pretrained.user_task import held_out_contexts
from codesign.text.squad import Question
from codesign.text.squad_metrics import squad_metrics
from tests.pretrained.networks import publish
from tests.pretrained.questions import ANSWERERS, publish_answerer, questions, write_question_tokenizer, write_squad

LENGTH = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that answers, of each kind, each with its tokenizer."""
    made = tmp_path_factory.mktemp("answerers")
    for kind in ANSWERERS:
        publish_answerer(kind, made / kind)
        write_question_tokenizer(made / kind)
    return made


def answerer(directory: Path) -> Network:
    """Return a published network with its head."""
    checkpoint = read_checkpoint(directory)
    head = published_answer_head(directory, checkpoint)
    assert head is not None
    return Network(checkpoint, head)


def cut(asked: list[Question], directory: Path) -> tuple[list[Question], list[Window]]:
    """Return questions and their windows."""
    return asked, windows_of([(one.question, one.context) for one in asked], read_tokenizer(directory), LENGTH)


def test_windows_show_every_word_of_a_context(folder: Path) -> None:
    """Long contexts are seen in overlapping windows, whose tokens know their characters; long questions are cut."""
    asked, windows = cut(questions(40), folder / "bert")
    assert len(windows) > len(asked)
    for i, one in enumerate(asked):
        mine = [window for window in windows if window.question == i]
        seen = {window.offsets[place] for window in mine for place in window.context}
        assert [one.context[start:end] for start, end in sorted(seen)] == one.context.split()
        assert all(len(window.tokens) <= LENGTH and window.tokens[window.none] == 2 for window in mine)
        assert len(mine) == 1 or set(mine[0].offsets) & set(mine[1].offsets[mine[1].context.start :])
    (window,) = windows_of([("word1 " * 50, "red blue")], read_tokenizer(folder / "bert"), LENGTH)
    assert len(window.tokens) == LENGTH // 4 + 3 + 2


def test_targets_are_the_answers(folder: Path) -> None:
    """In a window that holds an answer whole, the target spans its text; in others, and without one, it is none."""
    asked, windows = cut(questions(40), folder / "bert")
    found = set()
    for window in windows:
        one = asked[window.question]
        first, last = target(window, next(iter(one.answers), None))
        if (first, last) != (window.none, window.none):
            assert one.context[window.offsets[first][0] : window.offsets[last][1]] == one.answers[0].text
            found.add(one.id)
    assert found == {one.id for one in asked if not one.impossible}


@pytest.mark.parametrize("kind", ANSWERERS)
def test_logits_are_those_of_transformers(kind: str, folder: Path, tmp_path: Path) -> None:
    """Head, segments and padding are read as transformers' own network of the checkpoint reads them."""
    theirs = publish_answerer(kind, tmp_path / kind)
    network = answerer(folder / kind)
    batch = batch_of(cut(questions(8), folder / kind)[1], torch.device("cpu"))
    inputs = {"input_ids": batch.tokens, "attention_mask": batch.real.long()}
    if kind != "distilbert":
        inputs["token_type_ids"] = batch.segments
    with torch.no_grad():
        ours, expected = span_logits(network, batch), theirs(**inputs)
    possible = batch.context | batch.none
    for side, logits in enumerate((expected.start_logits, expected.end_logits)):
        torch.testing.assert_close(ours[..., side][possible], logits[possible], rtol=1e-4, atol=1e-4)
        assert (ours[..., side][~possible] < -1e30).all()


def test_answers_are_the_best_of_all_spans(folder: Path) -> None:
    """No other span of any window has larger logits; none is given where no span has as large ones as it."""
    network = answerer(folder / "bert")
    short = [Question(f"s{i}", f"word{i}", "word1", ()) for i in range(20)]
    asked, windows = cut([*questions(20), *short], folder / "bert")
    contexts = [one.context for one in asked]
    always, sometimes = (answers_of(network, contexts, windows, none) for none in (False, True))
    for i, context in enumerate(contexts):
        spans: dict[str, float] = {}
        without = math.inf
        for window in (window for window in windows if window.question == i):
            with torch.no_grad():
                logits = span_logits(network, batch_of([window], torch.device("cpu")))[0].tolist()
            without = min(without, sum(logits[window.none]))
            for first in window.context:
                for last in range(first, min(first + ANSWER, window.context.stop)):
                    text = context[window.offsets[first][0] : window.offsets[last][1]]
                    spans[text] = max(spans.get(text, -math.inf), logits[first][0] + logits[last][1])
        best = max(spans.values())
        assert spans[always[i] or ""] == pytest.approx(best, rel=1e-4)
        assert sometimes[i] == ("" if without > best else always[i])
    assert "" in sometimes
    assert len(set(sometimes)) > 2


def task(directory: Path, head: torch.nn.Linear | None = None) -> Objective:
    """Return the task of learning from some questions and being measured on others."""
    asked = questions(160)
    return answering(cut(asked[:120], directory), cut(asked[120:], directory), batch=16, seed=0, head=head)


def test_fine_tune_learns_to_answer(folder: Path) -> None:
    """Steps on the task raise F1 and exact matches of held-out questions, of which some have no answer."""
    objective = task(folder / "bert")
    network = published(read_checkpoint(folder / "bert"), objective, 0, 1e-3)
    after = fine_tuned(network, objective, 80, 5e-3)
    assert objective.scores(after).mean() > objective.scores(network).mean() + 0.2
    assert objective.scores(after).mean() > 0.7
    exact = objective.details(after)["exact_match"]
    assert 0.5 < exact <= objective.scores(after).mean()


def test_fitted_head_is_likelier_than_none(folder: Path) -> None:
    """A new head makes the answers likelier than equal logits do; that of the checkpoint is used as it is."""
    network = answerer(folder / "albert")
    asked, windows = cut(questions(40), folder / "albert")
    gold = np.array([target(window, next(iter(asked[window.question].answers), None)) for window in windows])
    head = fit_span_head(network.checkpoint, windows, gold)
    equal = torch.nn.Linear(24, 2)
    torch.nn.init.zeros_(equal.weight)
    new, zero = (span_losses(Network(network.checkpoint, one), windows, gold).mean() for one in (head, equal))
    assert new < zero - 0.1
    assert network.head is not None
    used = published(network.checkpoint, task(folder / "albert", network.head), 0, 1e-3).head
    assert used is not None
    assert torch.equal(used.weight, network.head.weight)


def test_network_of_no_numbers_has_no_answers(folder: Path) -> None:
    """Spans from NaN are not scored as if they were answers."""
    network = answerer(folder / "bert")
    assert network.head is not None
    network.head.weight.data.fill_(math.nan)
    assert np.isnan(task(folder / "bert").scores(network)).all()


def prune(folder: Path, kind: str, asked: list[Question], *options: object) -> dict[str, object]:
    """Cut a checkpoint with the verb, and return what it printed."""
    write_squad(folder.parent / "task.json", asked)
    (folder.parent / "cut.toml").write_text("format = 1\n[encoder]\nlayers = [0, 2]\nheads = 2\nffn = [16, 0]\n")
    arguments = ["prune", folder / kind, folder.parent / "cut.toml", "--to", folder.parent / "left", "--json", "--task",
                 folder.parent / "task.json", "--task-format", "squad", *options]  # fmt: skip
    record: dict[str, object] = json.loads(
        CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False).stdout
    )
    return record


@pytest.mark.parametrize("impossible", [False, True], ids=["SQuAD 1.1", "SQuAD 2.0"])
def test_figures_printed_are_those_of_what_was_written(impossible: bool, tmp_path: Path) -> None:
    """A plain encoder gets a head; read back, the directory answers as the last stage was measured."""
    publish("distilbert", tmp_path / "in" / "distilbert")
    write_question_tokenizer(tmp_path / "in" / "distilbert")
    asked = questions(60, impossible)
    record = prune(tmp_path / "in", "distilbert", asked, "--tune", 10, "--recover", 10, "--learning-rate", 5e-3)
    stages = record["stages"]
    assert isinstance(stages, list)
    assert [stage["stage"] for stage in stages] == ["published", "cut", "refitted", "recovered"]
    _, test = held_out_contexts([one.context for one in asked], None, 0)
    measured = [asked[row] for row in test]
    answer = read_answerer(tmp_path / "left")
    found = answer([one.question for one in measured], [one.context for one in measured], none=impossible)
    scored = squad_metrics(measured, {one.id: text for one, text in zip(measured, found, strict=True)})
    assert stages[-1]["f1"] == pytest.approx(scored["f1"] / 100)
    assert stages[-1]["exact_match"] == pytest.approx(scored["exact"] / 100)


def test_published_head_is_measured_as_it_is(folder: Path, tmp_path: Path) -> None:
    """A checkpoint that answers already is measured with its own head, and not tuned unless asked."""
    asked = questions(40)
    publish_answerer("bert", tmp_path / "in" / "bert")
    write_question_tokenizer(tmp_path / "in" / "bert")
    record = prune(tmp_path / "in", "bert", asked)
    _, test = held_out_contexts([one.context for one in asked], None, 0)
    measured, windows = cut([asked[row] for row in test], folder / "bert")
    found = answers_of(answerer(folder / "bert"), [one.context for one in measured], windows, none=True)
    scored = squad_metrics(measured, {one.id: text or "" for one, text in zip(measured, found, strict=True)})
    stages = record["stages"]
    assert isinstance(stages, list)
    assert stages[0]["f1"] == pytest.approx(scored["f1"] / 100)


def test_no_context_is_in_both_parts() -> None:
    """Questions about one context are trained on or measured on; a fifth of the contexts is measured."""
    contexts = [one.context for one in questions(100)]
    train, test = held_out_contexts(contexts, 60, 1)
    assert len(train) + len(test) == 60
    assert not {contexts[row] for row in train} & {contexts[row] for row in test}
    assert len({contexts[row] for row in test}) == len({contexts[row] for row in (*train, *test)}) // 5
    with pytest.raises(InputError, match="about 5 contexts, got 12 about 1"):
        held_out_contexts(["one"] * 12, None, 0)


def test_questions_for_others_than_encoders_are_refused(tmp_path: Path) -> None:
    """A decoder, a tokenizer that knows no characters, a head of another task: named, nothing written."""
    publish("gpt2", tmp_path / "in" / "gpt2")
    write_question_tokenizer(tmp_path / "in" / "gpt2")
    (tmp_path / "cut.toml").write_text("format = 1\n")
    arguments = ["prune", tmp_path / "in" / "gpt2", tmp_path / "cut.toml", "--to", tmp_path / "left", "--task",
                 write_squad(tmp_path / "task.json", questions(40)), "--task-format", "squad"]  # fmt: skip
    with pytest.raises(InputError, match="questions are for encoders, this checkpoint has decoder"):
        CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert not (tmp_path / "left").exists()
    with pytest.raises(InputError, match="expected a fast one"):
        windows_of([("word1", "red")], type("Slow", (), {"is_fast": False}), LENGTH)
    publish_answerer("bert", tmp_path / "classes")
    write_head(Head(torch.nn.Linear(24, 2), ("a", "b"), 16), tmp_path / "classes")
    with pytest.raises(InputError, match="expected tokens pooling"):
        read_answerer(tmp_path / "classes")


def test_heads_of_other_tasks_are_no_heads_of_answers(tmp_path: Path) -> None:
    """A bare network has none, and neither has a classifier, whose three classes are no starts and ends."""
    publish("distilbert", tmp_path / "bare")
    config = transformers.AutoConfig.from_pretrained(tmp_path / "bare", num_labels=3)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "classifier")
    for name in ("bare", "classifier"):
        assert published_answer_head(tmp_path / name, read_checkpoint(tmp_path / name)) is None
