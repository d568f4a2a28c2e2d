"""A training that ends early goes on as if it had not; what is damaged or another's is refused."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from codesign.elastic import saved
from codesign.space_file import parse_space
from codesign.training import checkpoint, durable
from codesign.training.errors import CheckpointError, TrainingError
from codesign.training.log import read_log, writing
from codesign.training.loop import train
from tests.training.conftest import SPACE, MakeRecipe, Space, stop_after, weights


@pytest.mark.parametrize(("at", "muon"), [(1, 0.01), (3, 0.0), (5, 0.01), (7, 0.0)])
def test_resuming_gives_equal_bits(tmp_path: Path, space: Space, make_recipe: MakeRecipe, at: int, muon: float) -> None:
    """Stopped after any step and resumed, a training ends with the weights, and the log, of an undisturbed one."""
    recipe = make_recipe({"spans.loss": 0.01, "spans.ramp": 4, "muon.learning_rate": muon})
    train(space, recipe, tmp_path / "whole")
    stopped = train(space, recipe, tmp_path / "cut", stop=stop_after(at))
    assert (stopped.step, stopped.finished, stopped.stopped_by) == (at, False, signal.SIGTERM)
    assert train(space, recipe, tmp_path / "cut", resume=True).finished
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")
    whole, cut = ([x["largest"] for x in read_log(tmp_path / d) if x["kind"] == "step"] for d in ("whole", "cut"))
    assert whole == cut


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 9}, "recipe.steps: 9 here, 8 there"),
        ({"optimiser.learning_rate": 0.5}, "recipe.optimiser.learning_rate: 0.5 here, 0.003 there"),
        ({"batch": 4}, "recipe.batch: 4 here, 8 there"),
    ],
)
def test_another_recipe_is_refused(
    tmp_path: Path, space: Space, make_recipe: MakeRecipe, changes: dict[str, Any], message: str
) -> None:
    """What differs is named, and nothing in the directory changes."""
    train(space, make_recipe(), tmp_path, stop=stop_after(3))
    before = contents(tmp_path)
    with pytest.raises(TrainingError, match=message):
        train(space, make_recipe(changes), tmp_path, resume=True)
    assert contents(tmp_path) == before


def contents(directory: Path) -> dict[str, bytes]:
    """All files below a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_another_space_is_refused(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """A space with other choices is another training."""
    train(space, make_recipe(), tmp_path, stop=stop_after(3))
    other = parse_space(SPACE.replace("choices = [8, 16]", "choices = [8, 12, 16]"), "other", "other.toml")
    with pytest.raises(TrainingError, match=r"space.hidden: \[8, 12, 16\] here, \[8, 16\] there"):
        train(other, make_recipe(), tmp_path, resume=True)


@pytest.mark.parametrize("name", [checkpoint.MODEL, checkpoint.OPTIMISER, checkpoint.STATE])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_checkpoint_is_refused(
    tmp_path: Path, space: Space, make_recipe: MakeRecipe, name: str, damage: str
) -> None:
    """A file that is cut short, changed or missing is named; the older checkpoint, which is whole, is named too."""
    train(space, make_recipe(), tmp_path, stop=stop_after(7))
    path = tmp_path / checkpoint.FOLDER / "step-00000007" / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-7] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    before = {key: value for key, value in contents(tmp_path).items() if key != "log.jsonl"}
    with pytest.raises(CheckpointError, match=rf"step-00000007.*{name}.*to continue from .*step-00000006"):
        train(space, make_recipe(), tmp_path, resume=True)
    assert {key: value for key, value in contents(tmp_path).items() if key != "log.jsonl"} == before


def test_a_full_disk_loses_nothing(
    tmp_path: Path, space: Space, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that cannot be written leaves the one before, from which the training resumes to equal bits."""
    train(space, make_recipe(), tmp_path / "whole")
    written = durable._write

    def full(path: Path, data: bytes) -> None:
        if "step-00000006" in str(path) and path.name == checkpoint.OPTIMISER:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(durable, "_write", full)
        with pytest.raises(TrainingError, match=r"No space left.*last good checkpoint is .*step-00000003"):
            train(space, make_recipe(), tmp_path / "cut")
    assert [path.name for path in (tmp_path / "cut" / checkpoint.FOLDER).iterdir()] == ["step-00000003"]
    assert train(space, make_recipe(), tmp_path / "cut", resume=True).finished
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")


def test_only_new_directories_are_begun(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """A training, or anything else that is there, is never overwritten; nothing is resumed where nothing is."""
    train(space, make_recipe(), tmp_path / "run", stop=stop_after(1))
    with pytest.raises(TrainingError, match="holds a training already; continue it with --resume"):
        train(space, make_recipe(), tmp_path / "run")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").touch()
    with pytest.raises(TrainingError, match="expected a new or empty directory"):
        train(space, make_recipe(), tmp_path / "else")
    with pytest.raises(TrainingError, match="no training there"):
        train(space, make_recipe(), tmp_path / "nothing", resume=True)


def test_one_process_at_a_time(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """A directory in which a training runs is refused to another one."""
    train(space, make_recipe(), tmp_path, stop=stop_after(1))
    with writing(tmp_path), pytest.raises(TrainingError, match="another process is training here"):
        train(space, make_recipe(), tmp_path, resume=True)


def test_resuming_a_finished_training_changes_nothing(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """It tells the last evaluation again; the network is there as the search reads it."""
    first = train(space, make_recipe(), tmp_path)
    bits = weights(tmp_path)
    again = train(space, make_recipe(), tmp_path, resume=True)
    assert again.finished
    network, card = saved.load(tmp_path)
    assert (card.space, card.trained_tokens) == ("small", 8 * 8 * 16)
    assert network.architecture.hidden == 16
    assert again.evaluation == first.evaluation
    assert weights(tmp_path) == bits
