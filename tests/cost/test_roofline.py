"""The survey's analytical model: its printed tables, and laws that hold for any transformer."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from codesign.bench import survey
from codesign.cost.roofline import PER_ELEMENT, SURVEY_MACHINE, operation_flops, roofline
from codesign.design import Family, ModelShape, Scenario
from codesign.errors import InputError
from codesign.workload import VECTOR_KINDS, macs, workload
from tests.strategies import shapes_in_scenarios, uniform_shape

Drawn = tuple[ModelShape, Scenario]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Return all published figures beside ours."""
    return survey.run()


def errors(rows: list[dict[str, Any]], table: str, word: str = "") -> list[float]:
    """How far we are from each figure of a table whose quantity or case has the word."""
    chosen = [row for row in rows if row["table"] == table and word in row["quantity"] + row["case"]]
    assert chosen
    return [abs(row["ours"] - row["published"]) for row in chosen]


def misses_percent(rows: list[dict[str, Any]], table: str, word: str) -> list[float]:
    """The same in % of the published figure."""
    chosen = [row for row in rows if row["table"] == table and word in row["quantity"] + row["case"]]
    return [abs(row["deviation_percent"]) for row in chosen]


def test_flops_and_memory_operations_of_table_3(rows: list[dict[str, Any]]) -> None:
    """BERT-Base: all 15 FLOPs, the 3 totals of memory operations and the 3 shares come out as printed."""
    assert max(errors(rows, "Tab. 3", "GFLOPs")) <= 0.005
    assert max(errors(rows, "Tab. 3", "GMOPs")) <= 0.005
    assert max(errors(rows, "Tab. 3", "% of MOPs")) <= 0.5


@pytest.mark.parametrize("product", survey.PRODUCTS)
def test_intensities_of_table_5(rows: list[dict[str, Any]], product: str) -> None:
    """The intensity of each kind of matrix product at three lengths comes out as printed."""
    assert max(errors(rows, "Tab. 5", f"{product} ")) <= 0.05


def test_total_intensities_of_table_5(rows: list[dict[str, Any]]) -> None:
    """Two totals and the ideal column come out as printed; at 128 tokens we say 106.18, the survey 106.1."""
    short, *longer = errors(rows, "Tab. 5", "total")
    assert max(longer) <= 0.05
    assert short <= 0.09
    assert max(errors(rows, "Tab. 5", "ideal")) <= 0.5


def test_fewer_heads_of_table_10(rows: list[dict[str, Any]]) -> None:
    """With 4 heads for 12, scores move less than half as much and the intensity rises from 231 to 303.6."""
    assert max(errors(rows, "Tab. 10", "GMOPs")) <= 0.005
    before, after = errors(rows, "Tab. 10", "intensity")
    assert before <= 0.5
    assert after <= 0.05


def test_decode_of_table_11(rows: list[dict[str, Any]]) -> None:
    """Generating with GPT-2 does 2 FLOPs a byte at every length, within 1 %."""
    assert max(misses_percent(rows, "Tab. 11", "")) <= 1


def test_encoder_latencies_of_figure_32(rows: list[dict[str, Any]]) -> None:
    """All six latencies of BERT-Base come out as printed, to the last digit."""
    assert max(errors(rows, "Fig. 32", "BERT-Base")) <= 0.5


def test_decoder_latencies_of_figure_32(rows: list[dict[str, Any]]) -> None:
    """The latencies of generating with GPT-2 are met within 1 %."""
    assert max(misses_percent(rows, "Fig. 32", "GPT-2")) <= 1


def test_large_encoder_latencies_of_figure_32(rows: list[dict[str, Any]]) -> None:
    """BERT-Large is *not* met: all six are above the printed figures, the long ones by 5 to 6 %, 512 tokens by 10 %.

    Between BERT-Base and BERT-Large the matrix products grow by 3.47 x at 512 tokens, on an array that both keep busy;
    the printed 5 and 14 leave room for 3.22 x at most (14.5 / 4.5).
    """
    misses = misses_percent(rows, "Fig. 32", "BERT-Large")
    assert max(misses[1:]) <= 10
    assert max(misses[3:]) <= 6
    assert errors(rows, "Fig. 32", "BERT-Large, 128")[0] <= 0.5
    assert all(row["ours"] > row["published"] for row in rows if row["case"].startswith("BERT-Large"))


def test_what_is_compared(rows: list[dict[str, Any]]) -> None:
    """Every figure is there once: 15 + 6 of Tab. 3, 24 of Tab. 5, 4 of Tab. 10, 3 of Tab. 11, 18 of Fig. 32."""
    assert len({(row["table"], row["case"], row["quantity"]) for row in rows}) == len(rows) == 70


