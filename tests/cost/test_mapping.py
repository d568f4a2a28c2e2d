"""The optimal mapper against plain enumeration, and given nests; extreme and impossible rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codesign.cost.candidate import LARGEST_EXTENT
from codesign.cost.matmul import LEVELS, best_mappings
from codesign.cost.points import OBJECTIVES
from codesign.cost.prepare import BUFFERINGS, Operands, Options
from codesign.cost.technology import Technology
from codesign.cost.tiles import PIECES, STEPS, TILE, TRIPS, most_candidates, tile_candidates
from codesign.errors import InputError
from tests.cost.enumeration import least, leaves, points
from tests.cost.machines import (
    accelerator,
    cost_model,
    problem,
    random_accelerators,
    random_extents,
    random_operands,
    random_technology,
    unified,
    value,
    with_array,
    with_registers,
)

CONVENTIONS = ("timeloop", "accelforge", "zigzag")
BUFFERING = ("ideal", "double", "single", "best")


def check(
    rng: np.random.Generator, model: Technology, rows: int, largest: int, operands: Operands | None = None, **same: Any
) -> None:
    """Map random rows for every objective, convention and buffering, and enumerate the same."""
    chips, extents = random_accelerators(rng, rows), random_extents(rng, rows, largest)
    if model.accumulator is None:
        chips = accelerator(**{**vars(chips), "accumulator_bytes": np.zeros(rows, dtype=np.int64)})
    whole = same.pop("whole_rows", False)
    for convention in CONVENTIONS:
        for buffering in BUFFERING:
            found = []
            for objective in OBJECTIVES:
                options = Options(
                    objective=objective,  # type: ignore[arg-type]
                    convention=convention,  # type: ignore[arg-type]
                    buffering=buffering,  # type: ignore[arg-type]
                    whole_rows=np.full(rows, whole),
                    **same,
                )
                found.append(value(best_mappings(extents, chips, model, options, operands), objective))
            fields = {
                "modes": BUFFERINGS[buffering],
                "whole_rows": whole,
                "perfect": same.get("perfect_factors", False),
            }
            for i in range(rows):
                some = None if operands is None else operands.take(slice(i, i + 1))
                row = problem(extents[i], chips.take(slice(i, i + 1)), model, convention, some, **fields)
                cycles, energy = points(row)
                expected = [least(objective, cycles, energy) for objective in OBJECTIVES]
                np.testing.assert_allclose([column[i] for column in found], expected, rtol=1e-9, err_msg=str(row))


@pytest.mark.parametrize("perfect", [False, True])
def test_optimum_is_that_of_enumeration(perfect: bool) -> None:
    """No form, tile sizes and parts, however odd, do better than the mapper's, on any array, buffer or bandwidth."""
    rng = np.random.default_rng(1)
    for _ in range(3):
        check(rng, random_technology(rng), rows=15, largest=8, perfect_factors=perfect)


@pytest.mark.parametrize("perfect", [False, True])
def test_optimum_of_other_machines_is_that_of_enumeration(perfect: bool) -> None:
    """The same with outputs in the scratchpad, registers of several words, and arrays that reload what is held."""
    rng = np.random.default_rng(2)
    for model in machines(rng):
        check(rng, model, rows=8, largest=7, perfect_factors=perfect)


def machines(rng: np.random.Generator) -> list[Technology]:
    """Return what the template has beside scratchpad, accumulator and single registers."""
    several = with_registers(random_technology(rng), *rng.integers(2, 7, 3).tolist())
    limited = with_array(random_technology(rng), float(rng.uniform(0, 1)), int(rng.integers(1, 6)))
    return [
        unified(random_technology(rng)),
        several,
        limited,
        unified(with_array(with_registers(random_technology(rng), 4, 3, 3), 0.5, 2)),
    ]


@pytest.mark.parametrize("perfect", [False, True])
def test_optimum_with_whole_rows_is_that_of_enumeration(perfect: bool) -> None:
    """Where a fused operation needs whole rows of finished outputs, only mappings that keep them are searched."""
    rng = np.random.default_rng(3)
    check(rng, random_technology(rng), rows=25, largest=7, perfect_factors=perfect, whole_rows=True)


def test_optimum_of_other_operands_is_that_of_enumeration() -> None:
    """The same for inputs and weights of other widths, and for sparse weights."""
    rng = np.random.default_rng(4)
    model = cost_model("gemmini_40nm")
    check(rng, model, rows=20, largest=7, operands=random_operands(rng, 20, model))


