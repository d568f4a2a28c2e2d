"""The optimal mapper: the best loop nest of a matmul on an accelerator, over every nest that leaves no lane idle.

Which nests can be best. (Roles and dimensions as in `task`.) Each tensor is kept on chip at some depth of the nest: its
tile is what the loops below that depth cover, and it is fetched once for each value of the loops above, except those
right above that do not index it. Let the tensor kept at the outermost depth be x, then y, then z. The loops over x's
free dimension can all be moved below, so x is fetched once. y is fetched once for each tile of its free dimension, z
for each of its own. Only the three tile sizes matter, and that z need not hold all of y's free dimension: a part is
enough. So a nest is a *form*, one of six choices of x and z, with three tile sizes and the part. docs/cost_model.md has
the proof; tests compare with an enumeration of the six forms and with random nests.

What is searched under ideal cycles. The free dimension of x costs nothing but steps, so a tile of one piece (what the
array holds at once) or less is enough of it. A part on the array is one piece: less would leave lanes idle while the
tile could fill them (left out; docs/cost_model.md has what that would gain). The stream dimension costs only trips, so
its largest tile is best. What is left is one list of tile sizes (`tiles.tile_candidates`) where x = P or Q and two
where x = H, and branches are cut by lower bounds.

Under calibrated cycles, tiles themselves cost time (requests, a first load that nothing hides), and the hardware keeps
whole tiles. There the forms have no parts, and all tile sizes of all three dimensions are searched; ideal bounds still
hold, because calibrated cycles are never fewer.
"""

from __future__ import annotations

from codesign.cost.branches import Cut, best_trips, fewest_trips, inner_is_hopeless, is_hopeless, relaxed, trips_say_all
from codesign.cost.buffers import largest_stream_tile, part_on_array, span
from codesign.cost.candidate import LARGEST_EXTENT, UNLIMITED, add_stream_tiles
from codesign.cost.kernels import jit
from codesign.cost.points import hopeless
from codesign.cost.task import H, P, Q, Task, prices
from codesign.cost.tiles import PIECES, STEPS, TILE, TRIPS, ceil_div, first_of, tile_candidates
from codesign.design import FloatArray, IntArray

TIGHT = 32
"""Words a lane. With more in each buffer, perfect factors won none of 3,000 random rows; with 8, two, by 0.1 %."""


@jit
def _first_inner(task: Task, x: int, outer_tile: int, inner: IntArray) -> int:
    """Return where the tiles of the inner dimension begin that are neither too large to fit nor larger than of use."""
    if x == H:
        most = int(min(task.capacity[task.buffer[H]] / (outer_tile * task.word[H]), 1.0 * LARGEST_EXTENT))
    elif task.calibrated:
        return 0
    elif x == P:
        most = task.column_lanes * task.column_block
    else:
        most = task.row_lanes * task.row_block
    extent = task.rows if x == Q else task.columns
    first = first_of(inner, float(ceil_div(extent, max(most, 1))))
    return min(first, len(inner) - 1)


@jit
def _smallest(task: Task, x: int, trips: int) -> int:
    """Return the smallest inner tile with so many trips."""
    return ceil_div(task.rows if x == Q else task.columns, trips)


@jit
def _cut(rows: IntArray, place: int) -> Cut:
    """Return one row of a list of tiles."""
    return rows[place, TILE], rows[place, TRIPS], rows[place, STEPS], rows[place, PIECES]


@jit
def _add_outer(
    task: Task,
    table: FloatArray,
    form: tuple[int, int],
    outer: Cut,
    inner: IntArray,
    first: int,
    points: FloatArray,
    kept: int,
) -> int:
    """Add the mappings of one form with one tile of the outer dimension.

    Along the list of inner tiles costs grow and room grows, so a block of it costs no less than with the trips of its
    first tile and the room of its last. Blocks that are hopeless are jumped over, in longer and longer jumps.
    """
    x, z = form
    least_trips = fewest_trips(task, x, z, outer[TILE], inner[len(inner) - 1, TILE])
    lossless, fewest = trips_say_all(task), UNLIMITED
    v, jump, promising = first, 1, False
    while v < len(inner):
        if not promising and inner_is_hopeless(task, table, x, outer, inner[v, TRIPS], least_trips, points, kept):
            return kept
        promising = True  # the rest, until a better point is found
        if jump > 1:
            end = min(v + jump, len(inner))
            trips = fewest_trips(task, x, z, outer[TILE], _smallest(task, x, inner[end - 1, TRIPS]))
            if inner_is_hopeless(task, table, x, outer, inner[v, TRIPS], trips, points, kept):
                v, jump = end, 4 * jump
            else:
                jump //= 4
            continue
        cut = _cut(inner, v)
        row, column = (outer, cut) if x != Q else (cut, outer)
        v += 1
        part = part_on_array(task, x, z, row[TILE], column[TILE])
        room = span(task, x, z, row[TILE], column[TILE], part)
        largest = largest_stream_tile(room, task.stream)
        if largest < 1:
            jump = 4
            continue
        trips = ceil_div(task.stream, largest)
        if x != H and trips >= fewest and room[4] == 0.0 and lossless:
            continue  # more steps than before, and nothing gained
        if is_hopeless(task, table, x, row, column, trips, points, kept):
            jump = 4
            continue
        kept, found = add_stream_tiles(task, table, form, row, column, room, largest, part, points, kept)
        if kept < 0 or (x != H and lossless and found[0] == least_trips and found[1] == least_trips):
            return kept  # smaller tiles of the free dimension would leave more room, which is of no use
        fewest, promising = min(fewest, found[0]), False
    return kept


