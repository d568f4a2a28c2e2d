"""The trainings of the study: resumable, shared by processes, and the rows that they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from codesign.bench import study_train
from codesign.bench.study_nets import Net, genomes_of, read_lines, read_nets, write_table
from codesign.bench.study_train import Trainings, part_of, train_study
from codesign.elastic.setting import Setting, settings
from codesign.errors import CodesignError, InputError
from codesign.lines import only_writer
from codesign.space_file import parse_space
from codesign.training.alone import TrainedAlone
from codesign.training.data import TrainingText, training_text
from codesign.training.errors import TrainingError
from codesign.training.evaluate import Measured
from codesign.training.recipe import Recipe
from tests.command_line import refusal
from tests.training.conftest import SPACE, write_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a text, a tiny space and two recipes."""
    path = tmp_path_factory.mktemp("study")
    (path / "small.toml").write_text(SPACE, encoding="utf-8")
    write_recipe(path / "tiny.toml", {})
    write_recipe(path / "other.toml", {"steps": 9})
    return path


@pytest.fixture(scope="module")
def text(folder: Path) -> TrainingText:
    """Return the text of the recipes."""
    return training_text(msgspec.toml.decode((folder / "tiny.toml").read_bytes(), type=Recipe).text)


@pytest.fixture(autouse=True)
def _one_text(text: TrainingText, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut the text up once; what a training sets is undone."""
    monkeypatch.setattr(study_train, "training_text", lambda _: text)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def asked(folder: Path, tmp_path: Path) -> Callable[..., Trainings]:
    """Return a function that makes what is asked for, with some fields changed."""

    def make(**changes: Any) -> Trainings:
        usual = {"directory": tmp_path / "nets", "space": str(folder / "small.toml"), "seed": 0,
                 "recipe": str(folder / "tiny.toml"), "count": 6, "repeats": 1}  # fmt: skip
        return Trainings(**{**usual, **changes})

    return make


@pytest.fixture
def instantly(monkeypatch: pytest.MonkeyPatch) -> list[Setting]:
    """Replace trainings by their size; the list gets each setting. The third one is interrupted."""
    trained: list[Setting] = []

    def alone(architecture: Any, setting: Setting, recipe: Recipe, text: TrainingText, **_: Any) -> TrainedAlone:
        trained.append(setting)
        if len(trained) == 3:
            raise KeyboardInterrupt
        loss = 5 + recipe.seed - setting.hidden / 100 - len(setting.layers) + np.linspace(0, 0.1, 4)
        return TrainedAlone(Measured(loss, 64), 100, 1.0)

    monkeypatch.setattr(study_train, "train_alone", alone)
    return trained


def lines(directory: Path) -> list[Net]:
    """All networks, in the order of the plan."""
    return sorted(read_lines(directory), key=lambda net: (net.seed, net.index))


def test_a_study_goes_on_where_it_stopped(asked: Callable[..., Trainings], instantly: list[Setting]) -> None:
    """After an interruption and a torn line only what is missing is trained, in other parts too."""
    with pytest.raises(KeyboardInterrupt):
        train_study(asked())
    path = asked().directory / "nets-0.jsonl"
    path.write_bytes(path.read_bytes() + b'{"index": 2, "gro')
    (figures,) = train_study(asked(part=(0, 2)))
    assert (figures["trained_now"], figures["finished"], figures["planned"]) == (3, 5, 7)
    (figures,) = train_study(asked(part=(1, 2)))
    assert (figures["trained_now"], figures["finished"]) == (2, 7)
    assert len(instantly) == 8  # the interrupted one twice
    (figures,) = train_study(asked())
    assert figures["trained_now"] == 0
    assert [(net.index, net.seed) for net in lines(asked().directory)] == [*((i, 0) for i in range(6)), (1, 1)]


def test_parts_together_are_the_whole(
    asked: Callable[..., Trainings], instantly: list[Setting], tmp_path: Path
) -> None:
    """What two processes train is what one trains."""
    instantly += [Setting(1, ())] * 3  # nothing is interrupted
    for part in ((0, 2), (1, 2)):
        train_study(asked(part=part))
    train_study(asked(directory=tmp_path / "whole"))
    assert lines(asked().directory) == lines(tmp_path / "whole")


def test_trained_networks_are_rows(asked: Callable[..., Trainings], tmp_path: Path) -> None:
    """Really trained, equal plans give equal losses; a row names its shape, and a table keeps all but the windows."""
    train_study(asked(count=2, repeats=1))
    train_study(asked(count=2, repeats=1, directory=tmp_path / "again"))
    nets, again = read_nets(asked().directory), read_nets(tmp_path / "again")
    assert [net.window_losses for net in nets] == [net.window_losses for net in again]
    assert nets[1].setting == nets[2].setting
    assert nets[1].loss != nets[2].loss  # another seed
    space = parse_space(SPACE, "small", "small.toml").content
    assert settings(space.decode(genomes_of(space, nets)).shape) == [net.setting for net in nets]
    write_table(tmp_path / "nets.csv", nets)
    assert read_nets(tmp_path / "nets.csv") == [msgspec.structs.replace(net, window_losses=()) for net in nets]


def test_a_directory_is_one_study(asked: Callable[..., Trainings], instantly: list[Setting], folder: Path) -> None:
    """Another recipe, space or draw is refused, and told how it differs."""
    instantly += [Setting(1, ())] * 3
    train_study(asked(count=1, repeats=0))
    with pytest.raises(TrainingError, match=r"holds another study: recipe\.steps: 9 here, 8 there"):
        train_study(asked(recipe=str(folder / "other.toml")))
    with pytest.raises(TrainingError, match="seed: 1 here, 0 there"):
        train_study(asked(seed=1))


def test_a_part_is_trained_by_one_process(asked: Callable[..., Trainings], instantly: list[Setting]) -> None:
    """Two processes cannot append to one file."""
    instantly += [Setting(1, ())] * 3
    train_study(asked(count=1, repeats=0))
    with (
        only_writer(asked().directory / "nets-0.jsonl", TrainingError, "busy", create=True),
        pytest.raises(TrainingError, match="another process trains this part"),
    ):
        train_study(asked())


def test_a_file_in_the_way_is_told(asked: Callable[..., Trainings], tmp_path: Path) -> None:
    """Where no directory can be made, the place is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"study\.json: cannot be written"):
        train_study(asked(directory=tmp_path / "file"))


