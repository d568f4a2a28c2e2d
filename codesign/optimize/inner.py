"""The inner problem of a bilevel search: on which accelerators does a shape cost least?

Costs are exact and nearly free, so a shape is never tried on one accelerator: it is looked up on all of them, and those
of its cost front are kept. Where the space has at most MOST_CHIPS accelerators within its area limit, all are looked
at and the front is exact. Where it has more, or where an objective or limit is a metric that only a full estimate
knows, a sample is looked at, which grows by the neighbours of what was good (`Inner.widen`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from codesign.cost.chips import CHIP_METRICS, Chips, Items
from codesign.cost.unit_costs import area_mm2
from codesign.design import Accelerator, BoolArray, FloatArray, IntArray
from codesign.evaluation import Evaluator
from codesign.front import non_dominated
from codesign.space import SearchSpace

MOST_CHIPS = 8192
"""Accelerators that are all looked at: on each, every distinct operation of the space is mapped once."""

MOST_ESTIMATED = 64
"""The same where each pair takes a full estimate."""

PAIRS_AT_ONCE = 2_000_000

ROUNDING = 1 + 1e-9
"""A bound is summed in another order than what it bounds."""


@dataclass(frozen=True)
class Best:
    """The accelerators on which one shape costs least, one row each; of a shape that fits no limit, the nearest one."""

    chips: IntArray  # (k,) positions in the list of accelerators
    costs: FloatArray  # (k, cost objectives) natural logarithms
    excess: float
    """Sum of the relative excess over the limits; 0 = feasible. Infinite where the shape fits on none."""


@dataclass
class Inner:
    """Accelerators of a space, and what is known of shapes on them."""

    evaluator: Evaluator
    quality: str
    """The metric that is no cost."""
    chosen: IntArray = field(init=False)
    """(A, accelerator genes) the list."""
    exact: bool = field(init=False)
    """Whether the list is all there is."""
    _found: dict[bytes, Best] = field(default_factory=dict)
    _blocks: list[Chips] = field(default_factory=list)

    def __post_init__(self) -> None:
        sizes = self.space.sizes[self.columns]
        most = MOST_CHIPS if self.priced else MOST_ESTIMATED
        total = math.prod(int(size) for size in sizes)
        self.exact = total <= most
        if self.exact:
            found = np.indices(tuple(sizes)).reshape(len(sizes), total).T
        else:  # the same sample for every search: what is asked must not depend on more than the seed and the record
            drawn = np.random.default_rng(0).integers(0, sizes, size=(4 * most, len(sizes)))
            found = np.unique(np.concatenate([self._of_baseline, drawn]), axis=0)
        within = self._within_area(found)
        found = found[within] if within.any() else found
        self.chosen = found if self.exact else np.random.default_rng(0).permutation(found)[:most]
        self._add(self.chosen)

    @property
    def space(self) -> SearchSpace:
        """What is searched."""
        return self.evaluator.space

    @cached_property
    def columns(self) -> IntArray:
        """Positions of the accelerator's genes in a genome."""
        return np.array([place for place, gene in enumerate(self.space.genes) if gene.on_accelerator], dtype=np.int64)

    @cached_property
    def costs(self) -> tuple[str, ...]:
        """The objectives that are costs."""
        return tuple(name for name in self.space.objectives if name != self.quality)

    @cached_property
    def limits(self) -> dict[str, float]:
        """Largest feasible value of each limited cost."""
        return {name: most for name, most in self.evaluator.limits.items() if name != self.quality}

    @cached_property
    def priced(self) -> bool:
        """Whether all that is asked of a shape is known without a full estimate."""
        return {*self.costs, *self.limits} <= {*CHIP_METRICS, *OF_SHAPE}

    def best(self, shapes: IntArray) -> list[Best]:
        """Return the accelerators of each of n shapes.

        Args:
            shapes: (n, genes) canonical genomes; what their accelerator is does not matter.
        """
        keys = [self.key(row) for row in shapes]
        new = {key: row for row, key in reversed(list(enumerate(keys))) if key not in self._found}
        rows = np.array(sorted(new.values()), dtype=np.int64)
        at_once = max(1, PAIRS_AT_ONCE // max(len(self.chosen), 1))
        for start in range(0, len(rows), at_once):
            part = shapes[rows[start : start + at_once]]
            solved = self._priced(part) if self.priced else self._estimated(part)
            self._found.update(zip((self.key(row) for row in part), solved, strict=True))
        return [self._found[key] for key in keys]

    def key(self, genome: IntArray) -> bytes:
        """Return what tells shapes apart: the genome without its accelerator."""
        shape = np.array(genome, dtype=np.int64)
        shape[self.columns] = 0
        return shape.tobytes()

    def designs(self, shape: IntArray, best: Best) -> IntArray:
        """(k, genes) a shape on each of its accelerators."""
        found = np.repeat(np.asarray(shape, dtype=np.int64)[None], len(best.chips), axis=0)
        found[:, self.columns] = self.chosen[best.chips]
        return found

    def widen(self, genomes: IntArray) -> None:
        """Look from now on at the accelerators of these designs and their neighbours too, where not all are known."""
        if self.exact or not len(genomes):
            return
        own = np.unique(genomes[:, self.columns], axis=0)
        sizes = self.space.sizes[self.columns]
        steps = np.concatenate([np.eye(len(sizes), dtype=np.int64), -np.eye(len(sizes), dtype=np.int64)])
        near = (own[:, None] + np.concatenate([steps, np.zeros_like(steps[:1])])[None]).reshape(-1, len(sizes))
        near = np.unique(near[((near >= 0) & (near < sizes)).all(axis=1)], axis=0)
        known = {row.tobytes() for row in self.chosen}
        new = near[[row.tobytes() not in known for row in near]]
        new = new[self._within_area(new)]
        if len(new):
            self.chosen = np.concatenate([self.chosen, new])
            self._add(new)
            self._found.clear()

    @property
    def _of_baseline(self) -> IntArray:
        return self.space.encode(self.space.baseline)[:, self.columns]

    def _accelerators(self, chosen: IntArray) -> Accelerator:
        genomes = np.zeros((len(chosen), len(self.space.genes)), dtype=np.int64)
        genomes[:, self.columns] = chosen
        return self.space.decode(genomes).accelerator

    def _within_area(self, chosen: IntArray) -> BoolArray:
        area = area_mm2(self.evaluator.technology, self._accelerators(chosen))
        return np.asarray(area <= self.limits.get("area_mm2", np.inf))

    def _add(self, chosen: IntArray) -> None:
        """Price the accelerators of one more part of the list."""
        if self.priced:
            e = self.evaluator
            self._blocks.append(Chips(self._accelerators(chosen), self.space.scenario, e.technology, e.fidelity))

    def _estimated(self, shapes: IntArray) -> list[Best]:
        """Solve shapes by a full estimate of each on every accelerator."""
        count = len(self.chosen)
        genomes = np.repeat(shapes, count, axis=0)
        genomes[:, self.columns] = np.tile(self.chosen, (len(shapes), 1))
        metrics = self.evaluator.costs(genomes)
        every = np.arange(count)
        parts = ({name: column[row * count : (row + 1) * count] for name, column in metrics.items()}
                 for row in range(len(shapes)))  # fmt: skip
        return [self._kept(part, every) for part in parts]

    def _priced(self, shapes: IntArray) -> list[Best]:
        """Solve shapes by what their operations cost on every accelerator."""
        of_shape = self._of_shapes(shapes)
        items = [block.items(self.space.decode(shapes).shape) for block in self._blocks]
        rows, chips, metrics = zip(*self._worth(items, of_shape, len(shapes)), strict=True)
        row, chip = np.concatenate(rows), np.concatenate(chips)
        columns = {name: np.concatenate([part[name] for part in metrics]) for name in metrics[0]}
        order = np.lexsort((chip, row))
        bounds = np.searchsorted(row[order], np.arange(len(shapes) + 1))
        return [
            self._kept({name: column[own] for name, column in columns.items()}, chip[own])
            for own in (order[start:stop] for start, stop in pairwise(bounds))
        ]

    def _of_shapes(self, shapes: IntArray) -> dict[str, FloatArray]:
        """(n,) metrics that every accelerator gives a shape alike, those that are asked for."""
        wanted = OF_SHAPE & {*self.costs, *self.limits}
        if not wanted:
            return {}
        genomes = np.array(shapes)
        genomes[:, self.columns] = self._of_baseline
        metrics = self.evaluator.costs(genomes)
        return {name: metrics[name] for name in sorted(wanted)}

    def _worth(
        self, items: list[Items], of_shape: dict[str, FloatArray], count: int
    ) -> Iterable[tuple[IntArray, IntArray, dict[str, FloatArray]]]:
        """Yield, of each block, (p,) shapes, (p,) accelerators and their exact metrics, where bounds leave a chance."""
        offset = 0
        for block, own in zip(self._blocks, items, strict=True):
            cycles, energy = block.least(own)
            every = slice(None)
            bound = block.metrics(cycles, energy, every) | {n: c[:, None] for n, c in of_shape.items()}
            rows, chips = np.nonzero(self._chances(block, own, bound, count))
            metrics = block.metrics(*block.exact(own, rows, chips), chips)
            metrics |= {name: column[rows] for name, column in of_shape.items()}
            yield rows, chips + offset, metrics
            offset += len(block.accelerator)

    def _chances(self, block: Chips, items: Items, bound: dict[str, FloatArray], count: int) -> BoolArray:
        """(n, A) where a shape may cost least: its bound is not above what the shape reaches elsewhere.

        Bounds cut where one cost is asked for. Several, or a shape that no accelerator brings within the limits, are
        looked at on every accelerator.
        """
        shape = bound["edp_js"].shape
        if len(self.costs) != 1:
            return np.ones(shape, dtype=np.bool_)
        wanted = np.broadcast_to(bound[self.costs[0]], shape)
        allowed = np.ones(shape, dtype=np.bool_)
        for name, most in self.limits.items():
            allowed &= np.broadcast_to(bound[name], shape) <= most
        first = np.where(allowed, wanted, np.inf).argmin(axis=1)
        every = np.arange(count)
        reached = block.metrics(*block.exact(items, every, first), first)
        kept = allowed[every, first]
        for name, most in self.limits.items():
            column = reached.get(name)
            kept &= True if column is None else column <= most
        target = reached[self.costs[0]] if self.costs[0] in reached else wanted[every, first]
        return np.asarray(np.where(kept[:, None], allowed & (wanted <= target[:, None] * ROUNDING), True))

    def _kept(self, metrics: dict[str, FloatArray], chips: IntArray) -> Best:
        """Return the non-dominated ones of the accelerators of one shape, or the one nearest to the limits."""
        known = np.isfinite(metrics["edp_js"])
        excess = np.where(known, 0.0, np.inf)
        for name, most in self.limits.items():
            excess += np.nan_to_num(np.maximum(metrics[name] / most - 1.0, 0.0), posinf=np.inf)
        least = float(excess.min())
        rows = np.flatnonzero(excess == 0) if least == 0 else np.array([int(excess.argmin())])
        costs = np.log(np.stack([metrics[name][rows] for name in self.costs], axis=1)) if self.costs else None
        if costs is None:  # nothing but quality is asked for: any accelerator within the limits
            return Best(chips[rows[:1]], np.zeros((1, 0)), least)
        front = non_dominated(costs) if least == 0 else np.ones(1, dtype=np.bool_)
        return Best(chips[rows[front]], costs[front], least)


OF_SHAPE = {"macs", "parameters", "dram_footprint_bytes"}
"""Metrics that do not depend on the accelerator."""
