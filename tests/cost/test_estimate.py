"""Cost of whole designs: sums of parts, columns, laws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.cost.estimate import COST_METRICS, ENERGY_LEVELS, Cost, cost_metrics, estimate
from codesign.cost.matmul import best_mappings
from codesign.cost.prepare import Options
from codesign.cost.quantity import PositiveQuantity
from codesign.cost.unit_costs import mac_energy_pj
from codesign.design import Accelerator, Design, Family, ModelShape, Scenario
from codesign.space_file import read_space
from codesign.workload import workload
from tests.cost.machines import accelerator, cost_model
from tests.strategies import LAYER_COLUMNS, shapes_in_scenarios, uniform_shape

SMALL = 400  # bytes of a buffer: some of the drawn matmuls need several tiles


def chips(n: int, seed: int = 0) -> Accelerator:
    """Return n accelerators, all different."""
    rng = np.random.default_rng(seed)
    return accelerator(
        pe_rows=rng.integers(1, 9, n),
        pe_cols=rng.integers(1, 9, n),
        dataflow=rng.integers(0, 2, n),
        scratchpad_bytes=rng.integers(8, SMALL, n),
        accumulator_bytes=rng.integers(8, SMALL, n),
        dram_bytes_per_cycle=rng.uniform(0.5, 16, n),
        vector_lanes=rng.integers(1, 17, n),
    )


def same(first: Cost, second: Cost, rows: Any) -> None:
    """Check that the designs at `rows` of the first cost are those of the second."""
    assert first.labels == second.labels
    for name, column in vars(first).items():
        if isinstance(column, np.ndarray):
            np.testing.assert_array_equal(column[rows], getattr(second, name))


@settings(deadline=None, max_examples=30)
@given(drawn=shapes_in_scenarios(), seed=st.integers(0, 99))
def test_the_whole_is_the_sum_of_its_parts(drawn: tuple[ModelShape, Scenario], seed: int) -> None:
    """Each matmul costs no less than its fastest and its most frugal mapping; totals are sums over operations."""
    shape, scenario = drawn
    model, chip = cost_model("gemmini_40nm"), chips(len(shape), seed)
    cost, work = estimate(Design(shape, chip), scenario, model), workload(shape, scenario)
    matmuls, fits = work.matmuls, cost.feasible
    for p in range(len(matmuls.labels)):
        extents = np.stack([matmuls.m[:, p], matmuls.k[:, p], matmuls.n[:, p]], axis=1)
        count = matmuls.count[:, p]
        fastest = best_mappings(extents, chip, model, Options("delay")).cycles * count
        frugal = best_mappings(extents, chip, model, Options("energy")).total_energy_pj * count
        assert (cost.cycles[fits, p] >= fastest[fits]).all()
        assert (cost.energy_pj[fits, p].sum(axis=1) >= frugal[fits] * (1 - 1e-9)).all()
    metrics = cost.metrics()
    assert tuple(metrics) == cost_metrics(model)
    np.testing.assert_allclose(metrics["energy_j"][fits], cost.energy_pj[fits].sum(axis=(1, 2)) * 1e-12)
    np.testing.assert_allclose(metrics["cycles"][fits], cost.cycles[fits].sum(axis=1))
    np.testing.assert_allclose(metrics["edp_js"], metrics["energy_j"] * metrics["delay_s"])
    mac_pj = cost.energy_pj[fits][:, :, ENERGY_LEVELS.index("mac")].sum(axis=1)
    np.testing.assert_allclose(mac_pj, cost.macs[fits] * mac_energy_pj(model, 8, 8))


@settings(deadline=None, max_examples=40)
@given(drawn=shapes_in_scenarios(max_designs=4), seed=st.integers(0, 99))
def test_batch_equals_one_by_one_in_any_order(drawn: tuple[ModelShape, Scenario], seed: int) -> None:
    """A design costs the same alone, in a batch, and in any place of it."""
    shape, scenario = drawn
    designs, model = Design(shape, chips(len(shape), seed)), cost_model("gemmini_40nm")
    batch = estimate(designs, scenario, model)
    order = np.random.default_rng(seed).permutation(len(shape))
    same(batch, estimate(designs.take(order), scenario, model), order)
    for row in range(len(shape)):
        same(batch, estimate(designs.take(slice(row, row + 1)), scenario, model), slice(row, row + 1))


def totals(shape: ModelShape, scenario: Scenario, chip: Accelerator) -> dict[str, np.ndarray]:
    """Cost shapes on large enough accelerators."""
    cost = estimate(Design(shape, chip), scenario, cost_model("gemmini_40nm"))
    return cost.metrics()


@settings(deadline=None)
@given(drawn=shapes_in_scenarios(max_designs=2), seed=st.integers(0, 99))
def test_one_more_layer_never_costs_less(drawn: tuple[ModelShape, Scenario], seed: int) -> None:
    """With the last layer of each stack twice, no metric falls but area, which stays."""
    shape, scenario = drawn
    deeper = np.repeat(shape.layers[:, :, None], shape.heads.shape[2] + 1, axis=2)  # (n, S, L + 1)
    position = np.minimum(np.arange(deeper.shape[2]), deeper - 1) * (np.arange(deeper.shape[2]) <= deeper)
    exists = np.arange(deeper.shape[2]) <= deeper
    columns: Any = {name: np.take_along_axis(getattr(shape, name), position, axis=2) * exists for name in LAYER_COLUMNS}
    chip = replace(chips(len(shape), seed), scratchpad_bytes=np.full(len(shape), 2**12))
    before = totals(shape, scenario, chip)
    after = totals(replace(shape, layers=shape.layers + 1, **columns), scenario, chip)
    for name in COST_METRICS:
        assert (after[name] >= before[name] * (1 - 1e-12)).all()


@settings(deadline=None)
@given(drawn=shapes_in_scenarios(max_designs=2), name=st.sampled_from(["ffn", "hidden", "value_width", "heads"]))
def test_twice_the_width_never_costs_less(drawn: tuple[ModelShape, Scenario], name: str) -> None:
    """FFN, hidden size, value width, number of heads: twice as much is no less work, and costs no less.

    5 % are allowed: EDP is what each mapping minimises, so one of 10^4 random matmuls of twice the reduction takes 1 %
    fewer cycles for more energy.
    """
    shape, scenario = drawn
    changes: Any = {name: 2 * getattr(shape, name)}
    if name == "heads":
        changes["kv_heads"] = 2 * shape.kv_heads
    chip = accelerator(pe_rows=[4] * len(shape), pe_cols=4, scratchpad_bytes=SMALL, accumulator_bytes=SMALL)
    before, after = totals(shape, scenario, chip), totals(replace(shape, **changes), scenario, chip)
    for metric in set(COST_METRICS) - {"peak_power_w"}:  # a ratio
        exact = metric in ("macs", "parameters", "area_mm2")
        assert (after[metric] >= before[metric] * (1.0 if exact else 0.95)).all()


@pytest.mark.parametrize("name", ["survey_lm", "survey_lm_fixed_hw", "survey_lm_ffn_free"])
@pytest.mark.parametrize("field", ["heads", "ffn", "hidden", "layers"])
def test_a_step_up_costs_more_edp(name: str, field: str) -> None:
    """One choice up in any gene of the model raises MACs, delay and EDP.

    Energy alone may fall by 0.3 % in one of a thousand steps: each matmul takes the mapping of least EDP, and a larger
    one may choose less energy for more delay.
    """
    space = read_space(name).content
    rng = np.random.default_rng(0)
    genomes = space.sample(rng, 60)
    larger = genomes.copy()
    depth = space.decode(genomes).shape.layers[:, 0]
    for row, layers in enumerate(depth):
        genes = [i for i, gene in enumerate(space.genes) if gene.field == field and gene.layer < layers]
        larger[row, rng.choice(genes)] += 1
    possible = (larger < space.sizes).all(axis=1)
    assert possible.sum() > 20
    before, after = (
        estimate(space.decode(X[possible]), space.scenario, cost_model("gemmini_40nm")).metrics()
        for X in (genomes, larger)
    )
    for metric in ("macs", "cycles", "edp_js"):
        assert (after[metric] > before[metric]).all()
    assert (after["energy_j"] > before["energy_j"] * 0.995).all()


def test_twice_the_clock_halves_the_delay() -> None:
    """Cycles and energy stay; delay and EDP are halved."""
    space, model = read_space("tiny").content, cost_model("gemmini_40nm")
    frequency = PositiveQuantity(value=2 * model.clock.frequency_hz.value, source="a test")
    faster = msgspec.structs.replace(model, clock=msgspec.structs.replace(model.clock, frequency_hz=frequency))
    slow, fast = (estimate(space.baseline, space.scenario, technology).metrics() for technology in (model, faster))
    for name, factor in {"cycles": 1.0, "energy_j": 1.0, "delay_s": 0.5, "edp_js": 0.5, "area_mm2": 1.0}.items():
        np.testing.assert_allclose(fast[name], factor * slow[name])


def test_infeasible_designs_have_no_costs() -> None:
    """A design with a matmul that does not fit is flagged and has no number that could be mistaken for a cost."""
    space = read_space("tiny").content
    chip = replace(space.baseline.accelerator, scratchpad_bytes=np.array([1]))
    both = Design(
        space.baseline.shape.take(np.array([0, 0])),
        Accelerator(*(np.concatenate(pair) for pair in zip(vars(chip).values(),
                                                           vars(space.baseline.accelerator).values(), strict=True))),
    )  # fmt: skip
    cost = estimate(both, space.scenario, cost_model("gemmini_40nm"))
    assert cost.feasible.tolist() == [False, True]
    metrics = cost.metrics()
    for name in ("edp_js", "energy_j", "delay_s", "cycles"):
        assert np.isnan(metrics[name]).tolist() == [True, False]
    assert (metrics["area_mm2"] > 0).all()


def test_decode_reads_all_weights_for_one_token() -> None:
    """One token at a time is bound by DRAM: at least every weight of the layers crosses it, whatever the context."""
    family = Family(stacks=("decoder",), vocabulary=100, positions="none")
    shape = uniform_shape(family, layers=[2], hidden=128, heads=4, head_width=32, ffn=512)
    design = Design(shape, accelerator(pe_rows=8, pe_cols=8, scratchpad_bytes=2**14, accumulator_bytes=2**14))
    weights = 2 * (4 * 128 * 128 + 2 * 128 * 512)
    costs = [
        estimate(design, Scenario(sequence_length=n, phase="decode"), cost_model("gemmini_40nm")) for n in (16, 64)
    ]
    dram_bytes = [cost.energy_pj[0, :, ENERGY_LEVELS.index("dram")].sum() / 100 for cost in costs]
    assert dram_bytes[0] > weights
    assert dram_bytes[1] - dram_bytes[0] == 2 * 2 * 128 * 48 + 2 * 2 * 4 * 48  # keys and values; scores out and in
    prefill = estimate(design, Scenario(sequence_length=16), cost_model("gemmini_40nm"))
    assert costs[0].metrics()["cycles"][0] > prefill.metrics()["cycles"][0] / 16


def test_both_stacks_of_an_encoder_decoder_are_costed() -> None:
    """Encoder, decoder and cross-attention all appear, and the decode phase leaves the encoder out."""
    family = Family(stacks=("encoder", "decoder"), vocabulary=100, positions="none")
    shape = uniform_shape(family, layers=[1, 2], hidden=32, heads=2, head_width=16, ffn=64)
    design = Design(shape, accelerator(scratchpad_bytes=2**12))
    prefill, decode = (
        estimate(design, Scenario(sequence_length=8, target_length=4, phase=phase), cost_model("unit"))
        for phase in ("prefill", "decode")
    )
    stacks = {label.stack for label, cycles in zip(prefill.labels, prefill.cycles[0], strict=True) if cycles}
    assert stacks == {"encoder", "decoder"}
    assert {label.operation for label in prefill.labels} >= {
        "cross_query",
        "cross_key",
        "cross_scores",
        "cross_softmax",
    }
    assert "encoder" not in {label.stack for label in decode.labels}
    assert decode.metrics()["energy_j"][0] < prefill.metrics()["energy_j"][0]
