"""Plain exhaustive enumeration of the mapper's space in numpy: six forms, all tile sizes, all parts of a piece or more.

Shares nothing with the package; dimensions are M, K, N = 0, 1, 2 and tensors I, W, O = 0, 1, 2 throughout. A form keeps
tensor x outermost and z innermost: x is fetched once, the others once for each tile of the dimension that does not
index them. z holds of the tile of y's free dimension only a part, so the array never sees more of it than that at once.
"""

from __future__ import annotations

from functools import cache
from itertools import permutations, product
from typing import Any, NamedTuple

import numpy as np

from tests.cost.walk import DIMENSIONS, FREE, Counted, Widths, cut

Column = Any  # a float, or an array with one entry a mapping


class Problem(NamedTuple):
    """One matmul on one accelerator, in plain numbers."""

    weight_stationary: bool
    extents: tuple[int, int, int]
    array: tuple[int, int]  # rows, columns
    capacity: tuple[float, float]  # bytes of scratchpad and accumulator
    unified: bool  # outputs are in the scratchpad
    words: tuple[float, float, float]  # bytes of a word of I, W, O on chip
    widths: Widths
    rates: tuple[float, float, float, float]  # scratchpad bytes, accumulator words a column, DRAM bytes; cycles a step
    energies: tuple[float, ...]  # pJ: MAC, register byte, accumulator, input and weight word, DRAM byte
    stream_limit: int = 0  # 0: none
    blocks: tuple[tuple[int, int], ...] = ((1, 1),)  # (rows, columns) of steps that the registers of a PE may hold
    modes: tuple[tuple[bool, float], ...] = ((False, 1.0),)  # (DRAM and array take turns, usable share of buffers)
    perfect: bool = False
    whole_rows: bool = False


class Mappings(NamedTuple):
    """Columns, one entry a mapping."""

    tiles: np.ndarray  # (3, n)
    fetches: np.ndarray  # (3, n) of I, W, O
    loads: np.ndarray
    steps: np.ndarray  # (2, n) on rows and columns
    pieces: np.ndarray  # (2, n)
    used: np.ndarray  # (2, n) bytes of scratchpad and accumulator
    part: np.ndarray  # of the dimension that is free for y

    def at(self, rows: Any) -> Mappings:
        """Return the mappings at `rows`."""
        return Mappings(*(column[..., rows] for column in self))


@cache
def leaves(extent: int, sizes: tuple[int, ...], perfect: bool) -> int:
    """Into how many pieces a dimension falls if it is cut by each size in turn; each cut equal if perfect."""
    lengths = [extent]
    for size in sizes:
        if perfect:
            size = max(equal for equal in range(1, size + 1) if lengths[0] % equal == 0)
        lengths = [piece for length in lengths for piece in cut(length, size)]
    return len(lengths)


def leaf_counts(extent: int, tile: np.ndarray, part: np.ndarray, sizes: tuple[int, ...], perfect: bool) -> np.ndarray:
    """Leaves for each (tile, part) pair, cut further by `sizes`."""
    table = np.zeros((extent + 1, extent + 1), np.int64)
    for pair in {(int(t), int(p)) for t, p in zip(tile, part, strict=True)}:
        table[pair] = leaves(extent, (*pair, *sizes), perfect)
    return np.asarray(table[tile, part])


