"""Calibrated cycles of one mapping: what RTL adds to the ideal roofline, in terms that mean something.

    start + fill and drain + first load + (tiles - 1) * max(compute of a tile, load of a tile) + last compute + stores

Both operands are fetched again for each tile, and loads overlap the compute of the tile before, as in Gemmini's tiled
loops (Genc et al., DAC 2021). Compiled and called for millions of mappings, so plain scalars in and out.
"""

from __future__ import annotations

import numpy as np

from codesign.cost.calibration import Coefficients
from codesign.cost.kernels import jit

Array = tuple[float, float, float]
"""Rows and columns of the array, DRAM bytes a cycle."""

ByteWidths = tuple[float, float, float, float]
"""Bytes of an input, a weight, a finished output, a partial sum spilled to DRAM."""


@jit
def calibrated_cycles(
    ideal: float,
    extents: tuple[float, float, float],
    trips: tuple[float, float, float],
    compute: float,
    pieces: tuple[float, float],
    spills: float,
    widths: ByteWidths,
    array: Array,
    coefficients: Coefficients,
) -> float:
    """Return whole cycles, never fewer than `ideal`.

    Args:
        ideal: cycles of the same mapping under ideal overlap (`count.cycles_of`).
        extents: M, K, N of the matmul.
        trips: DRAM loop trips M', K', N'.
        compute: cycles of the array when it never waits.
        pieces: how many stationary pieces enter the array (weight stationary: M' S_K S_N), and the rows streamed past
            one on average (M / M'); output stationary: K' S_M S_N and K / K'.
        spills: words of partial sums written to DRAM, and read again.
        widths: of words.
        array: rows, columns, DRAM bandwidth.
        coefficients: see `calibration.Coefficients`.

    Tiles count with their mean size: a partial last tile is not simulated on its own. Left out: overlap of stores with
    the next tile, DRAM pages and cache sets, rows that do not start on a line.
    """
    M, K, N = extents
    trips_m, trips_k, trips_n = trips
    input_bytes, weight_bytes, output_bytes, spill_bytes = widths
    rows, columns, dram_rate = array
    start, latency, preload_share, hidden_share, bandwidth_ratio, beat, line = coefficients
    entered, streamed = pieces
    tiles = trips_m * trips_k * trips_n
    rate = dram_rate * bandwidth_ratio
    stall = entered * preload_share * max(0.0, rows - hidden_share * streamed)
    compute_tile = (compute + stall) / tiles
    fetched = M * K * trips_n * input_bytes + K * N * trips_m * weight_bytes + spills * spill_bytes
    load_tile = latency + fetched / tiles / rate
    stored_row = N / trips_n * output_bytes
    if stored_row < beat:
        stored_row = 2.0 * line
    stores = (M * trips_n * stored_row + spills * spill_bytes) / rate
    body = load_tile + (tiles - 1.0) * max(compute_tile, load_tile) + compute_tile
    cycles = start + (rows + columns - 2.0) + body + stores
    return max(ideal, float(np.ceil(cycles * (1.0 - 1e-12))))
