"""Several processes train what one does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from codesign.errors import InputError
from codesign.training import checkpoint, workers
from codesign.training.errors import TrainingError
from codesign.training.loop import train
from codesign.training.trainer import Step
from codesign.training.workers import Asked, train_with_workers

from .conftest import MakeRecipe, Space


@pytest.mark.long
def test_two_workers_train_what_one_does(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """Each sees half of every batch, and the weights are those of one process but for rounding; steps are watched."""
    recipe = make_recipe({"batch": 4, "log_every": 1})
    train(space, recipe, tmp_path / "one")
    seen: list[Step] = []
    asked = Asked(space, recipe, tmp_path / "two", "cpu")
    outcome = train_with_workers(asked, 2, "local", watch=seen.append)
    assert outcome.finished
    assert outcome.evaluation["settings"]
    assert [step.step for step in seen] == list(range(1, 9))
    one, two = (checkpoint.newest(tmp_path / name) for name in ("one", "two"))
    assert one is not None
    assert two is not None
    theirs = checkpoint.read_weights(two)
    for name, weights in checkpoint.read_weights(one).items():
        torch.testing.assert_close(theirs[name], weights, rtol=0, atol=1e-3)  # steps move them by 0.02


def test_a_batch_is_shared_equally(tmp_path: Path, space: Space, make_recipe: MakeRecipe) -> None:
    """Workers that do not divide the batch are refused, and no directory is left."""
    asked = Asked(space, make_recipe({"batch": 4}), tmp_path / "run", "cpu")
    with pytest.raises(InputError, match="workers: expected a divisor of the recipe's batch of 4 windows, got 3"):
        train_with_workers(asked, 3, "local")
    assert not (tmp_path / "run").exists()


def test_ray_that_is_not_there_is_told(
    tmp_path: Path, space: Space, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the package nothing is begun."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="the package ray is not installed"):
        train_with_workers(Asked(space, make_recipe({"batch": 4}), tmp_path / "run", "cpu"), 2, "local")
    assert not (tmp_path / "run").exists()


def test_a_workers_own_message_is_told() -> None:
    """Where a worker failed with a message for users, that is the error; else what Ray says of it."""
    ours = TrainingError("step 3: the loss of the largest is nan")
    failure = RuntimeError("Training failed")
    failure.worker_failures = {0: RuntimeError("connection closed"), 1: ours}  # type: ignore[attr-defined]
    assert workers._reason(failure) is ours
    assert "the workers failed 4 times: a node died" in str(workers._reason(RuntimeError("a node died")))


def test_gradients_are_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each parameter gets the mean of its own gradients; one without a gradient has none afterwards."""
    parameters = [nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(1))]
    parameters[0].grad, parameters[1].grad = torch.ones(2, 3), torch.arange(4.0)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda together: together.mul_(3))  # 1 + 2 times our own
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    workers.average_gradients(parameters)
    torch.testing.assert_close(parameters[0].grad, torch.full((2, 3), 1.5))
    torch.testing.assert_close(parameters[1].grad, 1.5 * torch.arange(4.0))
    assert parameters[2].grad is None
