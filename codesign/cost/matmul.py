"""Costs of matmuls on accelerators, as columns: the boundary between named arrays and the compiled kernels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt
from typing import Any

import numpy as np

from codesign.cost.candidate import POINT
from codesign.cost.kernels import get_ready, on_all_cores
from codesign.cost.prepare import Operands, Options, tasks, variants
from codesign.cost.search import COUNTED, count_rows, count_rows_with_l2, search_rows, search_rows_with_l2
from codesign.cost.task import TASK, H, P, Q
from codesign.cost.technology import Technology
from codesign.cost.tiles import most_candidates
from codesign.design import Accelerator, BoolArray, FloatArray, IntArray

LEVELS = ("mac", "register", "accumulator", "scratchpad", "l2", "dram")

TENSORS = "IWO"
FREE = (2, 0, 1)
"""Position in MKN of the dimension that does not index I, W and O."""

ROOM = 8
"""Vertices of a hull that are expected; rows with more are searched again with more room."""

CHUNK = 16384
"""Rows whose points are in memory at a time."""


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
    """The convex delay-energy hulls of r (matmul, accelerator) rows, as one list of vertices.

    The vertices of row i are start[i] to start[i + 1], by ascending cycles and descending energy; a row without any is
    not feasible.
    """

    start: IntArray  # (r + 1,)
    cycles: FloatArray  # (v,)
    energy_pj: FloatArray  # (v, LEVELS)
    compute_cycles: FloatArray  # (v,)
    dram_bytes: FloatArray  # (v,)


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
    get_ready(count_rows)
    searched = _Search.of(extents, accelerator, technology, options or Options(), operands)
    points, kept = searched.run(room=1)
    points[kept < 1] = 0.0  # nothing was written there
    return searched.costs(np.arange(len(extents)), points[:, 0], kept > 0)


def hulls(
    extents: IntArray,
    accelerator: Accelerator,
    technology: Technology,
    options: Options,
    operands: Operands,
    beside: tuple[FloatArray, FloatArray] | None = None,
) -> Hulls:
    """Return each row's hull; see `points` for what a hull is.

    Args:
        extents: (r, 3) M, K, N.
        accelerator: r rows.
        technology: what one action costs.
        options: how the mapping is counted; the objective is not used.
        operands: widths and densities.
        beside: (r,) lane cycles and (r,) DRAM bytes of what runs beside each matmul; its energy is not included.
    """
    options = replace(options, objective="hull")
    parts = []
    for start in range(0, max(len(extents), 1), CHUNK):
        share = slice(start, start + CHUNK)
        chosen = options if options.whole_rows is None else replace(options, whole_rows=options.whole_rows[share])
        searched = _Search.of(extents[share], accelerator.take(share), technology, chosen, operands.take(share))
        if beside is not None:
            searched.tasks["beside_cycles"], searched.tasks["beside_bytes"] = beside[0][share], beside[1][share]
        parts.append(searched.hulls())
    before = np.concatenate([[0], np.cumsum([len(part.cycles) for part in parts])])
    starts = [part.start[:-1] + offset for part, offset in zip(parts, before, strict=False)]
    columns = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("cycles", "energy_pj", "compute_cycles", "dram_bytes")
    )
    return Hulls(np.concatenate([*starts, before[-1:]]), *columns)


@dataclass(frozen=True)
class _Search:
    """Rows for the kernels, and what they return."""

    tasks: Any  # (r,) records of TASK
    variants: FloatArray  # see `prepare.variants`

    @staticmethod
    def of(
        extents: IntArray,
        accelerator: Accelerator,
        technology: Technology,
        options: Options,
        operands: Operands | None,
    ) -> _Search:
        """Return the search of r rows; those that cannot be searched are left out by it."""
        rows, valid = tasks(extents, accelerator, technology, operands or Operands.dense(len(extents)), options)
        rows["objective"][~valid] = -1
        return _Search(rows, variants(technology, options))

    def run(self, room: int) -> tuple[FloatArray, IntArray]:
        """Return (r, room, len(POINT)) points and (r,) how many there are, -1 where there was no room for all."""
        points, kept = np.empty((len(self.tasks), room, len(POINT))), np.zeros(len(self.tasks), dtype=np.int64)
        with_l2, longest = _has_l2(self.tasks), _longest(self.tasks)

        def work(start: int, step: int) -> None:
            lists = np.empty((2, most_candidates(longest), 4), dtype=np.int64)
            rows = (self.tasks, self.variants, points, kept, start, step, np.empty((4, 8)), lists)
            if with_l2:
                factors = np.empty((2, 2 * isqrt(longest) + 2), dtype=np.int64)
                search_rows_with_l2(*rows, np.zeros(1, TASK), factors, np.empty((1, len(POINT))))
            else:
                search_rows(*rows)

        on_all_cores(len(self.tasks), work)
        return points, kept

    def hulls(self) -> Hulls:
        """Return all vertices of all rows; rows without room for theirs are searched again with more."""
        rows, vertices, room, waiting = [], [], ROOM, np.arange(len(self.tasks))
        while True:
            points, kept = replace(self, tasks=self.tasks[waiting]).run(room)
            row, vertex = np.nonzero(np.arange(room) < kept[:, None])
            rows.append(waiting[row])
            vertices.append(points[row, vertex])
            waiting, room = waiting[kept < 0], 4 * room
            if not len(waiting):
                break
        row, found = np.concatenate(rows), np.concatenate(vertices)
        order = np.argsort(row, kind="stable")
        costs = self.costs(row[order], found[order], np.ones(len(order), dtype=np.bool_))
        start = np.searchsorted(row[order], np.arange(len(self.tasks) + 1))
        return Hulls(start, costs.cycles, costs.energy_pj, costs.compute_cycles, costs.dram_bytes)

    def costs(self, rows: IntArray, points: FloatArray, feasible: BoolArray) -> MatmulCosts:
        """Return the costs of points, each of the row that is named with it."""
        return _costs(self.tasks[rows], self.variants, points, feasible)


def _has_l2(rows: Any) -> bool:
    """Whether the machine of these tasks has an L2: all have, or none."""
    return bool((rows["l2"][:1, 0] > 0).any())


def _longest(rows: Any) -> int:
    """Return the longest dimension of tasks that can be searched."""
    valid = rows[rows["objective"] >= 0]
    return int(max(valid[name].max(initial=1) for name in ("stream", "rows", "columns")))


def _costs(rows: Any, choices: FloatArray, points: FloatArray, feasible: BoolArray) -> MatmulCosts:
    counted = np.zeros((len(rows), len(COUNTED)))
    if _has_l2(rows):
        count_rows_with_l2(rows, points, counted, np.zeros(1, TASK))
    else:
        count_rows(rows, points, counted)
    counted[~feasible] = 0.0  # not a product: without an L2 tile the counts are no numbers
    steps, register, accumulator, inputs, weights, dram, l2 = counted.T
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
        energy_pj=np.stack([*energy, l2 * rows["l2"][:, 2], dram * pj[:, 5]], axis=1),
        register_bytes=register,
        accumulator_words=accumulator,
        scratchpad_words=inputs + weights,
        dram_bytes=dram,
        tiles=np.stack(tiles, axis=1).astype(np.int64),
        outermost=tensors[place, named["outermost"].astype(np.int64)],
        innermost=tensors[place, named["innermost"].astype(np.int64)],
        part=named["part"].astype(np.int64),
        serial=blocked[:, 2] > 0,
    )


# Positions in TENSORS of the tensors H, P and Q where weights are held.
_I_W_O = {H: 1, P: 0, Q: 2}
