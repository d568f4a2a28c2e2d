"""A measuring proxy in two rungs: the cheap one adds noise that differs from shape to shape, the dear one a tenth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from codesign.accuracy import Quality
from codesign.accuracy.proxy import SHAPE_GENES, Errors
from codesign.design import Family, FloatArray, ModelShape
from codesign.errors import ProxyError


def true_logs(shape: ModelShape) -> FloatArray:
    """(n,) what no rung quite measures: larger models are better."""
    ffn, heads = shape.ffn.sum(axis=(1, 2)), shape.heads.sum(axis=(1, 2))
    return np.asarray(9.0 - 0.3 * np.log(shape.hidden) - 0.1 * np.log1p(ffn) - 0.1 * np.log1p(heads))


@dataclass(frozen=True)
class Rungs:
    """Deterministic: a shape's noise is drawn from its own numbers."""

    name: str = "tests.optimize.rungs:RUNGS"
    noise: float = 0.05
    dearer: bool = True
    fails_after: list[int] = field(default_factory=list)
    """Designs that the dear rung measures before it fails, if anything is in the list."""
    reads: frozenset[str] = SHAPE_GENES

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """Accept every space."""

    def predict(self, shape: ModelShape) -> Quality:
        """The true logarithm and noise."""
        if not self.dearer and self.fails_after:
            self.fails_after[0] -= len(shape)
            if self.fails_after[0] < 0:
                raise ProxyError("out of order")
        value = np.exp(true_logs(shape) + self.noise * self._drawn(shape))
        return Quality("perplexity", value, np.full(len(shape), self.noise), np.zeros(len(shape), dtype=np.bool_))

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Errors | None = None) -> FloatArray:  # noqa: ARG002
        """Independent noise, none between equal shapes."""
        return np.where(self._drawn(shape) == self._drawn(baseline), 0.0, self.noise * np.sqrt(2.0))

    def full(self) -> Rungs | None:
        """The rung with a tenth of the noise."""
        return replace(self, noise=self.noise / 10, dearer=False) if self.dearer else None

    def _drawn(self, shape: ModelShape) -> FloatArray:
        """(n,) standard normal numbers."""
        columns = [shape.layers, shape.hidden[:, None], shape.heads[:, 0], shape.ffn[:, 0]]
        rows = np.concatenate(columns, axis=1).astype(np.int64)
        seeds = [int.from_bytes(hashlib.sha256(row.tobytes()).digest()[:8], "little") for row in rows]
        return np.array([np.random.default_rng(seed).normal() for seed in seeds])


RUNGS = Rungs()
"""What the name finds."""