def form(problem: Problem, x: int, z: int, block: tuple[int, int], parts: str = "all") -> Mappings:
    """Every mapping of one form, whether it fits or not; `parts` may be "whole" for tiles without parts."""
    y = 3 - x - z
    cut_dimension = FREE[y]
    axes = [np.arange(1, extent + 1) for extent in problem.extents]
    last = axes[cut_dimension] if parts == "all" else np.array([0])
    m, k, n, part = (axis.ravel() for axis in np.meshgrid(*axes, last, indexing="ij"))
    tiles = np.stack([m, k, n])
    part = np.where(part == 0, tiles[cut_dimension], part)
    keep = (part <= tiles[cut_dimension]) & (part >= smallest_part(problem, cut_dimension, tiles[cut_dimension], block))
    if problem.perfect:
        keep &= (np.array(problem.extents)[:, None] % tiles == 0).all(axis=0) & (tiles[cut_dimension] % part == 0)
    if problem.whole_rows:
        keep &= tiles[2] == problem.extents[2]
        keep &= (part == tiles[2]) | (z != 2) | (cut_dimension != 2)
    tiles, part = tiles[:, keep], part[keep]
    trips = -(-np.array(problem.extents)[:, None] // tiles)
    fetches = np.stack([np.ones_like(part) if tensor == x else trips[FREE[tensor]] for tensor in range(3)])
    inner = tiles.copy()
    inner[cut_dimension] = part
    steps, pieces, loads = on_array(problem, x, tiles, inner, trips, block)
    kept = passing(problem, x, z, tiles, inner, block)
    sizes = [
        np.prod([(kept if tensor == z else tiles)[d] for d in DIMENSIONS[tensor]], axis=0) * problem.words[tensor]
        for tensor in range(3)
    ]
    operands, outputs = sizes[0] + sizes[1], sizes[2]
    used = np.stack([operands + outputs, 0 * outputs] if problem.unified else [operands, outputs])
    found = Mappings(tiles, fetches, loads, steps, pieces, used, part)
    return found.at(fetches[2] == 1) if problem.whole_rows else found


def smallest_part(problem: Problem, d: int, tile: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """(n,) the smallest part of a tile that leaves no lane idle: one piece, where the dimension lies on the array."""
    on_rows = 1 if problem.weight_stationary else 0
    if d not in (on_rows, 2):
        return np.ones_like(tile)
    lanes = problem.array[0] * block[0] if d == on_rows else problem.array[1] * block[1]
    if not problem.perfect:
        return np.minimum(tile, lanes)
    return np.array([max(p for p in range(1, min(int(t), lanes) + 1) if t % p == 0) for t in tile])


def passing(
    problem: Problem, x: int, z: int, tiles: np.ndarray, inner: np.ndarray, block: tuple[int, int]
) -> np.ndarray:
    """(3, n) what z holds: one line of the stream where the outermost x stays in the PEs while z passes through.

    That is so where a single piece is all of the dimension that z is fetched again for, and all of the part.
    """
    stream, held = (0, 1) if problem.weight_stationary else (1, 2)
    if x != held or z == held:
        return inner
    rows = 1 - stream
    kept = inner.copy()
    fits = (inner[rows] <= problem.array[0] * block[0]) & (inner[2] <= problem.array[1] * block[1])
    kept[stream] = np.where(fits, 1, inner[stream])
    return kept


def on_array(
    problem: Problem, x: int, tiles: np.ndarray, inner: np.ndarray, trips: np.ndarray, block: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps and pieces of rows and columns, and loads of the stationary tensor.

    The stationary tensor is loaded for each part of the stream dimension, unless a single piece is the whole tile: then
    it stays while other dimensions' tiles do, and across all of the stream dimension where it is outermost.
    """
    stream, rows, held = (0, 1, 1) if problem.weight_stationary else (1, 0, 2)
    perfect, extents = problem.perfect, problem.extents
    steps, pieces = [], []
    for d, lanes, more in ((rows, problem.array[0], block[0]), (2, problem.array[1], block[1])):
        pieces.append(leaf_counts(extents[d], tiles[d], inner[d], (lanes * more,), perfect))
        steps.append(leaf_counts(extents[d], tiles[d], inner[d], (lanes * more, lanes), perfect))
    single = (pieces[0] == trips[rows]) & (pieces[1] == trips[2])
    limit = (problem.stream_limit,) if problem.stream_limit else ()
    whole = np.full_like(tiles[stream], extents[stream])
    longest = whole if x == held else tiles[stream]
    stays = leaf_counts(extents[stream], longest, longest, limit, perfect)
    loads = np.where(single, stays, leaf_counts(extents[stream], tiles[stream], inner[stream], limit, perfect))
    return np.stack(steps), np.stack(pieces), loads


def count(problem: Problem, found: Mappings) -> Counted:
    """Accesses of many mappings, each field an array."""
    M, K, N = problem.extents
    widths, mac, outputs = problem.widths, float(M * K * N), M * N
    inputs, weights, stored = M * K * found.fetches[0], K * N * found.fetches[1], M * N * found.fetches[2]
    if problem.weight_stationary:
        register, updates = (mac + K * N * found.loads) * widths.weight, M * N * found.pieces[0]
        read_weights, compute = K * N * found.loads, M * found.steps[0] * found.steps[1]
    else:
        updates = M * N * found.loads
        register = 2 * (mac + updates - outputs) * widths.accumulator
        read_weights, compute = K * N * found.pieces[0], K * found.steps[0] * found.steps[1]
    reads = updates - (0 if widths.first_read else outputs)
    accumulator = widths.drain * outputs + (stored - outputs) + updates + reads
    if not problem.weight_stationary:
        accumulator = accumulator - np.where(found.loads == 1, widths.saved * outputs, 0)
    dram = inputs * widths.input + weights * widths.weight + outputs * widths.output
    dram = dram + 2 * (stored - outputs) * widths.spill
    return Counted(compute, register, accumulator, inputs + M * K * found.pieces[1], weights + read_weights, dram)


def weigh(problem: Problem, counted: Counted, across: Column, serial: bool) -> tuple[Column, Column]:
    """Cycles and pJ of counted accesses; the columns are cut into `across` steps."""
    scratchpad_rate, accumulator_rate, dram_rate, cycles_per_step = problem.rates
    scratchpad = counted.inputs * problem.widths.input + counted.weights * problem.widths.weight
    busiest = counted.compute * cycles_per_step
    if problem.unified:
        scratchpad = scratchpad + counted.accumulator * problem.widths.accumulator
    else:
        columns = problem.extents[2] / across
        busiest = np.maximum(busiest, counted.accumulator / (accumulator_rate * columns))
    busiest = np.maximum(busiest, scratchpad / scratchpad_rate)
    dram = counted.dram / dram_rate
    busiest = busiest + dram if serial else np.maximum(busiest, dram)
    accesses = (float(np.prod(problem.extents)), *counted[1:])
    energy = sum(pj * number for pj, number in zip(problem.energies, accesses, strict=True))
    return np.ceil(busiest * (1 - 1e-12)), energy


def is_tight(problem: Problem, block: tuple[int, int], share: float) -> bool:
    """Whether a buffer holds fewer than 32 words a lane: there equal pieces, which may be smaller, are tried too."""
    lanes = max(problem.array[0] * block[0], problem.array[1] * block[1])
    buffers = problem.capacity[:1] if problem.unified else problem.capacity
    return min(buffers) * share < 32 * lanes * max(problem.words)


def points(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Cycles and pJ of every mapping that fits."""
    cycles, energies = [np.zeros(0)], [np.zeros(0)]
    for block in problem.blocks:
        for (x, z), perfect in product(permutations(range(3), 2), {problem.perfect, True}):
            found = form(problem._replace(perfect=perfect), x, z, block)
            for serial, share in problem.modes:
                if perfect and not problem.perfect and not is_tight(problem, block, share):
                    continue
                fits = found.at((found.used <= np.array(problem.capacity)[:, None] * share).all(axis=0))
                some = weigh(problem, count(problem, fits), fits.steps[1], serial)
                cycles.append(some[0])
                energies.append(some[1])
    return np.concatenate(cycles), np.concatenate(energies)


def least(objective: str, cycles: np.ndarray, energy: np.ndarray) -> float:
    """The least objective of many points; infinite where there are none."""
    values = {"edp": cycles * energy, "energy": energy, "delay": cycles}[objective]
    return float(values.min(initial=np.inf))


def hull(cycles: np.ndarray, energy: np.ndarray) -> list[tuple[float, float]]:
    """Vertices of the lower left convex hull: ascending cycles, descending energy (Andrew's monotone chain)."""
    chain: list[tuple[float, float]] = []
    for c, e in sorted(set(zip(cycles.tolist(), energy.tolist(), strict=True))):
        if chain and e >= chain[-1][1]:
            continue
        while len(chain) > 1 and (chain[-1][0] - chain[-2][0]) * (e - chain[-2][1]) <= (chain[-1][1] - chain[-2][1]) * (
            c - chain[-2][0]
        ):
            chain.pop()
        chain.append((c, e))
    return chain
