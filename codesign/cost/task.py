"""One matmul on one accelerator as the mapper sees it, and what a mapping of it costs.

Roles. One tensor stays in the PEs while another dimension streams past it. The *stream* dimension F does not index the
*held* tensor H; A lies on the rows and B on the columns of the array. The tensor P is indexed by F and A, Q by F and B:

    weight stationary: F, A, B = M, K, N; H, P, Q = W, I, O     output stationary: F, A, B = K, M, N; H, P, Q = O, I, W
"""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.cost.calibrated import calibrated_cycles
from codesign.cost.count import counts
from codesign.cost.kernels import jit
from codesign.design import FloatArray

H, P, Q = 0, 1, 2

TASK = np.dtype(
    [
        ("objective", np.int64),  # position in points.OBJECTIVES, or points.HULL
        ("perfect", np.int64),  # 1: only tiles that divide, cut into equal parts
        ("weight_stationary", np.int64),  # else output stationary
        ("whole_rows", np.int64),  # 1: finished outputs stay until their row of N is complete (fusion)
        ("no_spills", np.int64),  # 1: partial sums never go to DRAM
        ("calibrated", np.int64),  # 1: calibrated cycles instead of ideal ones
        ("variant", np.int64),  # which one is being searched
        ("serial", np.int64),  # 1: buffers are not doubled, DRAM and array take turns
        ("stream", np.int64),  # F
        ("rows", np.int64),  # A
        ("columns", np.int64),  # B
        ("row_lanes", np.int64),
        ("column_lanes", np.int64),
        ("row_block", np.int64),  # steps' worth of A that the registers of a PE hold
        ("column_block", np.int64),
        ("stream_limit", np.int64),  # most of F that streams past what is held before it is loaded again
        ("least_loads", np.float64),  # of H into the PEs; this and the next two are filled in by `prices`
        ("least_steps", np.float64, (2,)),  # of rows and columns
        ("least_pieces", np.float64, (2,)),
        ("buffer", np.int64, (3,)),  # where H, P and Q are kept: 0 scratchpad, 1 accumulator
        ("capacity", np.float64, (2,)),  # bytes of the two
        ("word", np.float64, (3,)),  # bytes of a word of H, P and Q on chip
        ("widths", np.float64, (8,)),  # count.Widths
        ("rates", np.float64, (4,)),  # count.Rates
        ("energies", np.float64, (6,)),  # count.Energies
        ("l2", np.float64, (3,)),  # bytes (0: there is none), bytes a cycle, pJ a byte of the L2
        ("l2_tile", np.int64, (4,)),  # of F, A and B that this task is made of, and the outermost tensor; see `l2`
        ("repeats", np.float64),  # how many such tiles there are; all costs are those of all of them
        ("fixed_pj", np.float64),  # energy of what moves between DRAM and L2
        ("beside_cycles", np.float64),  # what runs beside the matmul takes
        ("beside_bytes", np.float64),  # and moves between chip and DRAM, at no charge to the matmul
        ("coefficients", np.float64, (7,)),  # calibration.Coefficients; zero where not calibrated
    ],
    align=True,
)
"""One matmul on one accelerator, in roles."""

Task = Any  # a record of TASK

# Rows of the table of prices: what an access costs in energy and in the time of three of the four levels.
ENERGY, ACCUMULATOR, SCRATCHPAD, DRAM = 0, 1, 2, 3


