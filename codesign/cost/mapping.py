"""The optimal mapper: for each (matmul, accelerator) row the best tiling and loop order, found exhaustively.

Template (four levels, after Gemmini and DOSA): registers in the PEs, an accumulator that holds an m x n tile of
outputs, a scratchpad that holds an m x k tile of inputs and a k x n tile of weights, and DRAM.

    for the M' x K' x N' tiles, in an order to be chosen:        # DRAM loops
        fetch the tiles that changed; multiply them on the array

Symbols: M tokens, K reduction, N outputs; tiles m, k, n; trips M' = ceil(M/m) and so on; the steps of a dimension are
the array-sized pieces that all its tiles are cut into. The last tile is partial and charged at its true size, so
traffic depends on trips, and compute on steps, but not on tile sizes: those only have to fit.

Two dimensions lie on the array (weight stationary: K on rows, N on columns; output stationary: M on rows, N on
columns). For both, all tile sizes are enumerated except those that cannot matter: a size is left out if a smaller one
has as few trips and as few steps, because no cost falls when trips or steps grow. The third dimension costs nothing but
trips, so its best size is the largest that fits. Row tiles are tried in the order of a lower bound over all column
tiles, until the bound is no better than the best found: exact, and most are never tried.

Left out: loops at the scratchpad level (a scratchpad tile that outlives an accumulator tile) and double buffering.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from codesign.cost.access import (
    K_INNERMOST,
    Conventions,
    Energies,
    Rates,
    counts,
    cycles_of,
    energy_of,
    jit,
    jit_parallel,
)
from codesign.design import BoolArray, FloatArray, IntArray

OBJECTIVES = ("edp", "energy", "delay")

LARGEST_EXTENT = 2**24
"""Longer dimensions are refused: no transformer has them, and enumerating their tiles would take minutes."""

# Columns of the rows that `best_mappings` returns; all zero where no tile fits.
RESULT = (
    "cycles",
    "energy_pj",
    "compute_cycles",
    "register_bytes",
    "accumulator_words",
    "scratchpad_words",
    "dram_bytes",
    "m_tile",
    "k_tile",
    "n_tile",
    "innermost",
)


@jit
def tile_candidates(extent: int, lanes: int, perfect: bool) -> IntArray:
    """Return the tile sizes of one dimension that can matter, largest first, as rows (tile, trips, steps).

    Args:
        extent: length of the dimension.
        lanes: rows or columns of the array that it lies on.
        perfect: divisors of the extent only, cut into equal pieces of at most `lanes`.
    """
    root = int(math.sqrt(extent)) + 1
    room = min(extent, 2 * root + lanes * min(2 * root, extent // lanes + 1))
    rows = np.empty((room, 3), np.int64)
    found = 0
    trips = 1
    while True:
        smallest = -(-extent // trips)
        largest = extent if trips == 1 else (extent - 1) // (trips - 1)
        if perfect:
            if smallest * trips == extent:
                piece = min(lanes, smallest)
                while smallest % piece:
                    piece -= 1
                rows[found] = (smallest, trips, extent // piece)
                found += 1
        else:
            fewest = extent + 1
            for tile in range(smallest, largest + 1):
                last = extent - (trips - 1) * tile
                steps = (trips - 1) * -(-tile // lanes) - (-last // lanes)
                if steps < fewest:
                    fewest = steps
                    rows[found] = (tile, trips, steps)
                    found += 1
                if tile <= lanes or tile % lanes == 0:
                    break  # no larger size of the same trips has fewer steps
        if smallest == 1:
            return rows[:found]
        trips = -(-extent // (smallest - 1))


@jit
def _free_trips(free: int, largest: int, perfect: bool) -> int:
    """Return the fewest trips of the dimension that is not on the array, given its largest tile that fits."""
    if largest >= free:
        return 1
    if not perfect:
        return -(-free // largest)
    tile = largest
    while free % tile:
        tile -= 1
    return free // tile


@jit
def _value(objective: int, cycles: float, energy: float) -> float:
    if objective == 0:
        return cycles * energy
    return energy if objective == 1 else cycles


@jit
def _bound(
    objective: int,
    weight_stationary: bool,
    extents: tuple[int, int, int],
    row: tuple[int, int, int],
    cols: int,
    words: tuple[int, int],
    innermost: int,
    conventions: Conventions,
    rates: Rates,
    energies: Energies,
) -> float:
    """Return a lower bound of the objective over all column tiles, for one row tile and one loop order.

    The two other tiles are relaxed to the largest that fit beside the smallest partner. With K innermost both operands
    are refetched, K M N (1/m + 1/n) words in all, and m + n <= S/k, m n <= A bound that sum from below.
    """
    M, K, N = extents
    tile, row_trips, row_steps = row
    scratchpad_words, accumulator_words = words
    if weight_stationary:
        side = scratchpad_words / tile
        n_most = min(float(N), min(side - 1.0, float(accumulator_words)))
        m_most = min(float(M), min(side - 1.0, float(accumulator_words)))
        if n_most < 1.0 or m_most < 1.0:
            return np.inf
        trips = (M / m_most, float(row_trips), N / n_most)
    else:
        n_most = min(float(N), min(scratchpad_words - float(tile), accumulator_words / tile))
        k_most = min(float(K), scratchpad_words / (tile + 1.0))
        if n_most < 1.0 or k_most < 1.0:
            return np.inf
        trips = (float(row_trips), K / k_most, N / n_most)
    col_steps = float(-(-N // cols))
    volumes = (float(M), float(K), float(N))
    compute, register, accumulator, scratchpad, dram = counts(
        weight_stationary, volumes, trips, (float(row_steps), col_steps), True, innermost, conventions
    )
    if weight_stationary and innermost == K_INNERMOST:
        refetched = 2.0 * M * K * N * max(2.0 * tile / scratchpad_words, 1.0 / math.sqrt(accumulator_words))
        missing = max(0.0, refetched - (K * N * trips[0] + M * K * trips[2]))
        scratchpad += missing
        dram += missing * conventions[0]
    counted = (compute, register, accumulator, scratchpad, dram)
    cycles = cycles_of(counted, N / col_steps, rates)
    return _value(objective, cycles, energy_of(volumes[0] * K * N, counted, energies)) * (1.0 - 1e-9)


@jit
def _bounds(
    objective: int,
    weight_stationary: bool,
    extents: tuple[int, int, int],
    rows: IntArray,
    cols: int,
    words: tuple[int, int],
    conventions: Conventions,
    rates: Rates,
    energies: Energies,
) -> FloatArray:
    """(3 x row tiles,) lower bound of each row tile under each loop order; the order varies fastest."""
    bounds = np.empty(3 * len(rows))
    for entry in range(len(bounds)):
        tile, trips, steps = rows[entry // 3]
        bounds[entry] = _bound(
            objective,
            weight_stationary,
            extents,
            (tile, trips, steps),
            cols,
            words,
            entry % 3,
            conventions,
            rates,
            energies,
        )
    return bounds


@jit
def _largest_free_tile(weight_stationary: bool, row_tile: int, n_tile: int, words: tuple[int, int]) -> int:
    """Return the largest tile of the dimension that is not on the array, beside the other two; below 1 if none."""
    scratchpad_words, accumulator_words = words
    if weight_stationary:
        return min(accumulator_words // n_tile, scratchpad_words // row_tile - n_tile)
    return scratchpad_words // (row_tile + n_tile) if row_tile * n_tile <= accumulator_words else 0


@jit
def best_mapping(
    objective: int,
    perfect: bool,
    weight_stationary: bool,
    extents: tuple[int, int, int],
    array: tuple[int, int],
    words: tuple[int, int],
    conventions: Conventions,
    rates: Rates,
    energies: Energies,
    out: FloatArray,
) -> bool:
    """Find the best mapping of one matmul on one accelerator.

    Args:
        objective: position in OBJECTIVES; of equal ones the lower energy-delay product.
        perfect: perfect factors only.
        weight_stationary: dataflow, else output stationary.
        extents: M, K, N.
        array: rows, columns.
        words: capacity of the scratchpad in operand words, of the accumulator in accumulator words.
        conventions: widths and what is counted.
        rates: bandwidths.
        energies: pJ an access.
        out: (len(RESULT),) filled with the best mapping.

    Returns:
        Whether any tile fits.
    """
    M, K, N = extents
    volumes = (float(M), float(K), float(N))
    on_rows, free = (K, M) if weight_stationary else (M, K)
    rows, cols = tile_candidates(on_rows, array[0], perfect), tile_candidates(N, array[1], perfect)
    bounds = _bounds(objective, weight_stationary, extents, rows, array[1], words, conventions, rates, energies)
    best, best_edp = np.inf, np.inf
    for entry in np.argsort(bounds, kind="mergesort"):
        if bounds[entry] >= best or bounds[entry] == np.inf:
            break
        innermost = entry % 3
        row_tile, row_trips, row_steps = rows[entry // 3]
        for n_tile, n_trips, col_steps in cols:
            largest = _largest_free_tile(weight_stationary, row_tile, n_tile, words)
            if largest < 1:
                continue
            free_trips = _free_trips(free, largest, perfect)
            m_trips, k_trips = (free_trips, row_trips) if weight_stationary else (row_trips, free_trips)
            single = row_tile <= array[0] and n_tile <= array[1]
            trips, steps = (float(m_trips), float(k_trips), float(n_trips)), (float(row_steps), float(col_steps))
            counted = counts(weight_stationary, volumes, trips, steps, single, innermost, conventions)
            cycles = cycles_of(counted, volumes[2] / col_steps, rates)
            energy = energy_of(volumes[0] * K * N, counted, energies)
            value, edp = _value(objective, cycles, energy), cycles * energy
            if value < best or (value == best and edp < best_edp):
                best, best_edp = value, edp
                free_tile = -(-free // free_trips)
                m_tile, k_tile = (free_tile, row_tile) if weight_stationary else (row_tile, free_tile)
                out[0], out[1], out[7], out[8], out[9], out[10] = cycles, energy, m_tile, k_tile, n_tile, innermost
                for column in range(5):
                    out[2 + column] = counted[column]
    return best < np.inf


@jit_parallel
def search_rows(
    objective: int,
    perfect: bool,
    integers: IntArray,
    conventions: Conventions,
    rates: FloatArray,
    energies: FloatArray,
    out: FloatArray,
    fits: BoolArray,
) -> None:
    """Run `best_mapping` over rows, on all cores.

    Args:
        objective: position in OBJECTIVES.
        perfect: perfect factors only.
        integers: (rows, 8) M, K, N, dataflow, PE rows, PE columns, scratchpad words, accumulator words.
        conventions: widths and what is counted.
        rates: (rows, 3) bandwidths.
        energies: (rows, 5) pJ at each of matmul.LEVELS.
        out: (rows, len(RESULT)) filled.
        fits: (rows,) filled; whether any tile fits.
    """
    for i in numba.prange(len(integers)):
        M, K, N, dataflow, pe_rows, pe_cols, scratchpad_words, accumulator_words = integers[i]
        row_energies = (energies[i, 0], energies[i, 1], energies[i, 2], energies[i, 3], energies[i, 4])
        fits[i] = best_mapping(
            objective,
            perfect,
            dataflow == 0,
            (M, K, N),
            (pe_rows, pe_cols),
            (scratchpad_words, accumulator_words),
            conventions,
            (rates[i, 0], rates[i, 1], rates[i, 2]),
            row_energies,
            out[i],
        )