@pytest.mark.parametrize("text_of_part", ["2/2", "1", "a/b", "-1/2", "0/0"])
def test_a_part_is_k_of_n(text_of_part: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(InputError, match="such as 0/2"):
        part_of(text_of_part)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"index": 1}\n', r"nets-0\.jsonl: line 1: expected a trained network"),
        (b'{"index": 1', "expected trained networks .* got none"),
    ],
)
def test_damaged_lines_are_told(content: bytes, message: str, tmp_path: Path) -> None:
    """A line that is whole and no network is named; a torn one is left out."""
    (tmp_path / "nets-0.jsonl").write_bytes(content)
    with pytest.raises(CodesignError, match=message):
        read_nets(tmp_path)


def test_tables_are_checked(tmp_path: Path) -> None:
    """Missing columns, numbers that are none and files of another kind are named."""
    path = tmp_path / "nets.csv"
    path.write_text("index,group\n1,uniform\n")
    with pytest.raises(InputError, match="missing columns space, recipe"):
        read_nets(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_nets(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"expected a directory .* or a \.csv"):
        read_nets(tmp_path / "nets.txt")


def test_options_belong_to_this_benchmark(tmp_path: Path) -> None:
    """Other benchmarks refuse them, and this one wants networks."""
    assert "--figures-to is for proxies, search" in refusal("bench", "survey", "--figures-to", tmp_path)
    assert "--network is for answers, proxies" in refusal("bench", "survey", "--network", tmp_path)
    assert "expected the networks of the study" in refusal("bench", "proxies")
    assert "such as 0/2" in refusal("bench", "proxies", "--train-to", tmp_path, "--part", "3")
