"""Expected improvement of the hypervolume: what measuring a shape is worth.

Costs are exact, and quality is believed to be normal in its logarithm: the hypervolume of the front with the shape, on
all of its accelerators, less that without, averaged over quality at NODES points of Gauss-Hermite quadrature.

Source: Emmerich, Giannakoglou and Naujoks 2006 (IEEE Transactions on Evolutionary Computation 10.4) define it for
normal objectives; here all but one are known, which leaves one integral.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from codesign.design import FloatArray
from codesign.front import dominated_volume, non_dominated

NODES = 7


@dataclass(frozen=True)
class Belief:
    """What is believed of one shape: quality, and its costs on each of k accelerators, all logarithms."""

    quality: float
    error: float
    costs: FloatArray  # (k, cost objectives)


@dataclass(frozen=True)
class Target:
    """What an improvement is measured against."""

    front: FloatArray  # (f, objectives) logarithms, quality in its place
    reference: FloatArray  # (objectives,)
    quality_at: int | None
    """Position of quality among the objectives; None where it is none."""
    most_quality: float
    """Logarithm of the worst quality that is feasible; inf = any."""

    def worth(self, belief: Belief) -> float:
        """Return the expected improvement of the hypervolume."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES if belief.error > 0 else 1)
        values = belief.quality + belief.error * nodes
        gains = [self._gain(value, belief.costs) if value <= self.most_quality else 0.0 for value in values]
        return float(weights @ gains / weights.sum())

    def with_point(self, belief: Belief) -> Target:
        """Return the target as if the shape had been measured as it is believed to be."""
        if belief.quality > self.most_quality:
            return self
        merged = np.concatenate([self.front, self.points(belief.quality, belief.costs)])
        return Target(merged[non_dominated(merged)], self.reference, self.quality_at, self.most_quality)

    def _gain(self, quality: float, costs: FloatArray) -> float:
        points = self.points(quality, costs)
        return dominated_volume(np.concatenate([self.front, points]), self.reference) - self._volume

    @cached_property
    def _volume(self) -> float:
        return dominated_volume(self.front, self.reference)

    def points(self, quality: float, costs: FloatArray) -> FloatArray:
        """(k, objectives) of one shape on its accelerators."""
        if self.quality_at is None:
            return costs
        return np.insert(costs, self.quality_at, quality, axis=1)
