"""The state of a training and what a step does to it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from codesign.elastic.setting import Setting
from codesign.elastic.spans import SoftSpans
from codesign.elastic.transformer import Elastic
from codesign.training import checkpoint
from codesign.training.checkpoint import Position
from codesign.training.errors import TrainingError
from codesign.training.identity import Identity
from codesign.training.lessons import Text, lessons_of
from codesign.training.optimiser import Optimiser, clip
from codesign.training.recipe import Recipe
from codesign.training.sampling import Draws
from codesign.training.schedule import at_step, learning_rate

SMOOTHING = 0.98
"""Share of the old value in the smoothed loss at each step."""

BEGINNING = Position(0, 0.0, None, None)


def _nothing(_: Iterable[nn.Parameter]) -> None:
    """Average gradients of a training that has one worker."""


@dataclass(frozen=True)
class Worker:
    """One of several processes that train the same model on different windows of each batch.

    Every worker draws the same sub-networks; `average` is called between backward and clipping and replaces each
    `.grad` by its mean over the workers (torch.distributed.all_reduce). Gradients are projected before, in each worker.
    """

    rank: int = 0
    count: int = 1
    average: Callable[[Iterable[nn.Parameter]], None] = _nothing


@dataclass(frozen=True)
class Step:
    """What a step found, for the log and for who watches."""

    step: int
    """Steps done, this one included."""
    steps: int
    largest: float
    """Losses with the text on this worker's part, nats a token; of a classifier nats a sentence, at its last exit."""
    smallest: float
    """The largest's again where a step trains one sub-network."""
    random: float | None
    """Mean of the drawn sub-networks; None where there are none."""
    learning_rate: float
    gradient_norm: float
    """Before clipping."""
    tokens: int
    """Of the text, seen so far by all workers; each was trained on by every sub-network of its step."""
    settings: int
    """Sub-networks a step."""
    seconds: float


@dataclass
class Trainer:
    """A model on its way through a recipe."""

    directory: Path
    model: Elastic
    identity: Identity
    text: Text
    sampler: Draws
    device: str
    worker: Worker
    position: Position = BEGINNING
    spans: SoftSpans | None = field(init=False)
    optimiser: Optimiser = field(init=False)
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.spans = None
        if recipe.spans.loss:
            a = self.identity.architecture
            self.spans = SoftSpans(a, recipe.spans.ramp, recipe.spans.start).to(self.device)
        self.optimiser = Optimiser(self.parameters(), recipe)
        self.lessons = lessons_of(self.text, recipe)
        self._since = time.monotonic()

    @property
    def recipe(self) -> Recipe:
        """The recipe in force."""
        return self.identity.recipe

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return everything that is trained, by name."""
        spans = {} if self.spans is None else {f"spans.{name}": p for name, p in self.spans.named_parameters()}
        return dict(self.model.named_parameters()) | spans

    @property
    def seconds(self) -> float:
        """Time spent so far, interruptions left out."""
        return self.position.seconds + time.monotonic() - self._since

    def settings(self) -> list[Setting]:
        """Return the sub-networks of the next step, as dense as the schedule has them."""
        step = self.position.step
        drawn = self.sampler.sandwich(step, self.recipe.sandwich.random_settings)
        return [at_step(setting, step, self.recipe.pruning) for setting in drawn]

    def step(self) -> Step:
        """Train one step.

        Raises:
            TrainingError: a loss or the gradient is not finite, or the loss has risen too far; the weights are those
                before the step.
        """
        recipe, step, settings = self.recipe, self.position.step, self.settings()
        rate = learning_rate(step, recipe.steps, recipe.optimiser)
        mine = slice(self.worker.rank, None, self.worker.count)
        found = self.lessons.gradients(self.model, step, mine, settings, self.spans)
        trained = self.parameters()
        self.worker.average(trained.values())
        norm = clip(trained, recipe.optimiser.clip)
        *losses, gradient_norm = torch.cat([found, norm[None]]).tolist()
        self._check(step, rate, losses, gradient_norm)
        self.optimiser.step(rate / recipe.optimiser.learning_rate)
        if self.spans is not None:
            self.spans.clamp()
        self._advance(losses[0])
        drawn = losses[2:]
        return Step(
            step=step + 1,
            steps=recipe.steps,
            largest=losses[0],
            smallest=losses[min(1, len(losses) - 1)],
            random=math.fsum(drawn) / len(drawn) if drawn else None,
            learning_rate=rate,
            gradient_norm=gradient_norm,
            tokens=(step + 1) * self.lessons.tokens,
            settings=len(settings),
            seconds=self.seconds,
        )

    def save(self) -> Path:
        """Write a checkpoint; see `checkpoint.save`."""
        self.position = Position(self.position.step, self.seconds, self.position.smoothed, self.position.lowest)
        self._since = time.monotonic()
        return checkpoint.save(self.directory, self.parameters(), self.optimiser, self.position, self.identity)

    def restore(self) -> bool:
        """Continue from the last checkpoint, if there is one; see `checkpoint.restore`."""
        path = checkpoint.newest(self.directory)
        if path is not None:
            self.position = checkpoint.restore(path, self.parameters(), self.optimiser, self.identity)
        self._since = time.monotonic()
        return path is not None

    def _advance(self, loss: float) -> None:
        old = self.position
        smoothed = loss if old.smoothed is None else SMOOTHING * old.smoothed + (1 - SMOOTHING) * loss
        lowest = smoothed if old.lowest is None else min(old.lowest, smoothed)
        self.position = Position(old.step + 1, old.seconds, smoothed, lowest)

    def _check(self, step: int, rate: float, losses: list[float], gradient_norm: float) -> None:
        kinds = ["the largest", "the smallest", *(f"drawn sub-network {i}" for i in range(len(losses) - 2))]
        named = [*((f"the loss of {kind}", loss) for kind, loss in zip(kinds, losses, strict=False))]
        for what, value in (*named, ("the norm of the gradient", gradient_norm)):
            if not math.isfinite(value):
                raise self._diverged(step, rate, f"{what} is {value}")
        old, most = self.position, self.recipe.divergence
        if old.smoothed is not None and old.lowest is not None and old.smoothed > old.lowest + most:
            raise self._diverged(
                step,
                rate,
                f"the loss of the largest, smoothed, is {old.smoothed:.3f}, more than {most:g} above its "
                f"lowest {old.lowest:.3f}",
            )

    def _diverged(self, step: int, rate: float, what: str) -> TrainingError:
        kept = checkpoint.last_good(checkpoint.newest(self.directory))
        return TrainingError(
            f"{self.directory}: step {step}: {what} at a learning rate of {rate:.3g}; {kept}; train anew with a lower "
            "optimiser.learning_rate or optimiser.clip, or a longer warm-up"
        )