@jit
def prices(task: Task, table: FloatArray) -> None:
    """Fill (4, 8): energy and three times, each affine in fetches of H, P, Q, loads, row and column pieces.

    All counts are affine in these, so the coefficients are read off `counts` itself; the first column is the constant,
    the last what is saved where loads are below 2. The time at the accumulator is that of a single step of columns:
    banks of idle columns do not work.
    """
    F, A, B = float(task.stream), float(task.rows), float(task.columns)
    task.least_loads = np.ceil(F / task.stream_limit)
    task.least_steps[0], task.least_steps[1] = np.ceil(A / task.row_lanes), np.ceil(B / task.column_lanes)
    task.least_pieces[0] = np.ceil(A / (task.row_lanes * task.row_block))
    task.least_pieces[1] = np.ceil(B / (task.column_lanes * task.column_block))
    held_weights = task.weight_stationary == 1
    extents = (F, A, B) if held_weights else (A, F, B)
    w, rates, pj = task.widths, task.rates, task.energies
    for column in range(8):
        saved = w[7] if column == 7 else 0.0
        widths = (w[0], w[1], w[2], w[3], w[4], w[5], w[6], saved)
        held, p, q = (1.0 if column == 1 else 0.0), (1.0 if column == 2 else 0.0), (1.0 if column == 3 else 0.0)
        fetches = (p, held, q) if held_weights else (p, q, held)
        loads, pieces = (1.0 if column == 4 else 0.0), ((1.0 if column == 5 else 0.0), (1.0 if column == 6 else 0.0))
        _, register, accumulator, inputs, weights, dram = counts(
            held_weights, extents, fetches, loads, (0.0, 0.0), pieces, widths
        )
        on_chip = pj[0] * F * A * B + pj[1] * register + pj[2] * accumulator + pj[3] * inputs + pj[4] * weights
        scratchpad = inputs * w[0] + weights * w[1]
        table[ENERGY, column] = on_chip + pj[5] * dram
        table[ACCUMULATOR, column] = accumulator / (rates[1] * B) if rates[1] > 0.0 else 0.0
        table[SCRATCHPAD, column] = (scratchpad if rates[1] > 0.0 else scratchpad + accumulator * w[3]) / rates[0]
        table[DRAM, column] = (dram + task.beside_bytes) / rates[2]
    for row in range(4):
        for column in range(8):
            table[row, column] *= task.repeats
        for column in range(1, 8):
            table[row, column] -= table[row, 0]
    table[ENERGY, 0] += task.fixed_pj


@jit
def _affine(
    row: FloatArray, h: float, p: float, q: float, loads: float, row_pieces: float, column_pieces: float, saved: float
) -> float:
    pieces = row[5] * row_pieces + row[6] * column_pieces
    return float(row[0] + row[1] * h + row[2] * p + row[3] * q + row[4] * loads + pieces + row[7] * saved)


@jit
def measure(
    task: Task,
    table: FloatArray,
    fetched: tuple[float, float, float],
    loads: float,
    steps: tuple[float, float],
    pieces: tuple[float, float],
) -> tuple[float, float]:
    """Return ideal cycles and pJ of a mapping: `fetched` is of H, P and Q, `loads` of H into the PEs."""
    h, p, q = fetched
    saved = 1.0 if loads < 2.0 else 0.0
    a, b = pieces
    dram = _affine(table[DRAM], h, p, q, loads, a, b, saved)
    steps_taken = task.repeats * task.stream * steps[0] * steps[1]
    busiest = max(steps_taken * task.rates[3], _affine(table[SCRATCHPAD], h, p, q, loads, a, b, saved))
    busiest = max(busiest, _affine(table[ACCUMULATOR], h, p, q, loads, a, b, saved) * steps[1])
    busiest = busiest + dram if task.serial else max(busiest, dram)
    busiest = max(busiest, task.beside_cycles)
    return float(np.ceil(busiest * (1.0 - 1e-12))), _affine(table[ENERGY], h, p, q, loads, a, b, saved)


@jit
def calibrate(
    task: Task, ideal: float, trips: tuple[float, float, float], steps: tuple[float, float], output_fetches: float
) -> float:
    """Return the calibrated cycles of a mapping with these trips of F, A and B."""
    f, a, b = trips
    F, A, B = float(task.stream), float(task.rows), float(task.columns)
    held_weights = task.weight_stationary == 1
    extents, ordered = ((F, A, B), (f, a, b)) if held_weights else ((A, F, B), (a, f, b))
    both = steps[0] * steps[1]
    w, c = task.widths, task.coefficients
    return calibrated_cycles(
        ideal,
        extents,
        ordered,
        F * both * task.rates[3],
        (f * both, F / f),
        extents[0] * B * (output_fetches - 1.0),
        (w[0], w[1], w[2], w[3]),  # spills as wide as the accumulator, whatever the convention
        (float(task.row_lanes), float(task.column_lanes), task.rates[2]),
        (c[0], c[1], c[2], c[3], c[4], c[5], c[6]),
    )
