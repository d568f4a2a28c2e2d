"""What a network is judged by: losses of training batches, scores of held-out examples, compared in pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor, nn

from codesign.design import FloatArray, IntArray
from codesign.errors import InputError
from codesign.pretrained.model import Checkpoint


@dataclass(frozen=True)
class Network:
    """A checkpoint, and the head that a task needs on top of it."""

    checkpoint: Checkpoint
    head: nn.Linear | None = None


@dataclass(frozen=True)
class Objective:
    """A task of the user."""

    measure: Literal["accuracy", "perplexity", "f1"]
    losses: Callable[[Network, int], Tensor]
    """Number of a training batch -> (b,) loss of each example; the same number gives the same batch."""
    scores: Callable[[Network], FloatArray]
    """(n,) of held-out examples: 1 right, 0 wrong; F1 of an answer; nats a token. NaN where a network computes none."""
    fitted: Callable[[Checkpoint], Network]
    """A network with a head fitted on what the checkpoint computes, if the task has a head."""
    tokens_per_word: float | None = None
    """Of the text, where scores are nats a token of it."""
    classes: tuple[str, ...] = ()
    """Of the head's outputs: the names, where the user's files name them and a head tells them apart."""
    details: Callable[[Network], dict[str, float]] = lambda _network: {}
    """Named figures beside the mean score."""
    published_head: nn.Linear | None = None
    """Of the checkpoint, where it was published for such a task."""


@dataclass(frozen=True)
class Comparison:
    """Scores of a network beside those of another one on the same examples."""

    mean: float
    standard_error: float
    """Over examples."""
    difference: float
    """Of means, less the other's."""
    difference_standard_error: float
    """Paired: what both find hard cancels."""


def compared(scores: FloatArray, other: FloatArray) -> Comparison:
    """Compare scores of the same n >= 2 examples.

    Raises:
        InputError: different numbers of examples, fewer than two, or scores that are infinite or NaN.
    """
    if len(scores) != len(other) or len(scores) < 2:
        raise InputError(f"scores: expected the same two or more examples, got {len(scores)} and {len(other)}")
    for values in (scores, other):
        if ruined := int((~np.isfinite(values)).sum()):
            raise InputError(f"scores: expected numbers, got {ruined} of {len(values)} that are infinite or NaN: the "
                             "network's weights are not finite, or too large to compute with")  # fmt: skip
    gap = scores - other
    return Comparison(float(scores.mean()), _error(scores), float(gap.mean()), _error(gap))


def batch_rows(n: int, size: int, batch: int, seed: int) -> IntArray:
    """Return (size,) rows of a training batch: each pass goes through all n in an order of its own."""
    if not 1 <= size <= n:
        raise InputError(f"batch: expected 1..{n}, as there are {n} training examples, got {size}")
    rounds = n // size
    order = np.random.default_rng((seed, batch // rounds)).permutation(n)
    start = batch % rounds * size
    return order[start : start + size]


def _error(values: FloatArray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))
