"""What users of a decoder wait for: first token, further tokens, and the cache on chip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from codesign.cost.deployment import deployment
from codesign.cost.estimate import estimate
from codesign.design import KIB, Design, Scenario
from codesign.space_file import read_space
from tests.cost.machines import accelerator, cost_model
from tests.cost.test_footprint import BOTH, DECODER, ENCODER, shape_of

MODEL = cost_model("gemmini_40nm")


def design_of(family: Any, scratchpad_bytes: int) -> Design:
    """A small model on an 8 x 8 array."""
    chip = accelerator(pe_rows=[8], pe_cols=8, scratchpad_bytes=scratchpad_bytes, accumulator_bytes=4 * KIB)
    return Design(shape_of(family), chip)


def test_tokens_are_the_passes_of_both_phases() -> None:
    """Where the cache does not fit, the figures are those of a prefill and of a decode pass, shared by the batch."""
    design, scenario = design_of(DECODER, 512), Scenario(sequence_length=20, batch=2)
    found = deployment(design, scenario, MODEL)
    prefill = estimate(design, scenario, MODEL).metrics()
    decode = estimate(design, msgspec.structs.replace(scenario, phase="decode"), MODEL).metrics()
    assert found["kv_cache_on_chip"] == 0
    assert found["time_to_first_token_s"] == prefill["delay_s"]
    assert found["time_per_output_token_s"] == decode["delay_s"]
    assert found["energy_per_output_token_j"] == decode["energy_j"] / 2


@pytest.mark.parametrize("fidelity", ["ideal", "calibrated"])
@pytest.mark.parametrize("family", [DECODER, BOTH])
def test_a_cache_on_chip_saves_what_it_is_read_for(family: Any, fidelity: Any) -> None:
    """Energy falls by at least the DRAM energy of one reading of the cache, less what the smaller buffer costs."""
    scenario = Scenario(sequence_length=200, target_length=100 if family is BOTH else 0, phase="decode")
    design = design_of(family, 2**20)
    found, fetched = deployment(design, scenario, MODEL, fidelity), estimate(design, scenario, MODEL, fidelity)
    metrics = fetched.metrics()
    assert found["kv_cache_on_chip"] == 1
    saved = found["kv_cache_bytes"] * MODEL.dram.energy_pj_per_byte.value * 1e-12
    smaller = replace(design.accelerator, scratchpad_bytes=2**20 - found["kv_cache_bytes"].astype(np.int64))
    without = estimate(Design(design.shape, smaller), scenario, MODEL, fidelity).metrics()["energy_j"]
    np.testing.assert_allclose(found["energy_per_output_token_j"], without - saved, rtol=1e-3)
    assert (found["energy_per_output_token_j"] * found["time_per_output_token_s"] < metrics["edp_js"]).all()


def test_more_scratchpad_never_makes_a_token_slower() -> None:
    """At the point where the cache begins to fit, time and energy a token do not rise."""
    scenario = Scenario(sequence_length=200, phase="decode")
    cache = int(deployment(design_of(DECODER, 512), scenario, MODEL)["kv_cache_bytes"][0])
    below, above = (deployment(design_of(DECODER, size), scenario, MODEL) for size in (cache, 4 * cache))
    assert below["kv_cache_on_chip"] == 0
    assert above["kv_cache_on_chip"] == 1
    assert above["time_per_output_token_s"] <= below["time_per_output_token_s"]


def test_an_encoder_alone_has_no_tokens() -> None:
    """A model without a decoder has none of these figures."""
    assert deployment(design_of(ENCODER, 2**16), Scenario(sequence_length=20), MODEL) == {}


def test_many_designs_are_as_one_by_one() -> None:
    """A column of designs, some of which keep their cache, has the figures of each alone."""
    space = read_space("survey_lm").content
    designs = space.decode(space.sample(np.random.default_rng(0), 6))
    sizes = np.array([16, 64, 8192, 16384, 1, 32768]) * KIB
    designs = Design(designs.shape, replace(designs.accelerator, scratchpad_bytes=sizes))
    whole = deployment(designs, space.scenario, MODEL)
    for row in range(6):
        alone = deployment(designs.take(slice(row, row + 1)), space.scenario, MODEL)
        for name, column in alone.items():
            np.testing.assert_array_equal(column[0], whole[name][row])
    assert 0 < whole["kv_cache_on_chip"].sum() < 6
