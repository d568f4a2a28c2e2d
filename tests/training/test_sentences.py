"""Training a classifier with exits: what is learned, that it repeats and resumes, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from codesign.accuracy.supernet_sentences import SentenceSupernet
from codesign.accuracy.supernet_tasks import supernet_at
from codesign.elastic.saved import load
from codesign.elastic.transformer import Elastic
from codesign.errors import InputError
from codesign.files import Document
from codesign.space_file import parse_space
from codesign.training.identity import identity_of
from codesign.training.lessons import SentenceLessons
from codesign.training.log import read_log
from codesign.training.loop import train
from codesign.training.recipe import Recipe
from codesign.training.sampling import Sampler, largest_shape
from codesign.training.sentences import SentenceText, sentence_text
from tests.training.classifiers import encoders, sentence_recipe, write_sentences
from tests.training.conftest import SPACE, MakeRecipe, stop_after, weights

LEARNS = {"steps": 36, "optimiser.learning_rate": 0.02, "muon.learning_rate": 0.01, "evaluation.every": 36,
          "evaluation.windows": 100, "pruning.start_step": 30, "checkpoint.every_steps": 36, "batch": 16}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred sentences of two classes."""
    return write_sentences(tmp_path_factory.mktemp("sentences"))


@pytest.fixture
def recipe(make_recipe: MakeRecipe, folder: Path) -> Document[Recipe]:
    """Eight steps."""
    return sentence_recipe(make_recipe, folder)


def text_of(recipe: Document[Recipe]) -> SentenceText:
    """The sentences of a recipe."""
    assert recipe.content.sentences is not None
    return sentence_text(recipe.content.text, recipe.content.sentences)


def test_what_is_learned_is_measured(tmp_path: Path, make_recipe: MakeRecipe, folder: Path) -> None:
    """Every sub-network learns the mark; the proxy of the directory finds the error that the log has."""
    found = train(encoders(), sentence_recipe(make_recipe, folder, LEARNS), tmp_path / "run").evaluation
    for name in ("largest", "smallest"):
        assert found["settings"][name]["error"] < 0.2
    _, card = load(tmp_path / "run")
    assert (card.architecture.task, card.architecture.classes, card.architecture.exits) == ("classification", 2, True)
    assert [line["kind"] for line in read_log(tmp_path / "run")].count("evaluation") == 1


def test_the_proxy_measures_the_last_exit(tmp_path: Path, make_recipe: MakeRecipe, folder: Path) -> None:
    """A directory is a proxy by its task; error and its paired comparison are those of all validation sentences."""
    recipe = sentence_recipe(make_recipe, folder, {"steps": 8})
    found = train(encoders(), recipe, tmp_path / "run").evaluation
    # The recipe is kept verbatim; in these tests its values were changed after it was read.
    proxy = supernet_at("own", tmp_path / "run")
    assert isinstance(proxy, SentenceSupernet)
    proxy.__dict__["_sentences"] = text_of(recipe).validation.spread(found["sentences"])
    whole = largest_shape(encoders().content)
    quality = proxy.predict(whole)
    assert quality.metric == "error"
    assert quality.value[0] == pytest.approx(max(found["settings"]["largest"]["error"], 0.5 / found["sentences"]))
    assert proxy.compare(whole, whole)[0] == 0.0
    assert quality.log_standard_error[0] > 0


def test_equal_seeds_give_equal_bits(tmp_path: Path, recipe: Document[Recipe]) -> None:
    """Stopped and resumed, a training ends with the bits of an undisturbed one, and so does a second one."""
    train(encoders(), recipe, tmp_path / "whole")
    assert not train(encoders(), recipe, tmp_path / "cut", stop=stop_after(5)).finished
    assert train(encoders(), recipe, tmp_path / "cut", resume=True).finished
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")


