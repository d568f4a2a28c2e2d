"""A whole training: it learns, repeats itself, and stops where it must."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from codesign.errors import InputError
from codesign.space_file import parse_space
from codesign.training import lessons, loop
from codesign.training.errors import TrainingError
from codesign.training.log import LOG, read_log
from codesign.training.loop import train
from codesign.training.trainer import Step, Worker
from tests.training.conftest import SPACE, MakeRecipe, Space, stop_after, weights


def test_loss_falls_on_real_text(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """In 60 steps every measured sub-network gets well below the uniform guess, ln 300 = 5.7."""
    changes = {"steps": 60, "optimiser.learning_rate": 0.01, "sandwich.distillation": 0.2}
    steps: list[Step] = []
    outcome = train(space, make_recipe(changes), tmp_path / "run", watch=steps.append)
    assert outcome.finished
    assert steps[0].largest == pytest.approx(5.7, abs=0.1)
    assert steps[-1].largest < 5.2
    assert all(one["loss"] < 5.3 for one in outcome.evaluation["settings"].values())
    assert steps[-1].tokens == 60 * 8 * 16


def test_a_training_is_a_function_of_its_seed(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """The same recipe gives equal bits, another seed others; the log tells the same losses."""
    first, second, other = (tmp_path / name for name in "abc")
    for directory, seed in ((first, 0), (second, 0), (other, 1)):
        train(space, make_recipe({"seed": seed}), directory)
    assert weights(first) == weights(second) != weights(other)
    lines = [
        [(line["step"], line["largest"]) for line in read_log(d) if line["kind"] == "step"] for d in (first, second)
    ]
    assert lines[0] == lines[1]
    assert [step for step, _ in lines[0]] == list(range(1, 9))


def test_a_loss_that_is_no_number_stops(
    tmp_path: Path, space: Space, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names step, learning rate and the last good checkpoint, which holds the weights from before."""
    real = lessons.one_step

    def spoilt(*arguments: Any) -> torch.Tensor:
        losses = real(*arguments)
        return losses * float("nan") if len(calls) == 5 else (calls.append(1), losses)[1]

    calls: list[int] = []
    monkeypatch.setattr(lessons, "one_step", spoilt)
    message = r"step 5: the loss of the largest is nan at a learning rate of .*last good checkpoint is .*step-00000003"
    with pytest.raises(TrainingError, match=message):
        train(space, make_recipe(), tmp_path / "run")


def test_a_rising_loss_stops(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """A learning rate far too high is found before all steps are done."""
    changes = {"steps": 100, "optimiser.learning_rate": 30.0, "divergence": 0.5, "optimiser.clip": 1e6}
    with pytest.raises(TrainingError, match=r"the loss of the largest, smoothed, is .* above its lowest"):
        train(space, make_recipe(changes), tmp_path / "run")


def test_workers_share_a_batch(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """The mean of two workers' gradients, which the hook may replace, is that of one worker with all windows."""
    found: list[list[torch.Tensor]] = []

    def keep(parameters: Iterable[nn.Parameter]) -> None:
        found.append([p.grad.clone() for p in parameters if p.grad is not None])

    recipe = make_recipe({"sandwich.gradient_projection": False})
    for number, worker in enumerate([Worker(0, 1, keep), Worker(0, 2, keep), Worker(1, 2, keep)]):
        train(space, recipe, tmp_path / str(number), worker=worker, stop=stop_after(1))
    whole, *halves = found
    for mean, one, other in zip(whole, *halves, strict=True):
        torch.testing.assert_close((one + other) / 2, mean)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text.corpus": "nonsense", "text.path": ""}, "unknown corpus 'nonsense'"),
        ({"text.path": ""}, "text.path: expected a file or folder"),
        ({"text.corpus": "sotu"}, "text.path: expected an empty one"),
        ({"text.window": 200_000}, "expected at least 400000 training tokens|too short|expected at least"),
    ],
)
def test_unusable_text_is_refused(
    tmp_path: Path, space: Space, make_recipe: MakeRecipe, changes: dict[str, Any], message: str
) -> None:
    """The error says what was expected, and no directory is made."""
    with pytest.raises(InputError, match=message):
        train(space, make_recipe(changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("vocabulary = 300", "vocabulary = 301", r"family\.vocabulary = 300, not 301"),
        ("position_count = 16", "position_count = 32", r"windows of 16 .* write family\.position_count = 16, not 32"),
        ("lm_head = true\n", "", r"family\.lm_head = true, not false"),
        ("head_width = 8\nffn = {", "head_width = { choices = [4, 8] }\nffn = {", "head_width: expected one width"),
    ],
)
def test_a_network_that_could_measure_nothing_is_not_trained(
    tmp_path: Path, make_recipe: MakeRecipe, old: str, new: str, message: str
) -> None:
    """What the trained network would not have in common with its space is told before, with what to write."""
    assert old in SPACE
    with pytest.raises(InputError, match=message):
        train(parse_space(SPACE.replace(old, new), "other", "other.toml"), make_recipe(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_while_logging_is_told(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """The error is the training's own, names the last good checkpoint, and the training resumes to equal bits."""
    recipe = make_recipe({"log_every": 1})
    train(space, recipe, tmp_path / "whole")
    train(space, recipe, tmp_path / "cut", stop=stop_after(3))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "cut" / LOG).stat().st_size + 100, hard))
    try:
        with pytest.raises(TrainingError, match=r"log\.jsonl: cannot be written: .*step-00000003; make room"):
            train(space, recipe, tmp_path / "cut", resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert train(space, recipe, tmp_path / "cut", resume=True).finished
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")


def test_an_unknown_device_is_refused(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """A device that torch has not is named."""
    with pytest.raises(InputError, match="device 'abacus'"):
        loop.train(space, make_recipe(), tmp_path / "run", device="abacus")
