"""Lower bounds: no mapping is ever below them, and some reach them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.cost.bounds import design_bounds, gaps, matmul_bounds
from codesign.cost.estimate import estimate
from codesign.cost.matmul import best_mappings
from codesign.cost.prepare import Convention, Objective, Operands, Options
from codesign.cost.technology import Technology
from codesign.design import Accelerator, Design, ModelShape, Scenario
from codesign.space_file import read_space
from tests.cost.machines import (
    accelerator,
    cost_model,
    random_accelerators,
    random_extents,
    random_technology,
    unified,
    with_array,
    with_registers,
)
from tests.strategies import shapes_in_scenarios

NAMED = ("gemmini_40nm", "tpu_like", "edgebert_12nm", "simple_8bit")
ROUNDING = 1 - 1e-9


def drawn_machine(rng: np.random.Generator, n: int) -> tuple[Technology, Accelerator]:
    """A random machine of every form that a cost model can take, and n accelerators."""
    if rng.random() < 0.2:
        return cost_model(str(rng.choice(NAMED))), random_accelerators(rng, n)
    model, chips = random_technology(rng), random_accelerators(rng, n)
    if rng.random() < 0.4:
        model = with_registers(model, *rng.integers(1, 5, 3).tolist())
    if rng.random() < 0.4:
        model = with_array(model, float(rng.uniform()), int(rng.integers(0, 6)))
    if rng.random() < 0.3:
        return unified(model), replace(chips, accumulator_bytes=np.zeros(n, dtype=np.int64))
    return model, chips


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    largest=st.sampled_from([4, 20, 60]),
    objective=st.sampled_from(["edp", "energy", "delay"]),
    convention=st.sampled_from(["timeloop", "accelforge", "zigzag"]),
)
def test_no_mapping_is_below_the_bounds(seed: int, largest: int, objective: Objective, convention: Convention) -> None:
    """Cycles, energy and DRAM traffic of the best mapping are at least their bounds, on any machine."""
    rng, n = np.random.default_rng(seed), 20
    model, chips = drawn_machine(rng, n)
    extents = random_extents(rng, n, largest)
    operands = Operands.dense(n)
    if rng.random() < 0.5:
        widths = rng.choice([0, 8], (2, n))
        operands = Operands(widths[0], widths[1], rng.choice([0.1, 0.5, 1.0], n))
    found = best_mappings(extents, chips, model, Options(objective=objective, convention=convention), operands)
    bounds, fits = matmul_bounds(extents, chips, model, operands, convention), found.feasible
    assert (found.cycles[fits] >= bounds.cycles[fits]).all()
    assert (found.total_energy_pj[fits] >= bounds.energy_pj[fits] * ROUNDING).all()
    assert (found.dram_bytes[fits] >= bounds.dram_bytes[fits] * ROUNDING).all()


@pytest.mark.parametrize("fidelity", ["ideal", "calibrated"])
def test_no_design_is_below_its_bounds(fidelity: Any) -> None:
    """Random designs of the case study, fused or not, in either time, are at or above every bound."""
    space, model = read_space("survey_lm").content, cost_model("gemmini_40nm")
    designs = space.decode(space.sample(np.random.default_rng(0), 60))
    cost = estimate(designs, space.scenario, model, fidelity)
    for column in gaps(cost, design_bounds(designs, space.scenario, model)).values():
        assert (column[cost.feasible] >= ROUNDING).all()


@settings(deadline=None, max_examples=30)
@given(drawn=shapes_in_scenarios(), seed=st.integers(0, 99))
def test_no_small_design_is_below_its_bounds(drawn: tuple[ModelShape, Scenario], seed: int) -> None:
    """Any family, phase and removed sublayer: the bounds hold for the whole."""
    shape, scenario = drawn
    rng, n = np.random.default_rng(seed), len(drawn[0])
    chips = accelerator(
        pe_rows=rng.integers(1, 9, n),
        pe_cols=rng.integers(1, 9, n),
        dataflow=rng.integers(0, 2, n),
        scratchpad_bytes=rng.integers(50, 400, n),
        accumulator_bytes=rng.integers(50, 400, n),
        dram_bytes_per_cycle=rng.uniform(0.2, 16, n),
        vector_lanes=rng.integers(1, 17, n),
    )
    designs, model = Design(shape, chips), cost_model("gemmini_40nm")
    cost = estimate(designs, scenario, model)
    for column in gaps(cost, design_bounds(designs, scenario, model)).values():
        assert (column[cost.feasible] >= ROUNDING).all()


def test_a_matmul_that_fits_reaches_its_bounds() -> None:
    """Where everything is on chip and fills the array, nothing is left to gain."""
    chip = accelerator(pe_rows=[16], pe_cols=16, scratchpad_bytes=2**16, accumulator_bytes=2**18)
    extents, model = np.array([[64, 64, 64]]), cost_model("gemmini_40nm")
    found, bounds = best_mappings(extents, chip, model), matmul_bounds(extents, chip, model)
    np.testing.assert_allclose(found.total_energy_pj, bounds.energy_pj, rtol=1e-12)
    assert found.dram_bytes == bounds.dram_bytes == 3 * 64 * 64
    assert found.cycles == bounds.cycles


def test_the_pebble_bound_by_hand() -> None:
    """64 KiB + 256 KiB, bytes in, 4-byte sums: 2 M K N sqrt(4) / sqrt(S) - 2 S - M N (4 - 1)."""
    chip = accelerator(pe_rows=[16], pe_cols=16, scratchpad_bytes=2**16, accumulator_bytes=2**18)
    side = 8192
    bounds = matmul_bounds(np.array([[side] * 3]), chip, cost_model("gemmini_40nm"))
    S = 2**16 + 2**18
    assert bounds.dram_bytes[0] == pytest.approx(2 * side**3 * 2 / S**0.5 - 2 * S - 3 * side**2)
    assert bounds.dram_bytes[0] > 3 * side**2  # more than compulsory


def test_all_pes_busy_is_the_compute_bound() -> None:
    """A matmul that DRAM does not limit takes at least M K N / (R C) cycles, whatever its shape."""
    chip = accelerator(pe_rows=[16], pe_cols=16, scratchpad_bytes=2**16, accumulator_bytes=2**18,
                       dram_bytes_per_cycle=1e6)  # fmt: skip
    bounds = matmul_bounds(np.array([[100, 17, 33]]), chip, cost_model("gemmini_40nm"))
    assert bounds.cycles[0] >= np.ceil(100 * 17 * 33 / 256)


def test_rows_without_meaning_have_no_bound() -> None:
    """Sizes out of range give NaN, and leave the other rows as they are."""
    chip = accelerator(pe_rows=[4, 0, 4])
    bounds = matmul_bounds(np.array([[4, 4, 4], [4, 4, 4], [0, 4, 4]]), chip, cost_model("unit"))
    for column in vars(bounds).values():
        np.testing.assert_array_equal(np.isnan(column), [False, True, True])
