"""Costs of matmuls on accelerators, as columns: the boundary between named arrays and the compiled kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.cost.count import counts
from codesign.cost.kernels import kernel, on_all_cores
from codesign.cost.mapping import POINT, search_rows
from codesign.cost.prepare import Operands, Options, tasks, variants
from codesign.cost.task import H, P, Q
from codesign.cost.technology import Technology
from codesign.design import Accelerator, BoolArray, FloatArray, IntArray

LEVELS = ("mac", "register", "accumulator", "scratchpad", "dram")

TENSORS = "IWO"
FREE = (2, 0, 1)
"""Position in MKN of the dimension that does not index I, W and O."""

ROOM = 8
"""Vertices of a hull that are expected; rows with more are searched again with more room."""

# What `_count` writes for a mapping.
COUNTED = ("array_steps", "register_bytes", "accumulator_words", "input_words", "weight_words", "dram_bytes")


@dataclass(frozen=True)
class MatmulCosts:
    """Costs of r (matmul, accelerator) rows; zero where not feasible."""

    feasible: BoolArray  # (r,)
    cycles: FloatArray  # (r,)
    compute_cycles: FloatArray  # (r,)
    energy_pj: FloatArray  # (r, LEVELS)
    register_bytes: FloatArray  # (r,)
    accumulator_words: FloatArray  # (r,)
    scratchpad_words: FloatArray  # (r,)
    dram_bytes: FloatArray  # (r,)
    tiles: IntArray  # (r, 3) M, K, N tile on chip
    outermost: IntArray  # (r,) position in TENSORS of the tensor that is fetched once
    innermost: IntArray  # (r,) position in TENSORS of the one that may hold a part only; the outermost where none does
    part: IntArray  # (r,) what the innermost holds of the tile of the dimension that is free for the third tensor
    serial: BoolArray  # (r,) buffers are not doubled: DRAM and array take turns

    @property
    def total_energy_pj(self) -> FloatArray:
        """(r,) sum over levels."""
        return np.asarray(self.energy_pj.sum(axis=1))


@dataclass(frozen=True)
class Hulls:
    """The convex delay-energy hulls of r (matmul, accelerator) rows, and all that is needed to tell their costs."""

    cycles: FloatArray  # (r, V) ascending; infinite where there are fewer vertices
    energy_pj: FloatArray  # (r, V) descending
    vertices: IntArray  # (r,) how many; 0 = not feasible
    points: FloatArray  # (r, V, len(POINT))
    tasks: Any  # (r,) records of TASK
    variants: FloatArray  # see `prepare.variants`

    def costs(self, rows: IntArray, vertex: IntArray) -> MatmulCosts:
        """Return the costs of chosen vertices of chosen rows."""
        return _costs(self.tasks[rows], self.variants, self.points[rows, vertex], self.vertices[rows] > 0)


def best_mappings(
    extents: IntArray,
    accelerator: Accelerator,
    technology: Technology,
    options: Options | None = None,
    operands: Operands | None = None,
) -> MatmulCosts:
    """Cost r matmuls, each on its own accelerator under its best mapping.

    Args:
        extents: (r, 3) M, K, N.
        accelerator: r rows.
        technology: what one action costs.
        options: what the mapping minimises, and how it is counted.
        operands: widths and densities; dense and of the cost model's width where not given.

    Returns:
        Columns of r rows. A row is infeasible if an extent is outside 1..2**24 or if no tile fits on chip.

    Raises:
        InputError: an option that does not exist, or a fidelity that the cost model is not calibrated for.
    """
    found = _search(extents, accelerator, technology, options or Options(), operands, room=1)
    return found.costs(np.arange(len(extents)), np.zeros(len(extents), dtype=np.int64))


def hulls(
    extents: IntArray,
    accelerator: Accelerator,
    technology: Technology,
    options: Options,
    operands: Operands | None = None,
) -> Hulls:
    """Return the vertices of each row's hull; see `best_mappings`, and `points` for what a hull is."""
    return _search(extents, accelerator, technology, options, operands, room=ROOM)


