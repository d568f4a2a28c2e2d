"""What a finished training publishes: the proxy measures the network that the log measured."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from codesign.accuracy.supernet import Supernet
from codesign.accuracy.supernet_sentences import SentenceSupernet
from codesign.elastic import saved
from codesign.elastic.setting import settings
from codesign.elastic.trained_choices import choices_of
from codesign.errors import InputError
from codesign.files import Document
from codesign.training.loop import train
from codesign.training.recipe import Recipe
from codesign.training.sampling import largest_shape
from tests.training.classifiers import encoders, sentence_recipe, write_sentences
from tests.training.conftest import MakeRecipe, Space, toml_of

ALL = 10**6
"""More windows than there are."""

SHORT_SPANS = {
    "steps": 12,
    "optimiser.learning_rate": 0.03,
    "spans.loss": 0.5,
    "spans.ramp": 1,
    "spans.start": 0.5,
    "evaluation.windows": ALL,
    "evaluation.every": 12,
}


def verbatim(recipe: Document[Recipe]) -> Document[Recipe]:
    """The recipe with the text that says what it means, which a network keeps."""
    return replace(recipe, text=toml_of(recipe.content))


def test_learned_spans_are_measured_as_in_the_log(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """The proxy hides the keys that the heads have learned not to see, and so finds the loss that the log tells."""
    outcome = train(space, verbatim(make_recipe(SHORT_SPANS)), tmp_path / "run")
    proxy, shape = Supernet("own", tmp_path / "run", window_count=ALL), largest_shape(space.content)
    assert [layer.span for layer in proxy._settings(shape)[0].layers] == [max(layer) for layer in proxy.card.reach]
    assert max(max(layer) for layer in proxy.card.reach) < proxy.card.architecture.context
    logged = outcome.evaluation["settings"]["largest"]["loss"]
    assert math.log(proxy.predict(shape).value[0]) == pytest.approx(logged, abs=2e-4)


def test_a_network_says_what_was_trained(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """Its card has the choices of its space, so that its proxy marks what lies beyond them, and nothing else."""
    train(space, verbatim(make_recipe()), tmp_path / "run")
    proxy, shape = Supernet("own", tmp_path / "run"), largest_shape(space.content)
    assert proxy.card.choices == choices_of(space.content)
    thin = replace(shape, ffn=shape.ffn // 2)
    assert [bool(proxy.predict(one).extrapolated[0]) for one in (shape, thin)] == [False, True]


def test_a_network_without_learned_spans_says_so(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """Where the recipe learns no span, the card has none and a shape's own spans are measured."""
    train(space, verbatim(make_recipe()), tmp_path / "run")
    proxy, shape = Supernet("own", tmp_path / "run"), largest_shape(space.content)
    assert saved.read_card(tmp_path / "run").reach == ()
    assert proxy._settings(shape) == settings(shape)


OTHER = "Nothing of this was there before, and it is long enough for a window or two of sixteen tokens.\n\n" * 100


def test_a_network_is_measured_on_its_own_text_only(
    tmp_path: Path, space: Space, make_recipe: MakeRecipe, text_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is found from anywhere; a missing or another text names the network and what to do."""
    there, here, shape = tmp_path / "there", tmp_path / "here", largest_shape(space.content)
    there.mkdir()
    here.mkdir()
    text = shutil.copy(text_path, there / "own.txt")
    monkeypatch.chdir(there)
    train(space, verbatim(make_recipe({"text.path": "own.txt"})), tmp_path / "run")
    monkeypatch.chdir(here)

    def measured() -> float:
        return float(Supernet("own", tmp_path / "run").predict(shape).value[0])

    before = measured()
    text.write_text(OTHER, encoding="utf-8")
    with pytest.raises(
        InputError, match=r"run: expected the held-out text .* got another one \(.*there/own\.txt\); put"
    ):
        measured()
    text.unlink()
    with pytest.raises(InputError, match=r"run: cannot read the text .*own\.txt.* a copy of it at .*run/text/own\.txt"):
        measured()
    (tmp_path / "run" / "text").mkdir()
    shutil.copy(text_path, tmp_path / "run" / "text" / "own.txt")
    assert measured() == before


def test_a_classifier_is_measured_on_its_own_sentences_only(tmp_path: Path, make_recipe: MakeRecipe) -> None:
    """Other labels of the same sentences are another text."""
    (tmp_path / "glue").mkdir()
    folder, space = write_sentences(tmp_path / "glue"), encoders()
    recipe = sentence_recipe(make_recipe, folder, {"steps": 3, "batch": 4, "pruning.start_step": 0})
    train(space, verbatim(recipe), tmp_path / "run")
    proxy, shape = SentenceSupernet("own", tmp_path / "run"), largest_shape(space.content)
    assert 0 < proxy.predict(shape).value[0] <= 1
    lines = (folder / "dev.tsv").read_text(encoding="utf-8").splitlines()
    turned = [lines[0], *(line[:-1] + str(1 - int(line[-1])) for line in lines[1:])]
    (folder / "dev.tsv").write_text("\n".join(turned) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="run: expected the held-out text of this network's training, got another one"):
        SentenceSupernet("own", tmp_path / "run").predict(shape)
