"""Operations that are no matmul, counted by hand under the unit cost model."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.cost.vector import FETCHED, PASSES, vector_costs
from codesign.workload import VECTOR_KINDS, Label, VectorOperations
from tests.cost.machines import accelerator, cost_model


def operations(kinds: tuple[str, ...], elements: list[list[int]]) -> VectorOperations:
    """Return operations without a place in a model."""
    return VectorOperations(tuple(Label("", -1, kind) for kind in kinds), kinds, np.array(elements))


def test_every_kind_of_operation_has_a_cost() -> None:
    """What the workload lists, the vector unit can do."""
    assert set(PASSES) == set(VECTOR_KINDS)
    assert set(FETCHED) <= set(VECTOR_KINDS)


@pytest.mark.parametrize(
    ("kind", "cycles", "vector", "dram"),
    [
        ("softmax", 9, 30, 0),  # ceil(10 / 4) = 3 vectors, 3 passes
        ("norm", 9, 30, 0),
        ("activation", 3, 10, 0),
        ("product", 3, 10, 0),
        ("bias", 3, 10, 0),
        ("rotary", 3, 10, 0),
        ("residual", 5, 10, 10),  # 3 cycles in the lanes; 10 bytes of the skipped-around side at 2 a cycle
        ("lookup", 5, 0, 10),  # from DRAM only
    ],
)
def test_ten_elements_on_four_lanes(kind: str, cycles: int, vector: int, dram: int) -> None:
    """Cycles are the larger of passes over the lanes and DRAM transfer; each pass reads the accumulator once."""
    chip = accelerator(vector_lanes=4, dram_bytes_per_cycle=2.0)
    costs = vector_costs(operations((kind,), [[10]]), chip, cost_model("unit"))
    assert costs.cycles.tolist() == [[cycles]]
    assert costs.vector_pj.tolist() == costs.accumulator_pj.tolist() == [[vector]]
    assert costs.dram_pj.tolist() == [[dram]]


def test_each_design_has_its_own_unit() -> None:
    """Rows are designs: lanes and bandwidth of one do not touch another; absent operations cost nothing."""
    chips = accelerator(vector_lanes=[1, 4, 16], dram_bytes_per_cycle=[1.0, 1.0, 16.0])
    costs = vector_costs(operations(("norm", "residual"), [[8, 8], [0, 8], [8, 0]]), chips, cost_model("unit"))
    assert costs.cycles.tolist() == [[24, 8], [0, 8], [3, 0]]


def test_energies_are_those_of_the_technology() -> None:
    """40 nm: 8.716 pJ a lane operation, 3.548 an accumulator access (256 KiB in 16 banks), 100 a DRAM byte."""
    chip = accelerator(pe_cols=16, accumulator_bytes=256 * 1024)
    costs = vector_costs(operations(("softmax", "residual"), [[10, 10]]), chip, cost_model("gemmini_40nm"))
    np.testing.assert_allclose(costs.vector_pj, [[30 * 8.716, 10 * 8.716]])
    np.testing.assert_allclose(costs.accumulator_pj, [[30 * 3.548, 10 * 3.548]])
    np.testing.assert_allclose(costs.dram_pj, [[0, 1000]])
