"""DRAM footprint and power by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codesign.cost.estimate import COST_METRICS, cost_metrics, estimate
from codesign.cost.footprint import activation_bytes, dram_footprint_bytes, kv_cache_bytes
from codesign.cost.power import peak_power_w
from codesign.cost.unit_costs import leakage_w, reference_accelerator
from codesign.design import Design, Family, ModelShape, Scenario, Spans
from codesign.parameters import stored_bits
from codesign.workload import workload
from tests.cost.machines import cost_model
from tests.strategies import uniform_shape

MODEL = cost_model("gemmini_40nm")  # outputs of 1 byte, sums of 4
DECODER = Family(stacks=("decoder",), vocabulary=100, positions="none")
ENCODER = Family(stacks=("encoder",), vocabulary=100, positions="none")
BOTH = Family(stacks=("encoder", "decoder"), vocabulary=100, positions="none")


def shape_of(family: Family, ffn: int = 64) -> ModelShape:
    """Two layers of 4 heads in 2 groups, 8 wide, hidden 32."""
    depth = [2] * len(family.stacks)
    return uniform_shape(family, layers=depth, hidden=32, heads=4, kv_heads=2, head_width=8, ffn=ffn)


def test_cache_of_a_decoder_by_hand() -> None:
    """2 layers x (keys + values of 2 heads, 8 wide) x 10 tokens x 3 sequences; in 4 bits half of it."""
    scenario = Scenario(sequence_length=10, batch=3)
    assert kv_cache_bytes(shape_of(DECODER), scenario, 8) == 2 * 2 * 2 * 8 * 10 * 3
    assert kv_cache_bytes(shape_of(DECODER), scenario, 4) == 2 * 2 * 8 * 10 * 3


def test_cache_of_a_span_and_of_a_source() -> None:
    """A span keeps its last keys only; behind an encoder the source is kept too; an encoder keeps nothing."""
    shape = shape_of(DECODER)
    near = replace(shape, spans=Spans(np.where(shape.heads > 0, 4, 0)))
    assert kv_cache_bytes(near, Scenario(sequence_length=10), 8) == 2 * 2 * 2 * 8 * 4
    both = Scenario(sequence_length=10, target_length=7)
    assert kv_cache_bytes(shape_of(BOTH), both, 8) == 2 * 2 * 2 * 8 * 17
    assert kv_cache_bytes(shape_of(ENCODER), Scenario(sequence_length=10), 8) == 0


@pytest.mark.parametrize(
    ("ffn", "expected"),
    [
        (64, 10 * 32 + 10 * 16 * 2 + 10 * 32 + 4 * 10 * 10 * 4),  # query, key, value, scores at 4 bytes
        (256, 10 * 256 + 4 * 10 * 32 + 10 * 32),  # FFN, its sums; and the stream that passes by
    ],
)
def test_activations_alive_by_hand(ffn: int, expected: int) -> None:
    """The sublayer with most results decides, beside 10 tokens of hidden size 32."""
    shape, scenario = shape_of(ENCODER, ffn), Scenario(sequence_length=10)
    assert activation_bytes(shape, scenario, workload(shape, scenario), MODEL) == expected


def test_the_footprint_is_the_sum_of_its_parts() -> None:
    """Weights as they are stored, activations, cache; all three are there in a decoder."""
    shape, scenario = shape_of(DECODER), Scenario(sequence_length=10, phase="decode")
    work = workload(shape, scenario)
    parts = (
        stored_bits(shape, 8) / 8,
        activation_bytes(shape, scenario, work, MODEL),
        kv_cache_bytes(shape, scenario, 8),
    )
    assert dram_footprint_bytes(shape, scenario, work, MODEL) == sum(parts)
    assert all(part > 0 for part in parts)


def test_peak_power_is_that_of_the_hungriest_operation() -> None:
    """What runs beside a matmul adds its energy to it; an operation without time has no power."""
    cycles = np.array([[10.0, 20.0, 0.0, 5.0, 0.0]])  # 2 matmuls, 3 vector operations
    energy = np.array([[100.0, 300.0, 200.0, 70.0, 0.0]])
    owner, beside = np.array([1, -1, 0]), np.array([[True, False, False]])
    assert peak_power_w(cycles, energy, owner, beside, 1e9) == pytest.approx(500 / 20 * 1e-12 * 1e9)


def test_power_and_leakage_of_a_design() -> None:
    """Peak power is above mean power, leakage is power x delay; without a table [leakage] there is no such metric."""
    scenario = Scenario(sequence_length=10)
    for name in ("gemmini_40nm", "simple_8bit"):
        model = cost_model(name)
        chip = reference_accelerator(model)
        metrics = estimate(Design(shape_of(ENCODER), chip), scenario, model).metrics()
        leakage = leakage_w(model, chip)
        assert tuple(metrics) == cost_metrics(model)
        assert ("leakage_j" in metrics) == (leakage is not None)
        at_rest = 0.0 if leakage is None else leakage
        assert (metrics["peak_power_w"] >= metrics["energy_j"] / metrics["delay_s"] + at_rest).all()
        if leakage is not None:
            np.testing.assert_allclose(metrics["leakage_j"], leakage * metrics["delay_s"])
    assert cost_metrics(cost_model("simple_8bit")) == COST_METRICS
