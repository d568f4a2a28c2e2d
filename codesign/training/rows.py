"""Texts of different lengths as rows of tokens, and which of them a step sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from codesign.design import IntArray
from codesign.text.tokenizer import Tokens
from codesign.training.data import ORDER

POOL = 16
"""Batches whose rows are sorted by length together, so that little of a batch is padding."""


@dataclass(frozen=True)
class Rows:
    """Texts as tokens. What a task adds are arrays of n too."""

    tokens: npt.NDArray[np.int32]  # (n, window); behind the text, ends of documents
    lengths: IntArray  # (n,) tokens of the text itself, 1 to window

    def __len__(self) -> int:
        return len(self.lengths)

    def numbers(self) -> list[npt.NDArray[Any]]:
        """Return all arrays, in the order of the fields."""
        return [getattr(self, one.name) for one in fields(self)]

    def take(self, places: IntArray) -> Self:
        """Return some of the rows."""
        return type(self)(*(array[places] for array in self.numbers()))

    def spread(self, count: int) -> Self:
        """Return so many, evenly spread over all; all where there are fewer."""
        return self.take(spread(len(self), count))

    def padded(self, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Return (n, t) tokens, as long as the longest row, and (n, t) True where a token is no padding."""
        longest = int(self.lengths.max())
        real = np.arange(longest) < self.lengths[:, None]
        tokens = self.tokens[:, :longest].astype(np.int64)
        return torch.as_tensor(tokens, device=device), torch.as_tensor(real, device=device)

    def by_length(self, size: int) -> list[IntArray]:
        """Return the places of all rows in parts of so many, rows of a length together."""
        order = np.argsort(self.lengths, kind="stable")
        return np.split(order, np.arange(0, len(order), size)[1:])


@dataclass
class RowBatches:
    """The rows of each step, a batch of them at least.

    An epoch is an order of its own; what fills no batch waits for the next epoch.
    """

    rows: Rows
    size: int
    seed: int
    _known: dict[int, IntArray] = field(default_factory=dict)

    def at(self, step: int) -> IntArray:
        """Return the (size,) places of a step's rows, the same whatever was asked before."""
        epoch, place = divmod(step, len(self.rows) // self.size)
        if epoch not in self._known:
            self._known = {epoch: self._order(epoch)}
        return np.asarray(self._known[epoch][place])

    def _order(self, epoch: int) -> IntArray:
        """(batches, size) places in the order of training: batches of about equally long rows, shuffled."""
        rng = np.random.default_rng((self.seed, ORDER, epoch))
        shuffled = rng.permutation(len(self.rows))
        pools = np.split(shuffled, np.arange(0, len(shuffled), POOL * self.size)[1:])
        ordered = np.concatenate([pool[np.argsort(self.rows.lengths[pool], kind="stable")] for pool in pools])
        count = len(ordered) // self.size
        return np.asarray(rng.permutation(ordered[: count * self.size].reshape(count, self.size)))


def spread(total: int, count: int) -> IntArray:
    """Return so many of `total` places, evenly spread; all where there are fewer."""
    return np.linspace(0, total - 1, min(count, total)).astype(np.int64)


def filled(texts: Sequence[Tokens], window: int, end: int) -> tuple[npt.NDArray[np.int32], IntArray]:
    """Return (n, window) tokens, ends of documents behind each text, and the (n,) lengths of the texts."""
    rows = np.full((len(texts), window), end, dtype=np.int32)
    for row, tokens in zip(rows, texts, strict=True):
        row[: len(tokens)] = tokens
    return rows, np.array([len(tokens) for tokens in texts], dtype=np.int64)