@jit
def _add_both(task: Task, table: FloatArray, x: int, outer: Cut, inner: IntArray, points: FloatArray, kept: int) -> int:
    """Add the mappings of all forms with x outermost and one tile of the outer dimension."""
    first = _first_inner(task, x, outer[TILE], inner)
    for z in (H, P, Q):
        if (z == x) == (task.calibrated == 1) and kept >= 0:  # parts are for ideal cycles only
            kept = _add_outer(task, table, (x, z), outer, inner, first, points, kept)
    return kept


@jit
def _add_forms_of(
    task: Task,
    table: FloatArray,
    x: int,
    rows: IntArray,
    columns: IntArray,
    points: FloatArray,
    kept: int,
    seed: bool,
) -> int:
    """Add the mappings of all forms with x outermost.

    As a seed, only those with the most promising outer tile, so that all forms start from a good one; else all others.
    The outer dimension is that of x on the array (A where there are two). Its tiles are tried from where the relaxed
    cost is least, outwards in both directions, until the relaxed cost is hopeless.
    """
    outer, inner = (rows, columns) if x != Q else (columns, rows)
    sizes = (float(task.rows) * task.columns, float(task.stream) * task.rows, float(task.stream) * task.columns)
    crowding = sizes[x] * task.word[x] / task.capacity[task.buffer[x]]
    least, most = best_trips(table, x, crowding, task.stream_limit < task.stream)
    start = min(first_of(outer, least), len(outer) - 1)
    if seed:
        return _add_both(task, table, x, _cut(outer, start), inner, points, kept)
    for direction in (1, -1):
        u, jump = start + direction, 1
        while 0 <= u < len(outer):
            trips = outer[u, TRIPS]
            within = least <= trips <= most
            end = min(max(u + direction * (jump - 1), 0), len(outer) - 1) if within else u
            far = outer[end, TRIPS]
            cycles, energy = relaxed(task, table, x, float(min(trips, far)), float(max(trips, far)), crowding)
            if hopeless(task.objective, points, kept, cycles, energy):
                if not within:
                    break
                u, jump = end + direction, 4 * jump
            elif end != u:
                jump //= 4
            else:
                kept = _add_both(task, table, x, _cut(outer, u), inner, points, kept)
                if kept < 0:
                    return kept
                u += direction
    return kept


@jit
def _is_tight(task: Task) -> bool:
    """Whether a buffer holds so few words a lane that leaving lanes idle may pay: below TIGHT."""
    lanes = max(task.row_lanes * task.row_block, task.column_lanes * task.column_block)
    least = TIGHT * lanes * max(task.word[H], task.word[P], task.word[Q])
    held = min(task.buffer[H], task.buffer[P], task.buffer[Q]), max(task.buffer[H], task.buffer[P], task.buffer[Q])
    return bool(min(task.capacity[held[0]], task.capacity[held[1]]) < least)


@jit
def _add_forms(task: Task, table: FloatArray, lists: IntArray, points: FloatArray, kept: int) -> int:
    """Add the best mappings of all forms, with tiles as the task wants them: perfect ones or any."""
    number = tile_candidates(task.rows, task.row_lanes, task.row_block, task.perfect == 1, lists[0])
    rows, columns = lists[0, :number], lists[1]
    number = tile_candidates(task.columns, task.column_lanes, task.column_block, task.perfect == 1, columns)
    columns = columns[:number]
    if task.whole_rows:
        columns = columns[: first_of(columns, 2.0)]
    for seed in (True, False):
        for x in (P, Q, H):
            kept = _add_forms_of(task, table, x, rows, columns, points, kept, seed)
            if kept < 0:
                return kept
    return kept


@jit
def search(task: Task, table: FloatArray, lists: IntArray, points: FloatArray, kept: int) -> int:
    """Add the best mappings of one task to the points kept so far; return their number, or -1 if there is no room.

    Equal pieces of perfect factors may be smaller than the array, and so need less room: where that is scarce they are
    tried too, so that all tiles are never worse than those that divide.

    Args:
        task: the matmul and the accelerator.
        table: (4, 8) to work with, for prices.
        lists: (2, at least `most_candidates` of the longest dimension, 4) to work with, for tile sizes.
        points: kept so far.
        kept: their number.
    """
    prices(task, table)
    given = task.perfect
    for perfect in range(given, 2 if given or (_is_tight(task) and not task.calibrated) else 1):
        task.perfect = perfect
        kept = _add_forms(task, table, lists, points, kept)
        if kept < 0:
            break
    task.perfect = given
    return kept
