"""Shapes that a bilevel search could measure next, and the choice among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.design import FloatArray, IntArray
from codesign.optimize.improvement import Belief, Target

NOTHING = 1e-12
"""Improvements that are rounding."""


@dataclass(frozen=True)
class Candidates:
    """n shapes that could be measured, and what is believed of them."""

    shapes: IntArray  # (n, genes), accelerator genes 0
    beliefs: list[Belief]
    excess: FloatArray  # (n,) over the limits of cost; 0 = feasible
    behind: FloatArray  # (n,) how far behind the front they are, taken to be better than expected

    def take(self, rows: IntArray) -> Candidates:
        """Return the candidates at `rows`, in that order."""
        beliefs = [self.beliefs[row] for row in rows.tolist()]
        return Candidates(self.shapes[rows], beliefs, self.excess[rows], self.behind[rows])

    def nearest(self, count: int) -> Candidates:
        """Return those that exceed the limits least and then are behind least; of equals the first."""
        return self.take(np.lexsort((self.behind, self.excess))[:count])


def joined(one: Candidates, two: Candidates) -> Candidates:
    """Return the candidates of both."""
    return Candidates(
        np.concatenate([one.shapes, two.shapes]),
        one.beliefs + two.beliefs,
        np.concatenate([one.excess, two.excess]),
        np.concatenate([one.behind, two.behind]),
    )


def most_worth(pool: Candidates, target: Target, count: int) -> IntArray:
    """Choose shapes one after the other, each as if those before it had been measured as they are believed to be.

    Those that nobody expects to improve anything are taken by how near they are, and those beyond a limit last.
    """
    left = list(range(len(pool.shapes)))
    chosen: list[int] = []
    while left and len(chosen) < count:
        worth = target.worth([pool.beliefs[row] for row in left]) * (pool.excess[left] == 0)
        worth[worth < NOTHING] = 0.0
        best = left.pop(int(np.lexsort((pool.behind[left], pool.excess[left], -worth))[0]))
        chosen.append(best)
        if pool.excess[best] == 0:
            target = target.with_point(pool.beliefs[best])
    return pool.shapes[chosen]
