"""Training on answers: what is learned, measured and published, that it repeats and resumes, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from codesign.accuracy.supernet_answers import AnswerSupernet
from codesign.accuracy.supernet_tasks import supernet_at
from codesign.elastic.saved import read_card
from codesign.elastic.transformer import Elastic
from codesign.errors import InputError
from codesign.files import Document
from codesign.space import SearchSpace
from codesign.space_file import parse_space
from codesign.training.answers import AnswerText
from codesign.training.command import lines
from codesign.training.identity import identity_of
from codesign.training.lessons import AnswerLessons, read_text
from codesign.training.log import read_log
from codesign.training.loop import train
from codesign.training.recipe import Recipe, answers_of, read_recipe
from codesign.training.sampling import Sampler, largest_shape
from tests.training.answering import answer_recipe, asked, write_questions, write_squad
from tests.training.classifiers import encoders
from tests.training.conftest import SPACE, MakeRecipe, stop_after, toml_of, weights

LEARNS = {"steps": 60, "optimiser.learning_rate": 0.02, "muon.learning_rate": 0.01, "evaluation.every": 60,
          "evaluation.windows": 100, "pruning.start_step": 30, "checkpoint.every_steps": 60, "batch": 16}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred questions, in train.json and dev.json."""
    return write_questions(tmp_path_factory.mktemp("questions"))


@pytest.fixture
def recipe(make_recipe: MakeRecipe, folder: Path) -> Document[Recipe]:
    """Eight steps."""
    return verbatim(answer_recipe(make_recipe, folder))


def verbatim(recipe: Document[Recipe]) -> Document[Recipe]:
    """The recipe with the text that says what it means, which a network keeps."""
    return replace(recipe, text=toml_of(recipe.content))


def space_of(text: str) -> Document[SearchSpace]:
    """A space from its text."""
    return parse_space(text, "small", "small.toml")


def test_what_is_learned_is_measured(tmp_path: Path, make_recipe: MakeRecipe, folder: Path) -> None:
    """The loss falls and answers come right; the proxy of the directory finds the error that the log has."""
    recipe = verbatim(answer_recipe(make_recipe, folder, LEARNS))
    outcome = train(encoders(), recipe, tmp_path / "run")
    found = outcome.evaluation["settings"]["largest"]
    steps = [line["largest"] for line in read_log(tmp_path / "run") if line["kind"] == "step"]
    assert sum(steps[-5:]) / 5 < 0.5 * steps[0]
    assert found["answer_error"] < 0.4
    assert found["f1"] == pytest.approx(1 - found["answer_error"])
    assert f"nats a window, error {found['answer_error']:.2%}" in lines(outcome)[0]
    assert read_card(tmp_path / "run").architecture.task == "span_answers"
    proxy, whole = supernet_at("own", tmp_path / "run"), largest_shape(encoders().content)
    assert isinstance(proxy, AnswerSupernet)
    quality = proxy.predict(whole)
    assert quality.metric == "answer_error"
    questions = outcome.evaluation["questions"]
    assert quality.value[0] == pytest.approx(max(found["answer_error"], 0.5 / questions), abs=1.5 / questions)
    assert (quality.log_standard_error[0] > 0, proxy.compare(whole, whole)[0]) == (True, 0.0)


def test_a_network_is_measured_on_its_own_questions_only(
    tmp_path: Path, make_recipe: MakeRecipe, recipe: Document[Recipe]
) -> None:
    """Other right answers to the same questions are another text."""
    folder = tmp_path / "questions"
    folder.mkdir()
    train(encoders(), verbatim(answer_recipe(make_recipe, write_questions(folder))), tmp_path / "run")
    dev = folder / "dev.json"
    dev.write_text(dev.read_text(encoding="utf-8").replace('"Zz"', '"Z"'), encoding="utf-8")
    with pytest.raises(InputError, match="expected the held-out text of this network's training, got another"):
        supernet_at("own", tmp_path / "run").predict(largest_shape(encoders().content))
    assert answers_of(recipe.text).question == 3


def test_equal_seeds_give_equal_bits(tmp_path: Path, recipe: Document[Recipe]) -> None:
    """Stopped and resumed, a training ends with the bits of an undisturbed one."""
    train(encoders(), recipe, tmp_path / "whole")
    assert not train(encoders(), recipe, tmp_path / "cut", stop=stop_after(5)).finished
    assert train(encoders(), recipe, tmp_path / "cut", resume=True).finished
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")


def test_the_gradient_is_that_of_the_formula(make_recipe: MakeRecipe, folder: Path) -> None:
    """Written out: mean of start and end over allowed tokens; the largest's two distributions teach the others."""
    recipe = answer_recipe(make_recipe, folder, {"sandwich.temperature": 2.0}).content
    text, space = read_text(recipe), encoders().content
    assert isinstance(text, AnswerText)
    models = [Elastic(identity_of(space, recipe, text).architecture, seed=3) for _ in range(2)]
    settings, lessons = Sampler(space, 0).sandwich(0, 1), AnswerLessons(text, recipe)
    reported = lessons.gradients(models[0], 0, slice(None), settings, None)
    batch = text.train.take(lessons._batches.at(0)).batch("cpu")
    targets, lesson, losses = batch.targets.view(2, -1), [], []
    for number, setting in enumerate(settings):
        found = models[1](batch.tokens, setting, real=batch.real)
        assert isinstance(found, torch.Tensor)
        total = torch.zeros(())
        hards = []
        for side in range(2):
            logits = found[:, :, side].masked_fill(~batch.allowed, -1e9)
            hards.append(functional.cross_entropy(logits, targets[side]))
            if number == 0:
                lesson.append((logits.detach() / 2).softmax(1))
                total = total + hards[-1] / 2
            else:
                soft = -(lesson[side] * (logits / 2).log_softmax(1)).sum(1).mean() * 4
                total = total + (0.5 * hards[-1] + 0.5 * soft) / 2
        losses.append(sum(hards).detach() / 2)  # type: ignore[union-attr]
        (total / len(settings)).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(reported, torch.stack(losses))
    for ours, theirs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        if theirs.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-7)


