"""Expected improvement of the hypervolume: what measuring a shape is worth.

Costs are exact, and quality is believed to be normal in its logarithm. With one cost beside quality, a shape of cost c
and quality q adds the area between the front and itself, so

    E[gain] = ∫_c^r E[max(0, h(t) - q)] dt,   E[max(0, h - q)] = s (z Φ(z) + φ(z)),   z = (h - m) / s

where:
    h(t)  best quality of the front at costs up to t, the reference's where there is none; steps, so a sum
    m, s  mean and standard deviation of q
    r     the reference's cost

Otherwise (more costs, each shape on several accelerators; or no quality) it is moocore's hypervolume with the shape
less that without, averaged over quality at NODES points of Gauss-Hermite quadrature.

Source: Emmerich, Giannakoglou and Naujoks 2006 (IEEE Transactions on Evolutionary Computation 10.4) define it for
normal objectives; here all but one are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr

from codesign.design import FloatArray
from codesign.front import dominated_volume, non_dominated

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)


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

    def worth(self, beliefs: list[Belief]) -> FloatArray:
        """(n,) expected improvements of the hypervolume."""
        if self.quality_at is not None and len(self.reference) == 2:
            return self._areas(beliefs)
        return np.array([self._volume_gain(belief) for belief in beliefs])

    def with_point(self, belief: Belief) -> Target:
        """Return the target as if the shape had been measured as it is believed to be."""
        if belief.quality > self.most_quality:
            return self
        merged = np.concatenate([self.front, self.points(belief.quality, belief.costs)])
        return Target(merged[non_dominated(merged)], self.reference, self.quality_at, self.most_quality)

    def points(self, quality: float, costs: FloatArray) -> FloatArray:
        """(k, objectives) of one shape on its accelerators."""
        if self.quality_at is None:
            return costs
        return np.insert(costs, self.quality_at, quality, axis=1)

    def _areas(self, beliefs: list[Belief]) -> FloatArray:
        """(n,) expected areas; see the module."""
        place = self.quality_at or 0
        order = np.argsort(self.front[:, 1 - place], kind="stable")
        steps, height = self.front[order, 1 - place], self.front[order, place]
        worst = min(self.reference[place], self.most_quality)
        height = np.minimum(np.concatenate([[worst], height]), worst)
        begins, ends = np.concatenate([[-np.inf], steps]), np.concatenate([steps, [np.inf]])
        cost = np.array([belief.costs[0, 0] for belief in beliefs])[:, None]
        width = np.minimum(ends, self.reference[1 - place]) - np.maximum(begins, cost)
        mean = np.array([belief.quality for belief in beliefs])[:, None]
        error = np.maximum(np.array([belief.error for belief in beliefs]), LEAST_ERROR)[:, None]
        z = (height - mean) / error
        density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        return np.asarray((np.maximum(width, 0.0) * error * (z * ndtr(z) + density)).sum(axis=1))

    def _volume_gain(self, belief: Belief) -> float:
        values = belief.quality + belief.error * NODES
        gains = [self._gain(value, belief.costs) if value <= self.most_quality else 0.0 for value in values]
        return float(WEIGHTS @ gains / WEIGHTS.sum())

    def _gain(self, quality: float, costs: FloatArray) -> float:
        merged = np.concatenate([self.front, self.points(quality, costs)])
        return dominated_volume(merged, self.reference) - self._volume

    @cached_property
    def _volume(self) -> float:
        return dominated_volume(self.front, self.reference)


LEAST_ERROR = 1e-9
"""Of a shape whose quality is certain, so that no division is by 0."""
