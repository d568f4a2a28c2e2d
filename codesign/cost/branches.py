"""Lower bounds that cut branches of the search for a mapping: what cannot cost less than what is kept is not tried.

Roles, forms and x, z as in `mapping`.
"""

from __future__ import annotations

import numpy as np

from codesign.cost.buffers import largest_stream_tile, part_on_array, span
from codesign.cost.kernels import jit
from codesign.cost.points import SLACK, hopeless
from codesign.cost.task import H, P, Q, Task, measure
from codesign.cost.tiles import PIECES, STEPS, TRIPS, ceil_div
from codesign.design import FloatArray

Cut = tuple[int, int, int, int]
"""How a dimension on the array is cut: tile, trips, steps, pieces."""


@jit
def fetches(x: int, row: Cut, column: Cut, trips: int) -> tuple[float, float, float]:
    """Return how often H, P and Q are fetched with so many stream trips."""
    return (
        1.0 if x == H else float(trips),
        1.0 if x == P else float(column[TRIPS]),
        1.0 if x == Q else float(row[TRIPS]),
    )


@jit
def is_hopeless(
    task: Task, table: FloatArray, x: int, row: Cut, column: Cut, trips: int, points: FloatArray, kept: int
) -> bool:
    """Whether ideal cycles and energy say that these tiles are not worth a try with so many stream trips or more."""
    fetched = fetches(x, row, column, trips)
    single = x == H and row[PIECES] == row[TRIPS] and column[PIECES] == column[TRIPS]
    least_loads = max(task.least_loads, 1.0 if single else float(trips))
    steps, pieces = (float(row[STEPS]), float(column[STEPS])), (float(row[PIECES]), float(column[PIECES]))
    cycles, energy = measure(task, table, fetched, least_loads, steps, pieces)
    return hopeless(task.objective, points, kept, cycles, energy * SLACK)


@jit
def relaxed(
    task: Task, table: FloatArray, x: int, trips: float, most_trips: float, crowding: float
) -> tuple[float, float]:
    """Return cycles and pJ that no mapping of one form falls below with so many trips of its outer dimension, or more.

    Buffers are relaxed to hold the outermost tensor alone, in tiles of any real size: the trips of its two dimensions
    multiply to at least its `crowding`, how often its buffer would have to be filled.
    """
    steps = (task.least_steps[0], task.least_steps[1])
    pieces = (task.least_pieces[0], task.least_pieces[1])
    partner = max(1.0, crowding / most_trips)
    least_loads = task.least_loads
    if x == H:
        fetched = (1.0, partner, trips)
    else:
        fetched = (partner, 1.0, trips) if x == P else (partner, trips, 1.0)
        least_loads = max(least_loads, partner)
    cycles, energy = measure(task, table, fetched, least_loads, steps, pieces)
    return cycles, energy * SLACK


@jit
def best_trips(table: FloatArray, x: int, crowding: float, limited: bool) -> tuple[float, float]:
    """Return between which numbers of trips of the outer dimension `relaxed` can be least.

    Each row of prices is a t + b max(1, crowding / t), convex, with its minimum at sqrt(crowding b / a): left of all of
    them every cost falls, right of all of them every cost grows. Where the array limits the stream, loads have a least
    of their own, and the minimum lies between those without and with the price of loads in b.
    """
    least, most = max(1.0, crowding), 1.0
    for row in range(4):
        by_trips = table[row, 2] if x == Q else table[row, 3]
        by_partner = table[row, 2] if x == H else table[row, 1]
        by_loads = 0.0 if x == H else table[row, 4]
        if by_trips > 0.0 or by_partner + by_loads > 0.0:
            low, high = crowding, crowding
            if by_trips > 0.0:
                low = np.sqrt(crowding * by_partner / by_trips)
                high = np.sqrt(crowding * (by_partner + by_loads) / by_trips)
            least = min(least, max(1.0, min(crowding, low if limited else high)))
            most = max(most, max(1.0, min(crowding, high)))
    return least, most


@jit
def inner_is_hopeless(
    task: Task,
    table: FloatArray,
    x: int,
    outer: Cut,
    inner_trips: int,
    least_trips: int,
    points: FloatArray,
    kept: int,
) -> bool:
    """Whether no inner tile with so many trips or more is worth a try: room as for 1, steps as if full."""
    by_row = x != Q  # the outer list is of A
    inner_steps = max(task.least_steps[1 if by_row else 0], float(inner_trips))
    inner_pieces = max(task.least_pieces[1 if by_row else 0], float(inner_trips))
    outer_trips, inner_fetches = float(outer[TRIPS]), float(inner_trips) if x == H else 1.0
    outer_steps, outer_pieces = float(outer[STEPS]), float(outer[PIECES])
    held = 1.0 if x == H else float(least_trips)
    if by_row:
        fetched = (held, inner_fetches, 1.0 if x == Q else outer_trips)
        steps, pieces = (outer_steps, inner_steps), (outer_pieces, inner_pieces)
    else:
        fetched = (held, outer_trips, 1.0)
        steps, pieces = (inner_steps, outer_steps), (inner_pieces, outer_pieces)
    one_piece = x == H and outer[PIECES] == outer[TRIPS]
    least_loads = max(task.least_loads, 1.0 if one_piece else float(least_trips))
    cycles, energy = measure(task, table, fetched, least_loads, steps, pieces)
    return hopeless(task.objective, points, kept, cycles, energy * SLACK)


@jit
def fewest_trips(task: Task, x: int, z: int, outer_tile: int, inner_tile: int) -> int:
    """Return the fewest stream trips beside two tiles or larger ones; of the whole stream where they do not fit."""
    row_tile, column_tile = (outer_tile, inner_tile) if x != Q else (inner_tile, outer_tile)
    part = part_on_array(task, x, z, row_tile, column_tile)
    if task.perfect:
        part = min(part, 1)  # a divisor, which a larger tile may have less of
    largest = largest_stream_tile(span(task, x, z, row_tile, column_tile, part), task.stream)
    return ceil_div(task.stream, max(1, largest))


@jit
def trips_say_all(task: Task) -> bool:
    """Whether of the stream dimension's tiles only the number matters, where z holds them in full."""
    return task.stream_limit >= task.stream and not (task.perfect or task.calibrated)
