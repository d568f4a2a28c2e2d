"""Plain enumeration of tilings, for its speed and as a check: every tile of a matmul in every loop order, in numpy.

It knows nothing of the mapper: one matmul on a weight-stationary array, whole tiles in both buffers, three loops at
DRAM, on-chip bandwidth unlimited, accesses counted as docs/cost_model.md does under the convention `accelforge`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.design import FloatArray, IntArray


@dataclass(frozen=True)
class EnumeratedMachine:
    """One weight-stationary machine; energies in pJ."""

    rows: int
    columns: int
    scratchpad_bytes: int
    accumulator_bytes: int
    dram_bytes_per_cycle: float
    operand_bytes: float
    output_bytes: float
    sum_bytes: float
    energies_pj: tuple[float, float, float, float, float]
    """Of a MAC, a register byte, an accumulator word, a scratchpad word, a DRAM byte."""


def best_edp(extents: tuple[int, int, int], machine: EnumeratedMachine) -> tuple[float, int]:
    """Return the least energy times cycles over all tilings and orders, and how many of them fit.

    Args:
        extents: M, K, N; all M·K·N tiles are tried, so small ones.
        machine: where the matmul runs.
    """
    M, K, N = extents
    m, k, n = (axis.ravel() for axis in np.meshgrid(*(np.arange(1, e + 1) for e in extents), indexing="ij"))
    fits = (m * n * machine.sum_bytes <= machine.accumulator_bytes) & (
        (m * k + k * n) * machine.operand_bytes <= machine.scratchpad_bytes
    )
    m, k, n = m[fits], k[fits], n[fits]
    trips = tuple(-(-extent // tile) for extent, tile in zip(extents, (m, k, n), strict=True))
    row_pieces, column_pieces = _pieces(K, k, machine.rows), _pieces(N, n, machine.columns)
    best = np.inf
    for innermost in range(3):
        energy, cycles = _costs((M, K, N), trips, (row_pieces, column_pieces), innermost, machine)
        best = min(best, float((energy * cycles).min(initial=np.inf)))
    return best, 3 * len(m)


def _pieces(extent: int, tile: IntArray, lanes: int) -> IntArray:
    """Return array-sized parts of all tiles of a dimension, the last and partial tile included."""
    whole, rest = np.divmod(extent, tile)
    return np.asarray(whole * -(-tile // lanes) + -(-rest // lanes))


def _costs(
    extents: tuple[int, int, int],
    trips: tuple[IntArray, ...],
    pieces: tuple[IntArray, IntArray],
    innermost: int,
    machine: EnumeratedMachine,
) -> tuple[FloatArray, FloatArray]:
    """Return pJ and cycles of all tilings with one innermost loop: 0, 1, 2 = M, K, N, which keeps W, O, I on chip."""
    M, K, N = (float(extent) for extent in extents)
    weights = K * N * (1.0 if innermost == 0 else trips[0])
    sums = M * N * (1.0 if innermost == 1 else trips[1])
    inputs = M * K * (1.0 if innermost == 2 else trips[2])
    held = (pieces[0] == trips[1]) & (pieces[1] == trips[2]) & (innermost == 0)  # no tile is larger than the array
    loads = np.where(held, 1.0, trips[0])
    mac, register, accumulator, word, byte = machine.energies_pj
    spilled, updates = sums - M * N, M * N * pieces[0]
    dram = machine.operand_bytes * (inputs + weights) + machine.output_bytes * M * N + 2 * machine.sum_bytes * spilled
    energy = mac * M * K * N + register * machine.operand_bytes * (M * K * N + K * N * loads)
    energy = energy + accumulator * (spilled + 2 * updates)
    energy = energy + word * (weights + inputs + K * N * loads + M * K * pieces[1]) + byte * dram
    cycles = np.ceil(np.maximum(M * pieces[0] * pieces[1], dram / machine.dram_bytes_per_cycle) * (1 - 1e-12))
    return np.asarray(energy), cycles
