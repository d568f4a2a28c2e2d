"""A training that begins with a trained network: its weights, its tokenizer, and a directory that stands alone."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from codesign.elastic import saved
from codesign.errors import InputError
from codesign.space_file import parse_space
from codesign.training.errors import TrainingError
from codesign.training.loop import train
from tests.command_line import refusal
from tests.training.conftest import SPACE, MakeRecipe, Space, stop_after, tiny_recipe, weights, write_text

NO_CHANGE = {"seed": 5, "steps": 1, "optimiser.learning_rate": 1e-12, "muon.learning_rate": 0.0}


@dataclass(frozen=True)
class First:
    """A finished training."""

    directory: Path

    @property
    def card(self) -> saved.Card:
        """Of its network."""
        return saved.read_card(self.directory)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    """Return a training of eight steps on a hundred paragraphs."""
    folder = tmp_path_factory.mktemp("first")
    train(parse_space(SPACE, "small", "small.toml"), tiny_recipe(write_text(folder), {}), folder / "run")
    return First(folder / "run")


def test_it_begins_with_the_weights(tmp_path: Path, space: Space, make_recipe: MakeRecipe, first: First) -> None:
    """After a step of no length it is the network that it began with; its card names that one and adds up tokens."""
    train(space, make_recipe(NO_CHANGE), tmp_path / "next", source=first.directory)
    before, _ = saved.load(first.directory)
    after, card = saved.load(tmp_path / "next")
    for name, value in before.state_dict().items():
        torch.testing.assert_close(after.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    assert card.continued_from == first.card.weights_sha256
    assert first.card.continued_from == ""
    assert card.trained_tokens == first.card.trained_tokens + 8 * 16


def test_its_directory_stands_alone(tmp_path: Path, space: Space, make_recipe: MakeRecipe, first: First) -> None:
    """Stopped and resumed without the network it began with, it ends with the bits of an undisturbed one."""
    recipe = make_recipe({"seed": 5})
    source = shutil.copytree(first.directory, tmp_path / "source")
    train(space, recipe, tmp_path / "whole", source=source)
    train(space, recipe, tmp_path / "cut", source=source, stop=stop_after(2))
    shutil.rmtree(source)
    assert train(space, recipe, tmp_path / "cut", resume=True).finished
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")


def test_a_beginning_that_was_taken_away_is_told(
    tmp_path: Path, space: Space, make_recipe: MakeRecipe, first: First
) -> None:
    """Without it, a training is another one and is not resumed as its own."""
    train(space, make_recipe(), tmp_path / "cut", source=first.directory, stop=stop_after(2))
    shutil.rmtree(tmp_path / "cut" / "start")
    with pytest.raises(TrainingError, match="holds another training: start: "):
        train(space, make_recipe(), tmp_path / "cut", resume=True)


def test_another_architecture_is_refused(tmp_path: Path, make_recipe: MakeRecipe, first: First) -> None:
    """A network of another space does not fit; what differs is named and no directory is made."""
    wider = parse_space(
        SPACE.replace("hidden = { choices = [8, 16] }", "hidden = { choices = [8, 16, 24] }"), "w", "w.toml"
    )
    with pytest.raises(InputError, match="hidden: 24 here, 16 there; train its space, small, with its window"):
        train(wider, make_recipe(), tmp_path / "run", source=first.directory)
    assert not (tmp_path / "run").exists()


def test_damaged_weights_are_refused(tmp_path: Path, space: Space, make_recipe: MakeRecipe, first: First) -> None:
    """Nothing is trained on weights that are not those of their card."""
    source = shutil.copytree(first.directory, tmp_path / "source")
    (source / saved.WEIGHTS).write_bytes((source / saved.WEIGHTS).read_bytes()[:-1])
    with pytest.raises(InputError, match=r"expected the weights of supernet\.json, got others or damaged ones"):
        train(space, make_recipe(), tmp_path / "run", source=source)
    assert not (tmp_path / "run").exists()


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    """A directory without one is named, beside the shipped networks; what is resumed begins with nothing new."""
    asked = ("train", "sotu_lm", "--recipe", "sotu_smoke", "--to", str(tmp_path / "run"), "--from")
    assert f"{tmp_path}: expected the directory of a trained network" in refusal(*asked, str(tmp_path))
    assert "a training that is resumed has its beginning in" in refusal(*asked, "supernet", "--resume")
    assert not (tmp_path / "run").exists()
