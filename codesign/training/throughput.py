"""How fast a sandwich trains, against a plain model of its sub-networks' average size trained plainly."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional

from codesign.elastic.extract import extract
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.transformer import Elastic
from codesign.space import SearchSpace
from codesign.training.data import Batches, TrainingText
from codesign.training.identity import identity_of
from codesign.training.optimiser import Optimiser
from codesign.training.recipe import Recipe
from codesign.training.sampling import Sampler
from codesign.training.schedule import at_step
from codesign.training.steps import autocast, one_step


@dataclass(frozen=True)
class Throughput:
    """Medians over the steps of one run, in which both kinds of steps alternate."""

    sandwich: float
    """Sub-network tokens/s: each step trains several sub-networks on all its tokens."""
    plain: float
    """Tokens/s of the plain model."""
    average_size: float
    """Weights of attention and FFN in the sandwich's sub-networks, averaged."""
    plain_size: int
    """The same of the plain model: a drawn sub-network, the nearest to the average."""

    @property
    def ratio(self) -> float:
        """Sub-network tokens/s over the plain model's tokens/s."""
        return self.sandwich / self.plain


def throughput(space: SearchSpace, recipe: Recipe, text: TrainingText, steps: int, *, dense: bool) -> Throughput:
    """Measure both on this machine, with the recipe's threads and precision.

    Args:
        space: whose sub-networks are trained.
        recipe: how; the plain model has the same batch, optimiser and precision, and learns from the text only.
        text: the recipe's text.
        steps: timed steps of each kind, after one that is not timed.
        dense: leave the pruning and rounding of weights and activations away, which the plain model never has.
    """
    torch.set_num_threads(recipe.threads)
    sampler = Sampler(space, recipe.seed)
    identity = identity_of(space, recipe, text)
    width = identity.architecture.head_width
    sandwiches = [_sandwich(sampler, recipe, step, dense=dense) for step in range(steps + 1)]
    sizes = {setting: size(setting, width) for sandwich in sandwiches for setting in sandwich}
    average = statistics.mean(sizes[setting] for sandwich in sandwiches for setting in sandwich)
    chosen = min(sizes, key=lambda setting: abs(sizes[setting] - average))
    model = Elastic(identity.architecture, recipe.seed)
    plain = extract(model, uncompressed(chosen)).train()
    ours, theirs = (Optimiser(dict(one.named_parameters()), recipe) for one in (model, plain))
    batches = Batches(text.train.tokens, recipe.text.window, recipe.batch, recipe.seed)
    seconds: list[tuple[float, float]] = []
    for step, sandwich in enumerate(sandwiches):
        batch = torch.as_tensor(batches.at(step), dtype=torch.long)
        seconds.append(
            (
                _timed(lambda b=batch, s=sandwich: _sandwich_step(model, ours, b, s, recipe)),  # type: ignore[misc]
                _timed(lambda b=batch: _plain_step(plain, theirs, b, recipe)),  # type: ignore[misc]
            )
        )
    sandwich_time, plain_time = (statistics.median(column) for column in zip(*seconds[1:], strict=True))
    tokens = recipe.batch * recipe.text.window
    return Throughput(
        sandwich=len(sandwiches[0]) * tokens / sandwich_time,
        plain=tokens / plain_time,
        average_size=average,
        plain_size=sizes[chosen],
    )


def size(setting: Setting, head_width: int) -> int:
    """Count the weights of attention and FFN matrices (two a FFN; a gate is left out, in both models)."""
    per_channel = sum(4 * layer.heads * head_width + 2 * layer.ffn for layer in setting.layers)
    return setting.hidden * per_channel


def uncompressed(setting: Setting) -> Setting:
    """Return a sub-network of the same sizes with dense float weights and whole attention."""
    return replace(setting, layers=tuple(LayerSetting(layer.heads, layer.ffn) for layer in setting.layers))


def _sandwich(sampler: Sampler, recipe: Recipe, step: int, *, dense: bool) -> list[Setting]:
    drawn = sampler.sandwich(step, recipe.sandwich.random_settings)
    return [uncompressed(setting) if dense else at_step(setting, recipe.steps, recipe.pruning) for setting in drawn]


def _sandwich_step(
    model: Elastic, optimiser: Optimiser, batch: torch.Tensor, settings: Sequence[Setting], recipe: Recipe
) -> None:
    one_step(model, batch, settings, recipe)
    nn.utils.clip_grad_norm_(model.parameters(), recipe.optimiser.clip)
    optimiser.step(1.0)


def _plain_step(model: nn.Module, optimiser: Optimiser, batch: torch.Tensor, recipe: Recipe) -> None:
    model.zero_grad(set_to_none=True)
    with autocast(batch.device.type, recipe):
        logits = model(batch[:, :-1].contiguous())
    functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten()).backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), recipe.optimiser.clip)
    optimiser.step(1.0)


def _timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
