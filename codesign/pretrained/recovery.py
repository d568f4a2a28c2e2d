"""A short fine-tune, and the whole comparison: published, cut, cut and recovered."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from codesign.design import FloatArray
from codesign.errors import CodesignError, InputError
from codesign.pretrained.model import Checkpoint
from codesign.pretrained.objective import Comparison, Network, Objective, compared
from codesign.pretrained.operating import operate
from codesign.pretrained.surgery import Surgery

WARM_UP = 0.1
"""Fraction of the steps over which the learning rate rises; then it falls to 0, both linearly."""
CLIP = 1.0
WEIGHT_DECAY = 0.01


class DivergedError(CodesignError):
    """The loss or the weights of a fine-tune are no longer numbers."""


def fine_tuned(network: Network, objective: Objective, steps: int, learning_rate: float) -> Network:
    """Return a copy of a network after AdamW steps (Loshchilov 2019) on all its weights; zeros stay zeros.

    Raises:
        DivergedError: the loss or a weight became infinite or NaN, be it in the last step.
        InputError: negative steps or a learning rate that is not a number above 0.
    """
    check_fine_tune(steps, learning_rate)
    made = copy.deepcopy(network)
    weights = [*made.checkpoint.body.parameters(), *(made.head.parameters() if made.head is not None else ())]
    optimiser = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=WEIGHT_DECAY)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * _scheduled(step, steps)
        loss = objective.losses(made, step).mean()
        _check_loss(loss, step, learning_rate)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, CLIP)
        optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    if steps:
        _check_end(made, objective, steps, learning_rate)
    return made


def check_fine_tune(steps: int, learning_rate: float) -> None:
    """Refuse a fine-tune that cannot be.

    Raises:
        InputError: negative steps or a learning rate that is not a number above 0.
    """
    if steps < 0 or not 0 < learning_rate < math.inf:
        raise InputError(f"steps, learning rate: expected 0 or more and a number above 0, got {steps}, {learning_rate}")


def _check_loss(loss: torch.Tensor, step: int, learning_rate: float) -> None:
    if not math.isfinite(loss.item()):
        raise DivergedError(f"fine-tune: the loss is {loss.item()} at step {step}; lower the learning rate, "
                            f"{learning_rate}")  # fmt: skip


@torch.no_grad()
def _check_end(made: Network, objective: Objective, steps: int, learning_rate: float) -> None:
    """Refuse what the last step left: its loss is that of no step."""
    ruined = [name for name, weight in made.checkpoint.body.named_parameters() if not weight.isfinite().all()]
    if ruined:
        raise DivergedError(f"fine-tune: {len(ruined)} weights are not finite after {steps} steps, {ruined[0]} first; "
                            f"lower the learning rate, {learning_rate}")  # fmt: skip
    _check_loss(objective.losses(made, steps).mean(), steps, learning_rate)


def _scheduled(step: int, steps: int) -> float:
    warm = max(1, round(WARM_UP * steps))
    return (step + 1) / warm if step < warm else (steps - step) / max(1, steps - warm)


@dataclass(frozen=True)
class Stage:
    """One network of the comparison."""

    name: str
    network: Network
    result: Comparison
    """Beside the published network."""
    details: dict[str, float] = field(default_factory=dict)
    """Other figures of the task."""


def published(checkpoint: Checkpoint, objective: Objective, tune: int, learning_rate: float) -> Network:
    """Return the network that surgeries are compared with: its own or a fitted head, then `tune` steps on the task."""
    head = objective.published_head
    network = objective.fitted(checkpoint) if head is None else Network(checkpoint, head)
    return fine_tuned(network, objective, tune, learning_rate)


def stages(
    network: Network, surgery: Surgery, objective: Objective, recover: int, learning_rate: float
) -> Iterator[Stage]:
    """Measure a network before and after a surgery, one after the other.

    Args:
        network: the published one, with its head.
        surgery: what happens.
        objective: the task.
        recover: steps of the fine-tune after the surgery; 0 = none.
        learning_rate: of that fine-tune.

    Yields:
        published; cut (the same head); refitted (where there is a head: a new one on what the cut network computes);
        recovered (all weights, `recover` steps, from the refitted head).
    """
    before = objective.scores(network)
    yield Stage("published", network, compared(before, before), objective.details(network))
    cut = Network(operate(network.checkpoint, surgery, _with_head(network, objective)), network.head)
    yield _stage("cut", cut, objective, before)
    if network.head is not None:
        cut = objective.fitted(cut.checkpoint)
        yield _stage("refitted", cut, objective, before)
    if recover:
        yield _stage("recovered", fine_tuned(cut, objective, recover, learning_rate), objective, before)


def _stage(name: str, network: Network, objective: Objective, before: FloatArray) -> Stage:
    return Stage(name, network, compared(objective.scores(network), before), objective.details(network))


def _with_head(network: Network, objective: Objective) -> Callable[[Checkpoint, int], torch.Tensor]:
    return lambda checkpoint, batch: objective.losses(Network(checkpoint, network.head), batch)