def test_tiles_of_the_survey() -> None:
    """Two 8-bit tiles of side 1024 fill 2 MiB; one 32-bit tile of side 181 nearly fills 128 KiB."""
    assert (SURVEY_MACHINE.l2_tile, SURVEY_MACHINE.local_tile) == (1024, 181)


def test_every_vector_operation_is_counted() -> None:
    """Each kind of element-wise operation that a workload can hold has its counts."""
    assert set(PER_ELEMENT) == set(VECTOR_KINDS)


@settings(max_examples=60, deadline=None)
@given(shapes_in_scenarios())
def test_any_transformer(drawn: Drawn) -> None:
    """Tiled traffic is at least the compulsory one, and the array does at most W x W multiply-accumulates a cycle."""
    shape, scenario = drawn
    tiled, compulsory = (roofline(shape, scenario, traffic=traffic) for traffic in survey.BOTH)
    assert tiled.cycles.shape == (len(shape), len(tiled.labels))
    assert np.all(tiled.dram_bytes >= compulsory.dram_bytes)
    assert np.all(tiled.cycles >= np.maximum(tiled.compute_cycles, tiled.dram_bytes / 64))
    matmuls = len(workload(shape, scenario).matmuls.labels)
    assert np.all(tiled.compute_cycles[:, :matmuls].sum(axis=1) >= macs(workload(shape, scenario)) / 256)
    assert np.array_equal(np.isnan(tiled.intensities()), tiled.dram_bytes == 0)


@settings(max_examples=30, deadline=None)
@given(shapes_in_scenarios())
def test_more_memory_moves_less(drawn: Drawn) -> None:
    """A larger L2 never adds DRAM traffic, larger local memories never add L2 traffic."""
    small = replace(SURVEY_MACHINE, l2_bytes=8, scratchpad_bytes=8, accumulator_bytes=16)
    large = replace(SURVEY_MACHINE, l2_bytes=32, scratchpad_bytes=32, accumulator_bytes=64)
    little, much = (roofline(*drawn, machine=machine) for machine in (small, large))
    assert np.all(much.dram_bytes <= little.dram_bytes)
    assert np.all(much.local_bytes <= little.local_bytes)


@settings(max_examples=30, deadline=None)
@given(shapes_in_scenarios())
def test_a_batch_is_its_designs(drawn: Drawn) -> None:
    """A design has the same figures alone as among others."""
    shape, scenario = drawn
    together = roofline(shape, scenario)
    for row in range(len(shape)):
        alone = roofline(shape.take(slice(row, row + 1)), scenario)
        for name in ("flops", "dram_bytes", "local_bytes", "cycles"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[row])


def test_a_gated_ffn_without_biases() -> None:
    """By hand, 3 tokens, 4 wide, FFN 5: the gate is read by an activation and so leaves at 32 bits, ffn_up at 8."""
    family = Family(stacks=("decoder",), vocabulary=1, positions="none", gated_ffn=True, ffn_bias=False)
    shape = uniform_shape(family, layers=(1,), hidden=4, heads=0, head_width=0, ffn=5)
    found = roofline(shape, Scenario(sequence_length=3))
    moved = {label.operation: found.dram_bytes[0, i] for i, label in enumerate(found.labels) if label.layer == 0}
    assert moved["ffn_gate"] == 3 * 4 + 4 * 5 + 4 * 3 * 5
    assert moved["ffn_up"] == 3 * 4 + 4 * 5 + 3 * 5
    assert moved["query"] == 0
    flops = operation_flops(workload(shape, Scenario(sequence_length=3)), family)[0]
    assert flops[[label.operation for label in found.labels].index("ffn_up")] == 3 * 5 * (2 * 4 - 1)


@pytest.mark.parametrize("size", [0, -1, inf, nan])
@pytest.mark.parametrize("name", vars(SURVEY_MACHINE))
def test_impossible_machines(name: str, size: float) -> None:
    """A machine without an array, a buffer or a way to move data is refused by name."""
    changed: dict[str, Any] = {name: size}
    with pytest.raises(InputError, match=f"machine.{name}: expected a positive number"):
        replace(SURVEY_MACHINE, **changed)


def test_a_buffer_without_a_tile() -> None:
    """Buffers must hold one word of each tensor."""
    with pytest.raises(InputError, match="must hold a tile"):
        replace(SURVEY_MACHINE, accumulator_bytes=3)
