"""No loop nest beats the mapper: nests of any shape, walked through loop by loop, on buffers that just hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codesign.cost.matmul import best_mappings
from codesign.cost.points import OBJECTIVES
from codesign.cost.prepare import Options
from codesign.design import Accelerator
from tests.cost.enumeration import weigh
from tests.cost.machines import accelerator, problem, random_technology, value, with_array
from tests.cost.walk import Machine, Nest, cut

CONVENTIONS = ("timeloop", "accelforge", "zigzag")


def random_nest(rng: np.random.Generator, extents: np.ndarray) -> Nest:
    """Draw a nest: each dimension cut up to three times, in any order; each tensor kept at any depth."""
    sizes = [sorted(rng.integers(1, e + 1, rng.integers(0, 4)).tolist(), reverse=True) for e in extents]
    order = rng.permutation([d for d, s in enumerate(sizes) for _ in s]).astype(int).tolist()
    loops = tuple((d, sizes[d].pop(0)) for d in order)
    i, w, o = rng.integers(0, len(loops) + 1, 3).tolist()
    return Nest(loops, (i, w, o))


def leaves_lanes_idle(nest: Nest, row: Any) -> bool:
    """Whether the nest uses fewer lanes than the array has and the tiles fill, which the mapper does not."""
    on_rows = 1 if row.weight_stationary else 0
    for d, lanes in ((on_rows, row.array[0]), (2, row.array[1])):
        sizes = [row.extents[d]]
        for dimension, size in nest.loops:
            sizes.append(min(size, sizes[-1]) if dimension == d else sizes[-1])
        if sizes[-1] < min(lanes, max(sizes[depth] for depth in nest.depth)):
            return True
    return False


def leaf_steps(extent: int, nest: Nest, dimension: int, lanes: int) -> int:
    """Into how many steps of the array a dimension falls."""
    lengths = [extent]
    for size in [*(size for d, size in nest.loops if d == dimension), lanes]:
        lengths = [piece for length in lengths for piece in cut(length, size)]
    return len(lengths)


def check(seed: int, rows: int, largest: int, limit: int = 0) -> None:
    """Draw nests, walk through them, and compare each with the best mapping on buffers of just their size."""
    rng = np.random.default_rng(seed)
    for convention in CONVENTIONS:
        model: Any = random_technology(rng)
        model = with_array(model, 1.0, limit) if limit else model
        extents = rng.integers(1, largest + 1, (rows, 3))
        nests = [random_nest(rng, row) for row in extents]
        chips = accelerator(
            pe_rows=rng.integers(1, 5, rows),
            pe_cols=rng.integers(1, 5, rows),
            dataflow=rng.integers(0, 2, rows),
            dram_bytes_per_cycle=2 ** rng.uniform(-2, 5, rows),
        )
        found = [walked(extents[i], nests[i], chips.take(slice(i, i + 1)), model, convention) for i in range(rows)]
        cycles, energy, scratchpad, accumulators = (np.array(column) for column in zip(*found, strict=True))
        # The energy of an access grows with capacity: the nest is weighed again on the buffers that it needs.
        fitted = accelerator(**{**vars(chips), "scratchpad_bytes": scratchpad, "accumulator_bytes": accumulators})
        again = [walked(extents[i], nests[i], fitted.take(slice(i, i + 1)), model, convention) for i in range(rows)]
        cycles, energy, *_ = (np.array(column) for column in zip(*again, strict=True))
        idle = [
            leaves_lanes_idle(nests[i], problem(extents[i], chips.take(slice(i, i + 1)), model, convention))
            for i in range(rows)
        ]
        assert np.mean(idle) < 0.9
        for objective in OBJECTIVES:
            options: Any = Options(objective, convention, buffering="ideal")  # type: ignore[arg-type]
            best = value(best_mappings(extents, fitted, model, options), objective)
            theirs = {"edp": cycles * energy, "energy": energy, "delay": cycles}[objective]
            worse = np.flatnonzero((best > theirs * (1 + 1e-9)) & ~np.array(idle))
            assert not len(worse), (objective, convention, extents[worse[0]], nests[worse[0]], best[worse[0]])


def walked(
    extents: np.ndarray, nest: Nest, chip: Accelerator, model: Any, convention: str
) -> tuple[float, float, int, int]:
    """Cycles and pJ of a nest, and the bytes of scratchpad and accumulator that it needs."""
    row = problem(extents, chip, model, convention)
    machine = Machine(row.weight_stationary, row.extents, row.array, row.widths, row.stream_limit)
    counted = machine.walk(nest)
    cycles, energy = weigh(row, counted, leaf_steps(row.extents[2], nest, 2, row.array[1]), serial=False)
    sizes = np.multiply(machine.peak, row.words)
    return float(cycles), float(energy), int(sizes[0] + sizes[1]), int(sizes[2])


@pytest.mark.parametrize("limit", [0, 2])
def test_no_random_nest_beats_the_mapper(limit: int) -> None:
    """1,200 nests: none has less energy, delay or EDP than the best mapping on buffers that just hold it."""
    check(seed=limit, rows=200, largest=5, limit=limit)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_no_random_nest_beats_the_mapper_among_many(seed: int) -> None:
    """The same for 28,800 nests, up to 7 long."""
    check(seed=100 + seed, rows=1200, largest=4 + seed % 4)
