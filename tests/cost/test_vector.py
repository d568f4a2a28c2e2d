"""Operations that are no matmul, counted by hand under the unit cost model."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.cost.vector import FETCHED, PASSES, vector_costs
from codesign.workload import VECTOR_KINDS
from tests.cost.machines import accelerator, cost_model


def test_every_kind_of_operation_has_a_cost() -> None:
    """What the workload lists, the vector unit can do."""
    assert set(PASSES) == set(VECTOR_KINDS)
    assert set(FETCHED) <= set(VECTOR_KINDS)


@pytest.mark.parametrize(
    ("kind", "on_chip", "lanes", "cycles", "vector", "dram"),
    [
        ("softmax", True, 9, 9, 30, 0),  # ceil(10 / 4) = 3 vectors, 3 passes
        ("softmax", False, 9, 10, 30, 20),  # rows of 1-byte sums to DRAM and back, at 2 bytes a cycle
        ("norm", True, 9, 9, 30, 0),
        ("norm", False, 9, 10, 30, 20),
        ("activation", False, 3, 3, 10, 0),
        ("product", False, 3, 3, 10, 0),
        ("bias", False, 3, 3, 10, 0),
        ("rotary", False, 3, 3, 10, 0),
        ("residual", False, 3, 5, 10, 10),  # 10 bytes of the skipped-around side at 2 a cycle
        ("residual", True, 3, 5, 10, 10),
        ("lookup", False, 0, 5, 0, 10),  # from DRAM only
    ],
)
def test_ten_elements_on_four_lanes(kind: str, on_chip: bool, lanes: int, cycles: int, vector: int, dram: int) -> None:
    """Cycles are the larger of passes over the lanes and DRAM transfer; each pass reads the accumulator once."""
    chip = accelerator(vector_lanes=4, dram_bytes_per_cycle=2.0)
    costs = vector_costs((kind,), np.array([[10.0]]), chip, cost_model("unit"), rows_on_chip=on_chip)
    assert costs.lane_cycles.tolist() == [[lanes]]
    assert costs.cycles.tolist() == [[cycles]]
    assert costs.vector_pj.tolist() == costs.accumulator_pj.tolist() == [[vector]]
    assert costs.dram_pj.tolist() == costs.dram_bytes.tolist() == [[dram]]
    assert costs.energy_pj.tolist() == [[2 * vector + dram]]


def test_each_design_has_its_own_unit() -> None:
    """Rows are designs: lanes and bandwidth of one do not touch another; absent operations cost nothing."""
    chips = accelerator(vector_lanes=[1, 4, 16], dram_bytes_per_cycle=[1.0, 1.0, 16.0])
    elements = np.array([[8.0, 8], [0, 8], [8, 0]])
    costs = vector_costs(("norm", "residual"), elements, chips, cost_model("unit"), rows_on_chip=True)
    assert costs.cycles.tolist() == [[24, 8], [0, 8], [3, 0]]


def test_energies_are_those_of_the_technology() -> None:
    """40 nm: 8.716 pJ a lane operation, 3.548 an accumulator access (256 KiB in 16 banks), 100 a DRAM byte."""
    chip = accelerator(pe_cols=16, accumulator_bytes=256 * 1024)
    elements = np.array([[10.0, 10]])
    costs = vector_costs(("softmax", "residual"), elements, chip, cost_model("gemmini_40nm"), rows_on_chip=True)
    np.testing.assert_allclose(costs.vector_pj, [[30 * 8.716, 10 * 8.716]])
    np.testing.assert_allclose(costs.accumulator_pj, [[30 * 3.548, 10 * 3.548]])
    np.testing.assert_allclose(costs.dram_pj, [[0, 1000]])
