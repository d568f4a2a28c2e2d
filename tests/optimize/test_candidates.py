"""Which candidates are measured."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codesign.optimize.candidates import NOTHING, Candidates, joined, most_worth
from codesign.optimize.improvement import Belief, Target

LOGS = st.floats(-1, 1)
QUALITIES = st.tuples(LOGS, st.floats(0.01, 0.5), LOGS, st.sampled_from([0.0, 0.0, 0.0, 0.3]), st.floats(-1, 1))


@st.composite
def pools(draw: st.DrawFn) -> Candidates:
    """Candidates of any belief, some of them beyond a limit."""
    rows = draw(st.lists(QUALITIES, min_size=1, max_size=40))
    beliefs = [Belief(mean, error, np.array([[cost]])) for mean, error, cost, _, _ in rows]
    excess, behind = np.array([row[3:] for row in rows]).T
    return Candidates(np.arange(len(rows))[:, None], beliefs, excess, behind)


def plainly(pool: Candidates, target: Target, count: int) -> list[float]:
    """What each choice is worth when all that is left is computed again after each."""
    left, gained = list(range(len(pool.shapes))), []
    while left and len(gained) < count:
        worth = target.worth([pool.beliefs[row] for row in left]) * (pool.excess[left] == 0)
        worth[worth < NOTHING] = 0.0
        best = left.pop(int(np.lexsort((pool.behind[left], pool.excess[left], -worth))[0]))
        gained.append(float(worth.max()))
        if pool.excess[best] == 0:
            target = target.with_point(pool.beliefs[best])
    return gained


@given(pools(), st.integers(1, 30))
def test_each_choice_is_worth_most_after_those_before_it(pool: Candidates, count: int) -> None:
    """What is not computed again would not have been chosen: the gains are those of the plain greedy choice."""
    target = Target(np.array([[0.0, 0.0]]), np.array([1.0, 1.0]), 0, np.inf)
    chosen = most_worth(pool, target, count)[:, 0]
    assert len(set(chosen.tolist())) == len(chosen) == min(count, len(pool.shapes))
    for row, expected in zip(chosen.tolist(), plainly(pool, target, count), strict=True):
        worth = float(target.worth([pool.beliefs[row]])[0]) if pool.excess[row] == 0 else 0.0
        np.testing.assert_allclose(0.0 if worth < NOTHING else worth, expected, rtol=1e-9, atol=1e-11)
        if pool.excess[row] == 0:
            target = target.with_point(pool.beliefs[row])


@given(pools())
def test_what_is_beyond_a_limit_comes_last(pool: Candidates) -> None:
    """Chosen are first all within the limits, then the others by how far beyond they are."""
    target = Target(np.array([[0.0, 0.0]]), np.array([1.0, 1.0]), 0, np.inf)
    excess = pool.excess[most_worth(joined(pool, pool), target, 80)[:, 0]]
    within = int((excess == 0).sum())
    assert not excess[:within].any()
    assert (np.diff(excess[within:]) >= 0).all()
