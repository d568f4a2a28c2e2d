"""What `codesign prune` refuses, and when: nothing is then written, and no time was spent on it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from codesign.cli import app
from codesign.errors import CodesignError, InputError
from codesign.pretrained import command
from codesign.pretrained.classification import classification
from codesign.pretrained.command import FineTune
from codesign.pretrained.language import language
from codesign.pretrained.model import Checkpoint
from codesign.pretrained.objective import Comparison, Network, compared
from codesign.pretrained.recovery import DivergedError, Stage, fine_tuned
from codesign.pretrained.user_task import TaskFiles
from tests.pretrained.sentences import examples

Checkpoints = dict[str, tuple[Path, Checkpoint]]


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reading a network be a failure of the test."""
    monkeypatch.setattr(command, "read_checkpoint", lambda directory: pytest.fail(f"{directory} was read"))


def prune(folder: Path, *options: object) -> None:
    """Run the verb on the files of a user, with their task."""
    arguments = ["prune", folder / "model", folder / "half.toml", "--to", folder / "left",
                 "--task", folder / "task.tsv", *options]  # fmt: skip
    CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


@pytest.mark.parametrize("rate", ["inf", "nan", "0", "1e30"])
def test_ruined_network_is_not_written(rate: str, user_files: Path) -> None:
    """One step that leaves no usable weights is an error, though no later step would notice."""
    with pytest.raises(CodesignError, match="learning rate"):
        prune(user_files, "--recover", 1, "--learning-rate", rate)
    assert not (user_files / "left").exists()


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_last_step_is_checked(kind: str, checkpoints: Checkpoints) -> None:
    """A step so long that weights overflow is named after the loop, whatever the kind of network."""
    objective = classification(examples(32), examples(10), batch=8, seed=0)
    with pytest.raises(DivergedError, match=r"after 1 steps|at step 1"):
        fine_tuned(objective.fitted(checkpoints[kind][1]), objective, 1, 1e30)


def test_scores_that_are_no_numbers_are_not_compared() -> None:
    """A mean over NaN says nothing, and neither does an infinite one."""
    scores = np.array([0.0, 1.0, 1.0])
    for bad in (math.nan, math.inf):
        with pytest.raises(InputError, match="1 of 3"):
            compared(np.where(scores == 0, bad, scores), scores)


def test_network_of_no_numbers_is_not_right_by_chance(checkpoints: Checkpoints) -> None:
    """Predictions from NaN are not scored as the first class, of which half of the examples are."""
    objective = classification(examples(32), examples(10), batch=8, seed=0)
    network = objective.fitted(checkpoints["bert"][1])
    assert network.head is not None
    network.head.weight.data.fill_(math.nan)
    assert np.isnan(objective.scores(network)).all()


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("there", ["directory", "dangling link", "file above"])
def test_directory_that_cannot_be_written_is_refused_first(there: str, user_files: Path) -> None:
    """Nothing is read, tuned or recovered for a place where nothing can be written."""
    left = user_files / "left"
    if there == "directory":
        left.mkdir()
    elif there == "dangling link":
        left.symlink_to(user_files / "nowhere")
    else:
        left.write_text("a file")
        left = left / "below"
    with pytest.raises(InputError, match=r"there already|not a directory"):
        command.prune(user_files / "model", str(user_files / "half.toml"), left, None, FineTune())


STEPS = [FineTune(tune=-1), FineTune(recover=-1), FineTune(learning_rate=math.inf), FineTune(learning_rate=-1)]


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("steps", STEPS, ids=str)
def test_impossible_steps_are_refused_first(steps: FineTune, user_files: Path) -> None:
    """Negative steps and learning rates that are no numbers above 0 are seen before a network is read."""
    with pytest.raises(InputError, match="learning rate"):
        command.prune(user_files / "model", str(user_files / "half.toml"), user_files / "left", None, steps)


@pytest.mark.usefixtures("unread")
def test_steps_without_a_task_are_refused(user_files: Path) -> None:
    """Steps on no examples would be none, silently."""
    with pytest.raises(InputError, match="give --task"):
        command.prune(
            user_files / "model", str(user_files / "half.toml"), user_files / "left", None, FineTune(recover=5)
        )


@pytest.mark.usefixtures("unread")
def test_device_that_is_not_there_is_refused_first(user_files: Path) -> None:
    """With the words of codesign train, before a network is read."""
    with pytest.raises(InputError, match=r"device 'abacus': torch .* cannot use it here; use cpu"):
        prune(user_files, "--device", "abacus")


MISFITS = {
    "[encoder]\nheads = 5": "encoder.heads: expected at most 4",
    "[encoder]\nlayers = [0, 3]": "encoder.layers: expected places 0..2",
    "[encoder]\nffn = [8, 8]": "encoder.ffn: expected one number, or one for each of 3",
    "[encoder]\nlayers = [0, 1]\nshared = [[1, 2]]": "encoder.shared: expected groups of kept layers",
    "[encoder]\nffn = [8, 8, 4]\nshared = [[1, 2]]": "layer 2 shares its weights",
    "[decoder]\nheads = 1": "decoder: expected nothing",
}


@pytest.mark.parametrize("surgery", MISFITS)
def test_surgery_that_does_not_fit_is_refused_before_training(
    surgery: str, user_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is the task read nor a step taken for a surgery that cannot be."""
    (user_files / "half.toml").write_text(f"format = 1\n{surgery}\n")
    monkeypatch.setattr(command, "read_task", lambda *_: pytest.fail("the task was read"))
    with pytest.raises(InputError, match=re.escape(MISFITS[surgery])):
        prune(user_files, "--tune", 1000)
    assert not (user_files / "left").exists()


def test_ruined_language_model_has_no_finite_word_perplexity(checkpoints: Checkpoints) -> None:
    """Perplexities too large for a number are null in JSON and named in text, not an OverflowError."""
    task = language(np.zeros((20, 8), dtype=np.int64), np.zeros((20, 8), dtype=np.int64), batch=4, seed=0,
                    tokens_per_word=40.0)  # fmt: skip
    for nats, perplexity in ((20.0, pytest.approx(math.exp(20))), (800.0, math.inf)):
        told = command.figures(Stage("cut", Network(checkpoints["gpt2"][1]), Comparison(nats, 1.0, 2.0, 0.5)), task)
        assert told["perplexity"] == perplexity
        assert json.loads(msgspec.json.encode(told))["word_perplexity"] is None
        record = {"parameters": {"published": 1, "left": 1}, "stages": [told], "head": None, "files": []}
        assert "word_perplexity=(not finite)" in list(command.lines(record))[1]


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize(("name", "value"), [("limit", -1), ("limit", 0), ("seed", -1), ("batch", 0)])
def test_numbers_out_of_range_are_refused_first(name: str, value: int, user_files: Path) -> None:
    """A negative limit would cut examples off the end, a negative seed end in numpy; both are named instead."""
    task = TaskFiles((user_files / "task.tsv",), "glue", **{name: value})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"{name}: expected {int(name != 'seed')} or more, got {value}"):
        command.prune(user_files / "model", str(user_files / "half.toml"), user_files / "left", task, FineTune())


@pytest.mark.parametrize("option", ["--limit", "--seed", "--batch", "--tune", "--recover"])
def test_verb_refuses_negative_numbers(option: str, user_files: Path) -> None:
    """The command line says which option is out of range, as a mistake of use."""
    arguments = ["prune", user_files, user_files / "half.toml", "--to", user_files / "left", option, -1]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.stderr