def _search(
    extents: IntArray,
    accelerator: Accelerator,
    technology: Technology,
    options: Options,
    operands: Operands | None,
    room: int,
) -> Hulls:
    rows, valid = tasks(extents, accelerator, technology, operands or Operands.dense(len(extents)), options)
    rows["objective"][~valid] = -1
    choices = variants(technology, options)
    points, kept = np.zeros((len(rows), room, len(POINT))), np.zeros(len(rows), dtype=np.int64)

    def work(share: slice) -> None:
        search_rows(rows[share], choices, points[share], kept[share])

    on_all_cores(len(rows), work)
    crowded = kept < 0
    if crowded.any():
        again = _again(rows[crowded], choices, room)
        points = np.concatenate([points, np.zeros((len(rows), again[0].shape[1] - room, len(POINT)))], axis=1)
        points[crowded], kept[crowded] = again
    used = np.arange(points.shape[1]) < kept[:, None]
    cycles, energy = (np.where(used, points[:, :, column], np.inf) for column in (0, 1))
    return Hulls(cycles, energy, kept, points, rows, choices)


def _again(rows: Any, choices: FloatArray, room: int) -> tuple[FloatArray, IntArray]:
    """Search rows whose hulls had no room, with ever more."""
    kept = np.full(len(rows), -1)
    while (kept < 0).any():
        room *= 4
        points = np.zeros((len(rows), room, len(POINT)))
        search_rows(rows, choices, points, kept)
    return points, kept


@kernel
def _count(tasks_: Any, points: FloatArray, out: FloatArray) -> None:
    """Count the accesses of chosen mappings: (r, len(COUNTED)) filled."""
    for i in range(len(tasks_)):
        task, point = tasks_[i], points[i]
        F, A, B = float(task.stream), float(task.rows), float(task.columns)
        held, p, q = point[9], point[10], point[11]
        if task.weight_stationary:
            extents, fetches = (F, A, B), (p, held, q)
        else:
            extents, fetches = (A, F, B), (p, q, held)
        w = task.widths
        widths = (w[0], w[1], w[2], w[3], w[4], w[5], w[6])
        steps, pieces = (point[13], point[14]), (point[15], point[16])
        counted = counts(task.weight_stationary == 1, extents, fetches, point[12], steps, pieces, widths)
        for column in range(6):
            out[i, column] = counted[column]


def _costs(rows: Any, choices: FloatArray, points: FloatArray, feasible: BoolArray) -> MatmulCosts:
    counted = np.zeros((len(rows), len(COUNTED)))
    _count(rows, points, counted)
    counted *= feasible[:, None]
    steps, register, accumulator, inputs, weights, dram = counted.T
    mac = np.where(feasible, rows["stream"].astype(np.float64) * rows["rows"] * rows["columns"], 0.0)
    pj = rows["energies"]
    energy = [mac * pj[:, 0], register * pj[:, 1], accumulator * pj[:, 2], inputs * pj[:, 3] + weights * pj[:, 4]]
    named = dict(zip(POINT, points.T, strict=True))
    held_weights = rows["weight_stationary"] == 1
    stream, row = named["stream_tile"], named["row_tile"]
    tensors = np.where(held_weights[:, None], [_I_W_O[H], _I_W_O[P], _I_W_O[Q]], [2, 0, 1])
    tiles = [np.where(held_weights, stream, row), np.where(held_weights, row, stream), named["column_tile"]]
    place = np.arange(len(rows))
    blocked = choices[np.where(held_weights, 0, 1), named["variant"].astype(np.int64)]
    return MatmulCosts(
        feasible=feasible,
        cycles=np.where(feasible, named["cycles"], 0.0),
        compute_cycles=steps * rows["rates"][:, 3],
        energy_pj=np.stack([*energy, dram * pj[:, 5]], axis=1),
        register_bytes=register,
        accumulator_words=accumulator,
        scratchpad_words=inputs + weights,
        dram_bytes=dram,
        tiles=np.stack(tiles, axis=1).astype(np.int64),
        outermost=tensors[place, named["outermost"].astype(np.int64)],
        innermost=tensors[place, named["innermost"].astype(np.int64)],
        part=_parts(rows, named, blocked),
        serial=blocked[:, 2] > 0,
    )


def _parts(rows: Any, named: dict[str, FloatArray], variant: FloatArray) -> IntArray:
    """Return (r,) what the innermost tensor holds at once: a part of the stream tile, or one piece of what is on the array."""
    middle = H + P + Q - named["outermost"] - named["innermost"]
    by_row = np.minimum(named["row_tile"], rows["row_lanes"] * variant[:, 0])
    by_column = np.minimum(named["column_tile"], rows["column_lanes"] * variant[:, 1])
    return np.asarray(np.select([middle == P, middle == Q], [by_column, by_row], named["part"]).astype(np.int64))


# Positions in TENSORS of the tensors H, P and Q where weights are held.
_I_W_O = {H: 1, P: 0, Q: 2}
