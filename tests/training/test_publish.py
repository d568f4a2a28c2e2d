"""What a finished training publishes: the proxy measures the network that the log measured."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from codesign.accuracy.supernet import Supernet
from codesign.elastic import saved
from codesign.elastic.setting import settings
from codesign.elastic.trained_choices import choices_of
from codesign.files import Document
from codesign.training.loop import train
from codesign.training.recipe import Recipe
from codesign.training.sampling import largest_shape
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