@pytest.mark.parametrize("exits", ["none", "equal", "depth"])
def test_the_gradient_is_that_of_the_formula(make_recipe: MakeRecipe, folder: Path, exits: str) -> None:
    """Written out: labels for the largest, labels and the largest's last exit for the others, exits weighted."""
    table = {"classes": 2, "text": "sentence", "label": "label", "exits": exits}
    recipe = sentence_recipe(make_recipe, folder, {"sentences": table, "sandwich.temperature": 2.0}).content
    text = text_of(Document("tiny", "tiny.toml", "", recipe))
    space = encoders().content
    models = [Elastic(identity_of(space, recipe, text).architecture, seed=3) for _ in range(2)]
    settings = Sampler(space, 0).sandwich(0, 1)
    lessons = SentenceLessons(text, recipe)
    reported = lessons.gradients(models[0], 0, slice(None), settings, None)
    batch = text.train.take(lessons._batches.at(0)).batch("cpu")
    lesson, losses = None, []
    for setting in settings:
        found = models[1](batch.tokens, setting, real=batch.real)
        logits = found if isinstance(found, list) else [found]
        weight = np.arange(1, len(logits) + 1) if exits == "depth" else np.ones(len(logits))
        hard = [functional.cross_entropy(one, batch.labels) for one in logits]
        losses.append(hard[-1].detach())
        if lesson is None:
            lesson, each = (logits[-1].detach() / 2).softmax(1), hard
        else:
            soft = [-(lesson * (one / 2).log_softmax(1)).sum(1).mean() * 4 for one in logits]
            each = [0.5 * a + 0.5 * b for a, b in zip(hard, soft, strict=True)]
        total = sum(float(w) * one for w, one in zip(weight / weight.sum(), each, strict=True))
        (total / len(settings)).backward()  # type: ignore[union-attr]
    torch.testing.assert_close(reported, torch.stack(losses))
    for ours, theirs in zip(models[0].parameters(), models[1].parameters(), strict=True):
        if theirs.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-7)


def test_an_epoch_sees_each_sentence_once(recipe: Document[Recipe]) -> None:
    """No sentence twice in an epoch; a step's sentences are the same whatever was asked before."""
    batches = SentenceLessons(text_of(recipe), recipe.content)._batches
    steps = len(batches.rows) // batches.size
    seen = np.concatenate([batches.at(step) for step in range(steps)])
    assert len(np.unique(seen)) == len(seen)
    later = batches.at(steps)
    np.testing.assert_array_equal(batches.at(1), seen[batches.size : 2 * batches.size])
    np.testing.assert_array_equal(batches.at(steps), later)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 5000}, r"batch: expected at most the \d+ training sentences, got 5000"),
        ({"text.corpus": "wikitext"}, "text.corpus: expected one with classes .*got 'wikitext'"),
        ({"text.corpus": "sotu"}, "text.path: expected an empty one with corpus 'sotu'"),
        ({"text.vocabulary": 9000}, "too short for 9000 tokens"),
        ({"sentences": {"classes": 3, "text": "sentence", "label": "label", "exits": "none"}}, "has 2 .*got 3"),
        ({"sentences": {"classes": 2, "text": "", "label": "label", "exits": "none"}}, "sentences.text: expected one"),
        ({"sentences": {"classes": 2, "text": "words", "label": "label", "exits": "none"}}, "no column 'words'"),
    ],
)
def test_bad_recipes_are_refused(
    tmp_path: Path, make_recipe: MakeRecipe, folder: Path, changes: dict[str, Any], message: str
) -> None:
    """The message names the key and what was expected; nothing is trained."""
    with pytest.raises(InputError, match=message):
        train(encoders(), sentence_recipe(make_recipe, folder, changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a sentence\t7", "line 32: label: expected 0, 1 or 0 to 1, got '7'"),
        ("\t1", "line 32: sentence: expected text, got an empty field"),
    ],
)
def test_bad_labels_are_refused(tmp_path: Path, make_recipe: MakeRecipe, line: str, message: str) -> None:
    """A label out of range and an empty sentence are told by file and line; so is a held-out class without examples."""
    folder = write_sentences(tmp_path)
    dev = folder / "dev.tsv"
    good = dev.read_text(encoding="utf-8")
    dev.write_text(good + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        text_of(sentence_recipe(make_recipe, folder))
    dev.write_text("".join(f"{one}\n" for one in good.split("\n") if one and not one.endswith("\t1")), encoding="utf-8")
    with pytest.raises(InputError, match="no example of class 1"):
        text_of(sentence_recipe(make_recipe, folder))


def test_task_and_space_must_agree(tmp_path: Path, make_recipe: MakeRecipe, recipe: Document[Recipe]) -> None:
    """An encoder sees the next token, so it is no language model; a language model's head is no classifier's."""
    with pytest.raises(InputError, match=r"expected a decoder for a recipe without \[sentences\]"):
        train(encoders(), make_recipe(), tmp_path / "a")
    headed = parse_space(SPACE, "headed", "headed.toml")
    with pytest.raises(InputError, match=r"expected family.lm_head = false for a recipe with \[sentences\]"):
        train(headed, recipe, tmp_path / "b")
