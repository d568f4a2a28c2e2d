"""The mappings worth keeping while a matmul is searched: the best one, or the hull of delay and energy.

A point is a row (cycles, energy, what the mapping is). Of two mappings, the one with no more cycles and energy is
better whatever is wanted. With one objective a single point is kept; with HULL, all vertices of the lower left convex
hull, by ascending cycles and descending energy: they hold the optimum of every objective that grows in both and is
quasi-concave (energy-delay product, weighted sums, each alone), for this matmul and for any sum that it is part of.
"""

from __future__ import annotations

from codesign.cost.kernels import jit
from codesign.design import FloatArray

OBJECTIVES = ("edp", "energy", "delay")
EDP, ENERGY, DELAY, HULL = 0, 1, 2, 3

SLACK = 1.0 - 1e-9
"""Bounds are lowered by this much, so that their rounding does not hide an optimum."""


@jit
def _no_better(objective: int, cycles: float, energy: float, kept_cycles: float, kept_energy: float) -> bool:
    """Whether a point is no improvement over one that is kept; ties go to the lower energy-delay product."""
    if objective == EDP:
        return cycles * energy >= kept_cycles * kept_energy
    if objective == ENERGY:
        return energy > kept_energy or (energy == kept_energy and cycles >= kept_cycles)
    return cycles > kept_cycles or (cycles == kept_cycles and energy >= kept_energy)


@jit
def hopeless(objective: int, points: FloatArray, kept: int, cycles: float, energy: float) -> bool:
    """Whether nothing with at least these cycles and this energy improves on the points that are kept."""
    if kept == 0:
        return False
    if objective != HULL:
        return _no_better(objective, cycles, energy, points[0, 0], points[0, 1])
    if cycles < points[0, 0] or energy < points[kept - 1, 1]:
        return False
    if cycles >= points[kept - 1, 0]:
        return True
    right = 1
    while points[right, 0] <= cycles:
        right += 1
    run, rise = points[right, 0] - points[right - 1, 0], points[right, 1] - points[right - 1, 1]
    return bool((energy - points[right - 1, 1]) * run >= rise * (cycles - points[right - 1, 0]))


@jit
def place(objective: int, points: FloatArray, kept: int, cycles: float, energy: float) -> tuple[int, int]:
    """Make room for a point that is not hopeless, and drop what it makes superfluous.

    Args:
        objective: one of OBJECTIVES by position, or HULL.
        points: (room, columns) the points kept; the first two columns are cycles and energy.
        kept: how many.
        cycles: of the new point.
        energy: of the new point.

    Returns:
        the row where the caller has to write the point, and how many are kept with it; row -1 if there is no room.
    """
    if objective != HULL:
        return 0, 1
    first = 0  # of those that the new point may remove: all before are faster
    while first < kept and points[first, 0] < cycles:
        first += 1
    last = first  # those from here on need less energy
    while last < kept and points[last, 1] >= energy:
        last += 1
    while first >= 2 and _above(points, first - 2, first - 1, cycles, energy):
        first -= 1
    while last <= kept - 2 and _above(points, last + 1, last, cycles, energy):
        last += 1
    after = kept - last
    if first + 1 + after > len(points):
        return -1, kept
    if first + 1 > last:
        for row in range(kept - 1, last - 1, -1):
            _copy(points, row, row + 1 + first - last)
    elif first + 1 < last:
        for row in range(last, kept):
            _copy(points, row, row + 1 + first - last)
    return first, first + 1 + after


@jit
def _copy(points: FloatArray, source: int, target: int) -> None:
    for column in range(points.shape[1]):
        points[target, column] = points[source, column]


@jit
def _above(points: FloatArray, far: int, near: int, cycles: float, energy: float) -> bool:
    """Whether a neighbour of the new point lies on or above the line from its own neighbour, far, to the new point."""
    far_run, far_rise = points[far, 0] - cycles, points[far, 1] - energy
    near_run, near_rise = points[near, 0] - cycles, points[near, 1] - energy
    return bool(near_rise * abs(far_run) >= far_rise * abs(near_run))
