"""Cost models made from one: other DRAM, other voltage."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.cost.unit_costs import (
    accumulator_energy_pj,
    leakage_w,
    mac_energy_pj,
    reference_accelerator,
    scratchpad_energy_pj,
)
from codesign.cost.variants import at_voltage, voltage_for, with_dram
from codesign.errors import InputError
from tests.cost.machines import cost_model

KINDS = {"lpddr4": 8, "lpddr": 40, "ddr3": 70, "gddr5": 14, "hbm2": 3.9, "hmc": 4.2}
LOWEST, HIGHEST = 0.62, 1.0


@pytest.mark.parametrize("name", ["gemmini_40nm", "horowitz_45nm", "tpu_like", "eyeriss_like", "edgebert_12nm"])
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_dram_are_those_of_accelergy(name: str, kind: str) -> None:
    """pJ/bit of Accelergy's CACTI plug-in times 8; nothing but the DRAM energy and its name changes."""
    model = cost_model(name)
    ours = with_dram(model, kind)
    assert ours.dram.energy_pj_per_byte.value == pytest.approx(8 * KINDS[kind])
    assert ours.dram.kind == kind
    assert msgspec.structs.replace(ours, dram=model.dram) == model


def test_unknown_dram_is_refused() -> None:
    """The message lists the kinds that the file names."""
    with pytest.raises(InputError, match=r"unknown kind of DRAM .*'ddr9'; known: ddr3, gddr5, hbm2, hmc, lpddr"):
        with_dram(cost_model("gemmini_40nm"), "ddr9")


@given(st.floats(LOWEST, HIGHEST))
def test_energy_is_quadratic_and_leakage_linear_in_voltage(voltage: float) -> None:
    """On-chip energies change with V^2, leakage with V, DRAM not at all."""
    model = cost_model("edgebert_12nm")
    ours, chip = at_voltage(model, voltage), reference_accelerator(model)
    for energy in (scratchpad_energy_pj, accumulator_energy_pj):
        np.testing.assert_allclose(energy(ours, chip), energy(model, chip) * voltage**2)
    np.testing.assert_allclose(mac_energy_pj(ours, 8, 8), mac_energy_pj(model, 8, 8) * voltage**2)
    vector, register = model.vector_unit.energy_pj_per_element.value, model.register.energy_pj_per_byte.value
    assert ours.vector_unit.energy_pj_per_element.value == pytest.approx(vector * voltage**2)
    assert ours.register.energy_pj_per_byte.value == pytest.approx(register * voltage**2)
    old, new = leakage_w(model, chip), leakage_w(ours, chip)
    assert old is not None
    assert new is not None
    np.testing.assert_allclose(new, old * voltage)
    assert ours.dram == model.dram
    assert ours.clock.voltage_v.value == pytest.approx(voltage)


def test_frequency_follows_the_points() -> None:
    """77 MHz at 0.62 V, 717 MHz at 1.0 V, linear in between (ISSCC 2023, 22.9)."""
    model = cost_model("edgebert_12nm")
    frequencies = [at_voltage(model, voltage).clock.frequency_hz.value for voltage in (0.62, 0.81, 1.0)]
    np.testing.assert_allclose(frequencies, [77e6, 397e6, 717e6])


@given(st.floats(77e6, 717e6))
def test_the_lowest_voltage_just_suffices(frequency: float) -> None:
    """voltage_for is the inverse of the frequency on the table."""
    model = cost_model("edgebert_12nm")
    voltage = voltage_for(model, frequency)
    assert LOWEST <= voltage <= HIGHEST
    assert at_voltage(model, voltage).clock.frequency_hz.value == pytest.approx(frequency)


def test_slower_than_the_slowest_point_takes_its_voltage() -> None:
    """A chip can run slower than its table, at the lowest voltage."""
    assert voltage_for(cost_model("edgebert_12nm"), 1e6) == LOWEST


@given(st.floats(LOWEST, HIGHEST), st.floats(LOWEST, HIGHEST))
def test_voltages_chain(first: float, second: float) -> None:
    """From one voltage to another by a third is the same as directly."""
    model = cost_model("edgebert_12nm")
    steps, direct = at_voltage(at_voltage(model, first), second), at_voltage(model, second)
    np.testing.assert_allclose(mac_energy_pj(steps, 8, 8), mac_energy_pj(direct, 8, 8))
    assert steps.clock.frequency_hz.value == pytest.approx(direct.clock.frequency_hz.value)


def test_voltages_outside_the_points_are_refused() -> None:
    """Neither extrapolation, nor a voltage for a file without points, nor a frequency that nothing sustains."""
    model = cost_model("edgebert_12nm")
    for voltage in (0.5, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"voltage_v: expected 0\.62 to 1 as in clock\.points"):
            at_voltage(model, voltage)
    for frequency in (0.0, 1e9, float("nan")):
        with pytest.raises(InputError, match="frequency_hz: expected above 0 and at most"):
            voltage_for(model, frequency)
    with pytest.raises(InputError, match=r"clock\.points: expected .* got none; its voltage is fixed"):
        at_voltage(cost_model("gemmini_40nm"), 0.9)
