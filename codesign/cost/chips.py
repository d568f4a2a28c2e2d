"""Costs of many shapes on each accelerator of a fixed list, for searches that look at all of them.

Energy and delay of a design are sums over its operations, and a space knows few distinct ones: each is mapped once, on
all accelerators, and remembered as its delay-energy hull. What a shape costs on an accelerator is then a walk over the
edges of its hulls (`combine.choose`), some microseconds. Without it, the sums of each operation's least cycles and
least energy bound what any choice can reach. Results are those of `estimate` up to the order of summation.

Left out: metrics that are no such sums (peak power) and DRAM traffic; `estimate` has them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from codesign.cost.combine import choose
from codesign.cost.estimate import LEAKAGE, check_dataflows
from codesign.cost.kernels import get_ready, on_all_cores
from codesign.cost.prepare import Fidelity, Options
from codesign.cost.sublayers import Groups, group_matmuls, map_distinct
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import area_mm2, check_accumulator, leakage_w
from codesign.cost.vector import vector_costs
from codesign.design import Accelerator, FloatArray, IntArray, ModelShape, Scenario
from codesign.workload import Workload, workload

CHIP_METRICS = ("edp_js", "energy_j", "delay_s", "cycles", "area_mm2", LEAKAGE)
"""What is known here of a shape on an accelerator."""

SHAPES_AT_ONCE = 512


@dataclass(frozen=True)
class Items:
    """The distinct operations of s shapes, as positions in what `Chips` remembers."""

    rows: IntArray  # (s, items of a shape)
    count: FloatArray  # (s, items of a shape) how often each is done; 0 = absent


@dataclass
class _Hulls:
    """Hulls of r operations on each of A accelerators, an operation after another; grows."""

    start: IntArray  # (r * A + 1,) where the vertices of each hull begin
    cycles: FloatArray  # (v,)
    energy_pj: FloatArray  # (v,)
    least: FloatArray  # (2, r, A) least cycles and least energy of each hull; inf where nothing fits

    def append(self, counts: IntArray, cycles: FloatArray, energy_pj: FloatArray) -> None:
        """Add the hulls of more operations: vertices of each (operation, accelerator), and all of them in order."""
        chips = self.least.shape[2]
        ends = np.cumsum(counts)
        first, last = ends - counts, np.maximum(ends - 1, 0)
        least = np.stack([cycles[np.minimum(first, len(cycles) - 1)], energy_pj[last]]) if len(cycles) else None
        known = np.full((2, len(counts)), np.inf) if least is None else np.where(counts > 0, least, np.inf)
        self.start = np.concatenate([self.start, self.start[-1] + ends])
        self.cycles = np.concatenate([self.cycles, cycles])
        self.energy_pj = np.concatenate([self.energy_pj, energy_pj])
        self.least = np.concatenate([self.least, known.reshape(2, -1, chips)], axis=1)


@dataclass(frozen=True)
class Chips:
    """A list of A accelerators under one cost model, and what is known of operations on them."""

    accelerator: Accelerator  # A rows
    scenario: Scenario
    technology: Technology
    fidelity: Fidelity
    _known: dict[Hashable, int] = field(default_factory=dict)
    _hulls: _Hulls = field(init=False)

    def __post_init__(self) -> None:
        check_dataflows(self.accelerator, self.technology)
        check_accumulator(self.technology, self.accelerator)
        get_ready(choose)
        empty = np.zeros(0)
        hulls = _Hulls(np.zeros(1, dtype=np.int64), empty, empty, np.zeros((2, 0, len(self.accelerator))))
        object.__setattr__(self, "_hulls", hulls)

    def items(self, shape: ModelShape) -> Items:
        """Return the operations of s shapes; those that are new are mapped on all accelerators."""
        work = workload(shape, self.scenario)
        one = self.accelerator.take(np.zeros(len(shape), dtype=np.int64))
        groups = group_matmuls(work, one, self.technology)
        self._learn_matmuls(groups)
        standing = [v for v in range(len(work.vectors.kinds)) if v not in groups.followed]
        self._learn_vectors(work, standing)
        rows = np.array([self._known[key] for key in _matmul_keys(groups)], dtype=np.int64)[groups.rows]
        vectors = [
            [self._known[work.vectors.kinds[v], int(elements)] for elements in work.vectors.elements[:, v]]
            for v in standing
        ]
        beside = np.array(vectors, dtype=np.int64).reshape(len(standing), len(shape)).T
        count = np.concatenate([groups.count, np.ones(beside.shape)], axis=1)
        return Items(np.concatenate([rows, beside], axis=1), count)

    def least(self, items: Items) -> tuple[FloatArray, FloatArray]:
        """Return (s, A) cycles and (s, A) energy in pJ that no design can have less of; inf where one cannot be."""
        shapes, known = len(items.rows), len(self._known)
        times = np.zeros((shapes, known))
        np.add.at(times, (np.arange(shapes)[:, None], items.rows), items.count)
        cannot = np.isinf(self._hulls.least[0])
        cycles, energy = (times @ np.where(cannot, 0.0, bound) for bound in self._hulls.least)
        impossible = (times > 0).astype(np.float64) @ cannot.astype(np.float64) > 0
        return np.where(impossible, np.inf, cycles), np.where(impossible, np.inf, energy)

    def exact(self, items: Items, shapes: IntArray, chips: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return (p,) cycles and (p,) energy in pJ of pairs (shape, accelerator), inf where one does not fit.

        Args:
            items: of s shapes.
            shapes: (p,) positions in `items`.
            chips: (p,) positions in the list of accelerators.
        """
        hulls, count = self._hulls, items.count[shapes]
        rows = items.rows[shapes] * len(self.accelerator) + chips[:, None]
        chosen = np.empty(rows.shape, dtype=np.int64)
        edges = int(np.diff(hulls.start)[rows].sum(axis=1).max(initial=0))

        def work(start: int, step: int) -> None:
            room = np.empty(edges), np.empty(edges, dtype=np.int64)
            fixed = np.zeros((len(rows), 2))
            choose(rows, count, fixed, hulls.start, hulls.cycles, hulls.energy_pj, chosen, start, step, *room)

        on_all_cores(len(rows), work)
        fits = ((chosen >= 0) | (count == 0)).all(axis=1)
        times = np.where(chosen >= 0, count, 0.0)
        totals = ((column[chosen] * times).sum(axis=1) for column in (hulls.cycles, hulls.energy_pj))
        cycles, energy = (np.where(fits, total, np.inf) for total in totals)
        return cycles, energy

    def metrics(self, cycles: FloatArray, energy_pj: FloatArray, chips: IntArray | slice) -> dict[str, FloatArray]:
        """Return CHIP_METRICS of designs by name, from their cycles and energy on accelerators of the list.

        Leakage only where the cost model knows it. Arrays broadcast; `chips` picks along the last axis.
        """
        delay = cycles / self.technology.clock.frequency_hz.value
        energy = energy_pj * 1e-12
        area = np.broadcast_to(area_mm2(self.technology, self.accelerator)[chips], delay.shape)
        found = {"edp_js": energy * delay, "energy_j": energy, "delay_s": delay, "cycles": cycles, "area_mm2": area}
        leaking = leakage_w(self.technology, self.accelerator)
        return found if leaking is None else found | {LEAKAGE: leaking[chips] * delay}

    def _learn_matmuls(self, groups: Groups) -> None:
        """Map the sublayers that are new on all accelerators."""
        keys = _matmul_keys(groups)
        new = np.array([row for row, key in enumerate(keys) if key not in self._known], dtype=np.int64)
        if not len(new):
            return
        chips = len(self.accelerator)
        rows, every = np.repeat(new, chips), np.tile(np.arange(chips), len(new))
        nobody = np.zeros((0, 0), dtype=np.int64)
        crossed = Groups(
            rows=nobody,
            count=nobody.astype(np.float64),
            extents=groups.extents[rows],
            accelerator=self.accelerator.take(every),
            operands=groups.operands.take(rows),
            fusing=groups.fusing[rows],
            kinds=groups.kinds,
            kind=groups.kind[rows],
            owner=groups.owner,
        )
        found = map_distinct(crossed, self.technology, Options(fidelity=self.fidelity))
        total = int(found.start[-1])  # one more vertex stands for no mapping
        self._hulls.append(np.diff(found.start), found.cycles[:total], found.energy_pj[:total])
        self._name([keys[row] for row in new])

    def _learn_vectors(self, work: Workload, standing: list[int]) -> None:
        """Cost the vector operations that follow no matmul, those that are new, on all accelerators."""
        named = {
            (work.vectors.kinds[v], int(e)): None for v in standing for e in np.unique(work.vectors.elements[:, v])
        }
        new = [key for key in named if key not in self._known]
        if not new:
            return
        elements = np.tile([float(size) for _, size in new], (len(self.accelerator), 1))
        cost = vector_costs([kind for kind, _ in new], elements, self.accelerator, self.technology)
        one_vertex = np.ones(len(new) * len(self.accelerator), dtype=np.int64)
        self._hulls.append(one_vertex, cost.cycles.T.ravel(), cost.energy_pj.T.ravel())
        self._name(new)

    def _name(self, keys: Sequence[Hashable]) -> None:
        self._known.update({key: len(self._known) + place for place, key in enumerate(keys)})


def _matmul_keys(groups: Groups) -> list[Hashable]:
    """Return what the cost of each distinct sublayer depends on, its accelerator aside."""
    operands = groups.operands
    columns = (*groups.extents.T, operands.input_bits, operands.weight_bits, operands.weight_density, groups.fusing)
    return [
        (*row, groups.kinds[kind])
        for *row, kind in zip(*(column.tolist() for column in columns), groups.kind.tolist(), strict=True)
    ]
