"""Shapes that a bilevel search could measure next, and the choice among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.design import FloatArray, IntArray
from codesign.optimize.improvement import Belief, Target

NOTHING = 1e-12
"""Improvements that are rounding."""


LOOKED_AT = 16
"""Candidates whose worth is computed again at once."""


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

    Those that nobody expects to improve anything are taken by how near they are, and those beyond a limit last. What a
    shape is worth only falls while others are chosen, so it is computed again only for those that were worth most
    before (the accelerated greedy algorithm, Minoux 1978).
    """
    worth, fresh = np.full(len(pool.shapes), np.inf), np.zeros(len(pool.shapes), dtype=np.bool_)
    worth[pool.excess != 0] = 0.0
    fresh[pool.excess != 0] = True
    left = np.ones(len(pool.shapes), dtype=np.bool_)
    chosen: list[int] = []
    while left.any() and len(chosen) < count:
        rows = np.flatnonzero(left)
        order = rows[np.lexsort((pool.behind[rows], pool.excess[rows], -worth[rows]))]
        best = int(order[0])
        if not fresh[best]:
            stale = order[: LOOKED_AT if chosen else None]
            stale = stale[~fresh[stale]]
            found = target.worth([pool.beliefs[row] for row in stale.tolist()])
            worth[stale], fresh[stale] = np.where(found < NOTHING, 0.0, found), True
            continue
        chosen.append(best)
        left[best] = False
        if pool.excess[best] == 0:
            target = target.with_point(pool.beliefs[best])
            fresh = (worth == 0) | ~left
    return pool.shapes[chosen]
