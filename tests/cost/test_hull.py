"""Delay-energy hulls: the points that are kept while a matmul is searched, and the hulls that come out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.cost.matmul import best_mappings, hulls
from codesign.cost.points import HULL, OBJECTIVES, hopeless, place
from codesign.cost.prepare import BUFFERINGS, Operands, Options
from tests.cost.enumeration import hull, least, points
from tests.cost.machines import problem, random_accelerators, random_extents, random_technology, value

POINTS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=40)


def kept_of(drawn: list[tuple[int, int]], objective: int, room: int) -> list[tuple[float, float]] | None:
    """Offer points one after the other; return those that are kept, or None if there is no room."""
    table, kept = np.zeros((room, 2)), 0
    for cycles, energy in drawn:
        if not hopeless(objective, table, kept, float(cycles), float(energy)):
            row, kept = place(objective, table, kept, float(cycles), float(energy))
            if row < 0:
                return None
            table[row] = cycles, energy
    return [(c, e) for c, e in table[:kept].tolist()]


@settings(deadline=None, max_examples=500)  # the first call compiles
@given(POINTS)
def test_points_that_are_kept_are_the_hull(drawn: list[tuple[int, int]]) -> None:
    """In whatever order points come, all vertices of their lower left convex hull are kept, and nothing else."""
    cycles, energy = np.array(drawn, dtype=np.float64).T
    expected = hull(cycles, energy)
    assert kept_of(drawn, HULL, 64) == expected
    crowded = kept_of(drawn, HULL, 3)
    assert crowded is None or crowded == expected


@settings(deadline=None, max_examples=200)
@given(POINTS, st.integers(0, 2))
def test_the_best_point_is_kept(drawn: list[tuple[int, int]], objective: int) -> None:
    """With one objective, a single point is kept: one of the least."""
    cycles, energy = np.array(drawn, dtype=np.float64).T
    (best,) = kept_of(drawn, objective, 1) or []
    assert least(OBJECTIVES[objective], *np.array([best]).T) == least(OBJECTIVES[objective], cycles, energy)


def check(seed: int, rows: int, largest: int, perfect: bool) -> None:
    """Compare hulls with those of all enumerated points, and their optima with the best mappings."""
    rng = np.random.default_rng(seed)
    model, chips, extents = random_technology(rng), random_accelerators(rng, rows), random_extents(rng, rows, largest)
    for buffering, modes in BUFFERINGS.items():
        options = Options(buffering=buffering, perfect_factors=perfect)
        found = hulls(extents, chips, model, options, Operands.dense(rows))
        energy = found.energy_pj.sum(axis=1)
        for i in range(rows):
            row = problem(extents[i], chips.take(slice(i, i + 1)), model, "accelforge", modes=modes, perfect=perfect)
            every, vertices = points(row), slice(found.start[i], found.start[i + 1])
            same_hull((found.cycles[vertices], energy[vertices]), every)
        for objective in OBJECTIVES:
            best = value(best_mappings(extents, chips, model, Options(objective, buffering=buffering, perfect_factors=perfect)), objective)  # fmt: skip  # noqa: E501
            ends = [slice(*pair) for pair in zip(found.start[:-1], found.start[1:], strict=True)]
            of_hull = [least(objective, found.cycles[part], energy[part]) for part in ends]
            np.testing.assert_allclose(of_hull, best, rtol=1e-9)


def same_hull(found: tuple[np.ndarray, np.ndarray], every: tuple[np.ndarray, np.ndarray]) -> None:
    """Check that two hulls are one to rounding: a vertex that is all but on a line may be missing."""
    expected = np.array(hull(*every)).reshape(-1, 2).T
    assert (len(found[0]) > 0) == (expected.shape[1] > 0)
    if not len(found[0]):
        return
    assert (np.diff(found[0]) > 0).all()
    assert (np.diff(found[1]) < 0).all()
    np.testing.assert_allclose(np.interp(expected[0], *found), expected[1], rtol=1e-9)
    np.testing.assert_allclose(np.interp(found[0], *expected), found[1], rtol=1e-9)
    np.testing.assert_allclose(found[0][0], expected[0][0])


@pytest.mark.parametrize("perfect", [False, True])
def test_hulls_are_those_of_all_points(perfect: bool) -> None:
    """The hull is that of every form, tile and part; the optimum of each objective is one of its vertices."""
    check(seed=1, rows=25, largest=8, perfect=perfect)


@pytest.mark.long
@pytest.mark.parametrize("perfect", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_hulls_are_those_of_all_points_on_many_rows(seed: int, perfect: bool) -> None:
    """The same on 4,000 more rows."""
    check(seed=10 + seed, rows=100, largest=9, perfect=perfect)