def test_questions_without_answer(tmp_path: Path, make_recipe: MakeRecipe) -> None:
    """They are learned from where the recipe says that there are some; one file is divided by contexts."""
    folder = write_questions(tmp_path, unanswerable=True)
    recipe = answer_recipe(make_recipe, folder, unanswerable=True).content
    text = read_text(recipe)
    assert isinstance(text, AnswerText)
    assert any(one.impossible for one in text.validation.questions)
    assert (text.train.starts == 0).mean() > 0.25
    both = answer_recipe(make_recipe, folder / "train.json", unanswerable=True).content
    parts = read_text(both)
    assert isinstance(parts, AnswerText)
    assert 0 < len(parts.validation) < 10


@pytest.mark.parametrize(
    ("changes", "table", "message"),
    [
        ({"batch": 5000}, {}, r"batch: expected at most the \d+ training windows on contexts, got 5000"),
        ({"text.corpus": "tsv"}, {}, r"text.corpus: expected one with questions \(squad, sotu\), got 'tsv'"),
        ({"text.corpus": "sotu"}, {"context": 2}, "text.path: expected an empty one with corpus 'sotu'"),
        ({"text.path": ""}, {}, "text.path: expected a file or folder with corpus 'squad', got ''"),
        ({"text.path": "nowhere.json"}, {}, "nowhere.json"),
        ({}, {"context": 2}, "answers.context: expected 0, the questions have their own, with corpus 'squad', got 2"),
        ({"text.corpus": "sotu", "text.path": ""}, {}, "answers.context: expected at least 1 sentence"),
        ({}, {"unanswerable": True}, r"expected some questions without an answer in the train part, got 0 of \d+"),
    ],
)
def test_bad_recipes_are_refused(
    tmp_path: Path, make_recipe: MakeRecipe, folder: Path, changes: dict[str, Any], table: dict[str, Any], message: str
) -> None:
    """The message names the key and what was expected; nothing is trained."""
    with pytest.raises(InputError, match=message):
        train(encoders(), answer_recipe(make_recipe, folder, changes, **table), tmp_path / "run")
    assert not (tmp_path / "run").exists()


LONG = "word " * 9 + "and Zz"


@pytest.mark.parametrize(
    ("train_part", "message"),
    [
        ([], "train.json: no questions"),
        ([asked("a", "who is Zz", ("Zz", 3))], "train.json.*expected the answer 'Zz' at character 3 of the context"),
        ([asked("q0", "Zz", impossible=True)], "expected no question without an answer in the train part, got 1 of 1"),
        ([asked("a", LONG, (LONG, 0))], "text.window: expected windows that hold an answer, got none in"),
        (None, "no file train.*json.* in this folder"),
    ],
)
def test_bad_questions_are_refused(
    tmp_path: Path, make_recipe: MakeRecipe, train_part: list[dict[str, Any]] | None, message: str
) -> None:
    """A file without questions, answers that do not stand there or fit no window: told before anything is trained."""
    folder = write_questions(tmp_path)
    (folder / "train.json").unlink()
    if train_part is not None:
        write_squad(folder / "train.json", train_part)
    # The vocabulary is the least, as there is next to no text.
    with pytest.raises(InputError, match=message):
        read_text(answer_recipe(make_recipe, folder, {"text.vocabulary": 257}).content)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("window = 96", "window = 34", "answers.question: expected at most 31, .* window of 34, got 32"),
        ("stride = 32", "stride = 63", "answers.stride: expected at most 62, .* got 63"),
        ("answer = 8", "answer = 70", "answers.answer: expected at most 62, .* got 70"),
        ("empty_windows = 0.25", "", "answers: missing required field empty_windows"),
        ("[optimiser]", '[sentences]\nclasses = 2\ntext = ""\nlabel = ""\nexits = "none"\n[optimiser]',
         "expected one task, got both"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Windows without room, strides with gaps, two tasks: told when the recipe is read."""
    text = read_recipe("sotu_answers_smoke").text
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_recipe(path)


def test_task_and_space_must_agree(tmp_path: Path, recipe: Document[Recipe]) -> None:
    """Answers need an encoder without a language model's head."""
    with pytest.raises(InputError, match=r"expected family.lm_head = false for a recipe with \[answers\]"):
        train(space_of(SPACE), recipe, tmp_path / "a")
    headless = SPACE.replace("lm_head = true\n", "")
    with pytest.raises(InputError, match=r"expected an encoder for a recipe with \[answers\], got a decoder"):
        train(space_of(headless), recipe, tmp_path / "b")
