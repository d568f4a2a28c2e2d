"""Mappings with given tiles on the array: each measured, and kept if it is worth it. Roles, forms: see `mapping`."""

from __future__ import annotations

from codesign.cost.branches import Cut, fetches, is_hopeless
from codesign.cost.buffers import Span, best_tile, fewest_loads, loads
from codesign.cost.kernels import jit
from codesign.cost.points import hopeless, place
from codesign.cost.task import H, Q, Task, calibrate, measure
from codesign.cost.tiles import PIECES, STEPS, TILE, TRIPS, ceil_div
from codesign.design import FloatArray

LARGEST_EXTENT = 2**24
"""Longer dimensions are refused: no transformer has them, and enumerating their tiles would take minutes."""

UNLIMITED = 2**40
"""More than there are of anything."""

# Columns of a point.
POINT = (
    "cycles", "energy_pj", "stream_tile", "row_tile", "column_tile", "part", "outermost", "innermost", "variant",
    "held_fetches", "p_fetches", "q_fetches", "loads", "row_steps", "column_steps", "row_pieces", "column_pieces",
    "l2_stream", "l2_rows", "l2_columns", "l2_outermost",
)  # fmt: skip


@jit
def _add(
    task: Task,
    table: FloatArray,
    form: tuple[int, int],
    row: Cut,
    column: Cut,
    stream: tuple[int, int, int, int],
    points: FloatArray,
    kept: int,
) -> int:
    """Measure a mapping and keep it if it is worth it.

    Args:
        task: the matmul and the accelerator.
        table: its prices.
        form: x and z.
        row: tile of A.
        column: tile of B.
        stream: tile of F, z's part of it, its trips, loads of H.
        points: kept so far.
        kept: their number.

    Returns:
        how many points are kept, or -1 if there is no room.
    """
    x = form[0]
    tile, part, trips, held_loads = stream
    fetched = fetches(x, row, column, trips)
    output_fetches = fetched[Q] if task.weight_stationary == 1 else fetched[H]
    if (task.whole_rows or task.no_spills) and output_fetches > 1.0:
        return kept
    steps, pieces = (float(row[STEPS]), float(column[STEPS])), (float(row[PIECES]), float(column[PIECES]))
    cycles, energy = measure(task, table, fetched, float(held_loads), steps, pieces)
    if task.calibrated:
        all_trips = (float(trips), float(row[TRIPS]), float(column[TRIPS]))
        cycles = calibrate(task, cycles, all_trips, steps, output_fetches)
    if hopeless(task.objective, points, kept, cycles, energy):
        return kept
    place_at, now = place(task.objective, points, kept, cycles, energy)
    if place_at < 0:
        return -1
    point = points[place_at]
    point[0], point[1] = cycles, energy
    point[2], point[3], point[4], point[5] = tile, row[TILE], column[TILE], part
    point[6], point[7], point[8] = x, form[1], task.variant
    point[9], point[10], point[11] = fetched
    point[12] = held_loads
    point[13], point[14] = steps
    point[15], point[16] = pieces
    for i in range(4):
        point[17 + i] = task.l2_tile[i]
    return now


@jit
def add_stream_tiles(
    task: Task,
    table: FloatArray,
    form: tuple[int, int],
    row: Cut,
    column: Cut,
    room: Span,
    largest: int,
    array_part: int,
    points: FloatArray,
    kept: int,
) -> tuple[int, tuple[int, int]]:
    """Add the mappings with given tiles on the array, over all useful tiles of the stream dimension up to the largest.

    Returns:
        how many points are kept (-1: no room), and the fewest trips that were possible with the loads under them.
    """
    x = form[0]
    fewest, first = UNLIMITED, (UNLIMITED, UNLIMITED)
    single = row[PIECES] == row[TRIPS] and column[PIECES] == column[TRIPS]
    trips, least = ceil_div(task.stream, largest), int(task.least_loads)
    if not single:
        least = fewest_loads(task, room)
    while True:
        smallest = ceil_div(task.stream, trips)
        if not task.perfect or smallest * trips == task.stream:
            most = task.stream if trips == 1 else (task.stream - 1) // (trips - 1)
            tile, part = best_tile(task, room, smallest, min(most, largest), single)
            held_loads = loads(task, x, tile, part, single)
            if first[0] == UNLIMITED:
                first = (trips, held_loads)
            if held_loads < fewest or task.calibrated:
                fewest = min(fewest, held_loads)
                stream = (tile, array_part if array_part > 0 else part, trips, held_loads)
                kept = _add(task, table, form, row, column, stream, points, kept)
                if kept < 0:
                    return kept, first
        if smallest == 1 or (fewest <= max(trips, least) and not task.calibrated):
            return kept, first
        trips = ceil_div(task.stream, smallest - 1)
        if task.calibrated and is_hopeless(task, table, x, row, column, trips, points, kept):
            return kept, first
