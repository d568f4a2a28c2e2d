"""Costs of named designs: figures of the literature, and golden ones of our own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codesign.bench.cost_validation import HEAD_WIDTHS, case_study_baseline, table_9
from codesign.cost.estimate import estimate
from codesign.space_file import read_space
from tests.cost.machines import cost_model


def test_the_published_baseline() -> None:
    """6 layers, 768 wide, 512 tokens: all 256 PEs are busy all the time, and the matmuls take 63.7 mJ.

    Cycles: 24,159,191,040 MACs / 256. Energy: a plain-Python implementation of the same closed form (DOSA's constants,
    no double buffering) with an exhaustive search gave 63.7 mJ.
    """
    figures = case_study_baseline(cost_model("gemmini_40nm"))
    assert figures["macs"] == 24_159_191_040
    assert figures["matmul_cycles"] == figures["macs_over_lanes"] == 94_371_840
    assert figures["matmul_energy_mj"] == pytest.approx(63.68, abs=0.005)


@pytest.mark.parametrize(
    ("rule", "cycles", "energy", "ratios"),
    [
        ("hidden / heads", 54.9e6, 38.0, (1.72, 1.67, 2.9)),  # 1 % less energy than the implementation named above
        ("64", 49.7e6, 34.9, (1.90, 1.83, 3.5)),
    ],
)
def test_the_published_network(rule: str, cycles: float, energy: float, ratios: tuple[float, ...]) -> None:
    """Tab. 9 under two readings of head width: cycles, mJ, and how many times more the baseline costs.

    Published: 1.4 x delay (RTL), 1.6 x energy, 2.24 x EDP. The energy ratio is within 6 % where heads x width = hidden;
    an ideal delay has no stalls, which hit small matmuls hardest, so that the EDP gain is 30 % too large.
    """
    assert rule in HEAD_WIDTHS
    figures: dict[str, Any] = table_9(cost_model("gemmini_40nm"), rule)
    assert figures["matmul_cycles"] == pytest.approx(cycles, rel=0.002)
    assert figures["matmul_energy_mj"] == pytest.approx(energy, rel=0.015)
    assert [figures[f"{name}_ratio"] for name in ("delay", "energy", "edp")] == pytest.approx(ratios, rel=0.015)


GOLDEN = {
    "gemmini_40nm": (100_171_776, 0.065291112, 0.0065403267, 1.7132576),
    "horowitz_45nm": (100_171_776, 0.082121952, 0.0082263018, 2.139744),
    "unit": (194_543_616, 0.053404238, 10389454, 577),
}
"""cycles, J, J s, mm2 of the case study's baseline, vector unit included. Pure arithmetic: the same everywhere."""


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_costs(name: str) -> None:
    """The baseline of the case study costs what it did when these figures were reviewed."""
    space = read_space("survey_lm_fixed_hw").content
    metrics = estimate(space.baseline, space.scenario, cost_model(name)).metrics()
    found = [metrics[key][0] for key in ("cycles", "energy_j", "edp_js", "area_mm2")]
    np.testing.assert_allclose(found, GOLDEN[name], rtol=1e-6)