@pytest.mark.long
@pytest.mark.parametrize("perfect", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_optimum_is_that_of_enumeration_on_many_rows(seed: int, perfect: bool) -> None:
    """The same on 5,600 more pairs under 36 combinations of objective, convention and buffering each; up to 18 long."""
    rng = np.random.default_rng(100 + seed)
    for largest, rows in ((6, 100), (9, 40), (12, 10), (18, 2)):
        check(rng, random_technology(rng), rows, largest, perfect_factors=perfect)
    for model in machines(rng):
        check(rng, model, rows=25, largest=8, perfect_factors=perfect)
    check(rng, random_technology(rng), rows=28, largest=8, perfect_factors=perfect, whole_rows=True)


@pytest.mark.parametrize(("lanes", "block"), [(1, 1), (3, 1), (4, 1), (16, 1), (3, 2), (2, 5)])
@pytest.mark.parametrize("perfect", [False, True])
def test_candidates_miss_no_trips_steps_and_pieces(lanes: int, block: int, perfect: bool) -> None:
    """Every tile size has a candidate that is no larger and has no more trips, steps and pieces."""
    for extent in range(1, 50):
        rows = np.empty((most_candidates(extent), 4), dtype=np.int64)
        candidates = rows[: tile_candidates(extent, lanes, block, perfect, rows)]
        for tile in range(1, extent + 1):
            if perfect and extent % tile:
                continue
            pieces = leaves(extent, (tile, lanes * block), perfect)
            steps = leaves(extent, (tile, lanes * block, lanes), perfect)
            assert (candidates <= (tile, -(-extent // tile), steps, pieces)).all(axis=1).any()
        for row in candidates:
            assert row[TRIPS] == -(-extent // row[TILE])
            assert row[STEPS] == leaves(extent, (int(row[TILE]), lanes * block, lanes), perfect)
            assert row[PIECES] == leaves(extent, (int(row[TILE]), lanes * block), perfect)


def test_batch_equals_single_and_rows_do_not_mix() -> None:
    """A row costs the same alone, in a batch, and in any place of it."""
    rng = np.random.default_rng(5)
    model, chips, extents = cost_model("gemmini_40nm"), random_accelerators(rng, 50), random_extents(rng, 50, 200)
    batch, order = best_mappings(extents, chips, model), rng.permutation(50)
    shuffled = best_mappings(extents[order], chips.take(order), model)
    for name in vars(batch):
        np.testing.assert_array_equal(getattr(batch, name)[order], getattr(shuffled, name))
    for i in range(50):
        alone = best_mappings(extents[i : i + 1], chips.take(slice(i, i + 1)), model)
        for name in vars(batch):
            np.testing.assert_array_equal(getattr(batch, name)[i], getattr(alone, name)[0])


@pytest.mark.parametrize("extents", [(0, 4, 4), (4, 0, 4), (4, 4, 0), (-1, 4, 4), (LARGEST_EXTENT + 1, 4, 4)])
def test_impossible_extents_are_flagged(extents: tuple[int, int, int]) -> None:
    """A matmul without extent, or with one beyond the limit, is infeasible; its neighbour is not touched."""
    costs = best_mappings(np.array([extents, (4, 4, 4)]), accelerator(pe_rows=[2, 2]), cost_model("unit"))
    assert costs.feasible.tolist() == [False, True]
    assert costs.energy_pj[0].tolist() == [0] * len(LEVELS)


@pytest.mark.parametrize(
    ("scratchpad", "accumulators", "fits"), [(1, 9, False), (2, 1, True), (0, 9, False), (9, 0, False), (2, 0, False)]
)
def test_buffers_that_hold_no_tile_are_flagged(scratchpad: int, accumulators: int, fits: bool) -> None:
    """The smallest tile is one input and one weight, and one output."""
    for dataflow in (0, 1):
        chip = accelerator(scratchpad_bytes=scratchpad, accumulator_bytes=accumulators, dataflow=dataflow)
        assert [fits] == best_mappings(np.array([[3, 3, 3]]), chip, cost_model("unit")).feasible.tolist()


def test_longest_extents_are_mapped() -> None:
    """Dimensions at the limit are mapped, and counts stay exact: all weights are fetched once."""
    extents = np.array([[1, LARGEST_EXTENT, 16], [LARGEST_EXTENT, 64, 64], [1, 1, LARGEST_EXTENT]])
    chips = accelerator(pe_rows=16, pe_cols=[16, 16, 16], scratchpad_bytes=2**16, accumulator_bytes=2**16)
    costs = best_mappings(extents, chips, cost_model("gemmini_40nm"))
    M, K, N = extents.T.astype(np.float64)
    assert costs.feasible.all()
    assert (costs.dram_bytes == M * K + K * N + M * N).all()


def test_no_rows_give_no_costs() -> None:
    """An empty batch is answered with empty columns."""
    costs = best_mappings(np.zeros((0, 3), dtype=np.int64), accelerator().take(slice(0, 0)), cost_model("unit"))
    assert costs.feasible.shape == (0,)
    assert costs.energy_pj.shape == (0, len(LEVELS))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"objective": "area"}, "unknown objective 'area'; known: delay, edp, energy"),
        ({"convention": "maestro"}, "unknown convention 'maestro'; known: accelforge, timeloop, zigzag"),
        ({"buffering": "triple"}, "unknown buffering 'triple'; known: best, double, ideal, single"),
        ({"fidelity": "calibrated"}, "expected a cost model with a table"),
    ],
)
def test_unknown_options_list_the_known(option: dict[str, Any], message: str) -> None:
    """An objective or convention that does not exist is answered with those that do."""
    with pytest.raises(InputError, match=message):
        best_mappings(np.array([[1, 1, 1]]), accelerator(), cost_model("unit"), Options(**option))
