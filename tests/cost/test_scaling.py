"""Node scaling against the published table, and cost models at another node."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.cost.scaling import scale_area, scale_delay, scale_energy, scaled
from codesign.cost.unit_costs import area_mm2, leakage_w, mac_energy_pj, reference_accelerator
from codesign.errors import InputError
from tests.cost.machines import cost_model

# Stillmaker and Baas 2017, relative to 45 nm at 0.9 V: node, voltage, energy, delay.
POINTS = (
    (65, 1.1, 2.41, None),
    (32, 0.9, 0.654, 0.663),
    (20, 0.9, 0.287, 0.751),
    (16, 0.8, 0.172, 0.534),
    (14, 0.8, 0.138, 0.358),
    (12, 0.8, 0.127, 0.324),  # mean of 14 and 10
    (10, 0.75, 0.101, 0.305),
    (7, 0.7, 0.068, 0.257),
)

nodes = st.floats(7, 65)
voltages = st.floats(0.5, 1.2)


@pytest.mark.parametrize(("node", "voltage", "energy", "delay"), POINTS)
def test_nodes_are_those_of_the_table(node: float, voltage: float, energy: float, delay: float | None) -> None:
    """Energy and delay of each node relative to 45 nm at 0.9 V."""
    assert scale_energy(45, 0.9, node, voltage) == pytest.approx(energy, abs=6e-3 if node == 65 else 6e-4)
    if delay is not None:
        assert scale_delay(45, 0.9, node, voltage) == pytest.approx(delay, abs=6e-4)


def test_voltages_at_12_nm_are_those_of_the_table() -> None:
    """Energy at 0.5 to 1.0 V relative to 0.8 V, at 12 nm."""
    ratios = [scale_energy(12, 0.8, 12, voltage) for voltage in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)]
    np.testing.assert_allclose(ratios, [0.349, 0.516, 0.733, 1, 1.317, 1.683], atol=6e-4)


def test_areas_are_those_of_the_table() -> None:
    """Area factors from 45 nm, and from 65 nm to 45, 32, 16 and 14."""
    factors = [scale_area(45, node) for node in (45, 32, 20, 16, 14, 10, 7)]
    np.testing.assert_allclose(factors, [1, 0.46, 0.21, 0.19, 0.17, 0.10, 0.059])
    np.testing.assert_allclose([scale_area(65, node) for node in (45, 32, 16, 14)], [0.66, 0.31, 0.13, 0.12], atol=8e-3)


@given(nodes, voltages, nodes, voltages, nodes, voltages)
def test_ratios_chain(a: float, va: float, b: float, vb: float, c: float, vc: float) -> None:
    """From a to b to c is from a to c, and there and back is 1."""
    for scale in (scale_energy, scale_delay):
        assert scale(a, va, b, vb) * scale(b, vb, c, vc) == pytest.approx(scale(a, va, c, vc))
        assert scale(a, va, b, vb) * scale(b, vb, a, va) == pytest.approx(1)
    assert scale_area(a, b) * scale_area(b, c) == pytest.approx(scale_area(a, c))


@pytest.mark.parametrize(("node", "voltage"), [(5, 0.8), (90, 0.8), (12, 0.4), (12, 1.3), (float("nan"), 0.8)])
def test_outside_the_table_is_refused(node: float, voltage: float) -> None:
    """Nodes and voltages beyond the fits give no number."""
    for scale in (scale_energy, scale_delay):
        with pytest.raises(InputError, match=r"expected .* got"):
            scale(45, 0.9, node, voltage)
    if not 7 <= node <= 65:
        with pytest.raises(InputError, match="expected 7 to 65 nm"):
            scale_area(45, node)


def test_a_scaled_cost_model_scales_what_is_on_chip() -> None:
    """Energies, areas, clock and leakage change by their ratio, DRAM does not, and every number says so."""
    model = cost_model("gemmini_40nm")
    ours = scaled(model, 40, 12, 0.8)
    energy, chip = scale_energy(40, 0.9, 12, 0.8), reference_accelerator(model)
    np.testing.assert_allclose(mac_energy_pj(ours, 8, 8), mac_energy_pj(model, 8, 8) * energy)
    np.testing.assert_allclose(area_mm2(ours, chip), area_mm2(model, chip) * scale_area(40, 12))
    assert ours.clock.frequency_hz.value == pytest.approx(1e9 / scale_delay(40, 0.9, 12, 0.8))
    assert ours.clock.voltage_v.value == 0.8
    assert ours.dram == model.dram
    old, new = leakage_w(model, chip), leakage_w(ours, chip)
    assert old is not None
    assert new is not None
    np.testing.assert_allclose(new, old * energy)
    assert "40 nm 0.9 V to 12 nm 0.8 V (Stillmaker and Baas 2017)" in ours.scratchpad.energy_pj_per_word.source


def test_tpu_energies_are_horowitz_at_28_nm() -> None:
    """The shipped TPU-like file holds what node scaling gives, to its four digits."""
    ours, base = cost_model("tpu_like"), scaled(cost_model("horowitz_45nm"), 45, 28, 0.9)
    assert ours.accumulator is not None
    assert base.accumulator is not None
    pairs = (
        (float(mac_energy_pj(ours, 8, 8)), float(mac_energy_pj(base, 8, 8))),
        (ours.register.energy_pj_per_byte.value, base.register.energy_pj_per_byte.value),
        (ours.scratchpad.energy_pj_per_word_slope.value, base.scratchpad.energy_pj_per_word_slope.value),
        (ours.accumulator.energy_pj_per_word_slope.value, base.accumulator.energy_pj_per_word_slope.value),
        (ours.vector_unit.energy_pj_per_element.value, base.vector_unit.energy_pj_per_element.value),
    )
    for found, expected in pairs:
        assert found == pytest.approx(expected, rel=5e-4)


def test_edgebert_energies_are_horowitz_at_12_nm() -> None:
    """The shipped EdgeBERT-like file holds what node scaling gives, and stays below the silicon's 0.62 pJ a MAC."""
    ours, base = cost_model("edgebert_12nm"), scaled(cost_model("horowitz_45nm"), 45, 12, 1.0)
    form, expected = ours.mac.formats["adaptivfloat"], base.mac.formats["adaptivfloat"]
    assert form.multiplier_energy_pj.value == pytest.approx(expected.multiplier_energy_pj.value, rel=5e-4)
    assert form.adder_energy_pj.value == pytest.approx(expected.adder_energy_pj.value, rel=5e-4)
    slope, scaled_slope = (model.scratchpad.energy_pj_per_word_slope.value for model in (ours, base))
    assert slope == pytest.approx(scaled_slope, rel=5e-4)
    assert mac_energy_pj(ours, 8, 8) < 0.62


def test_eyeriss_mac_is_horowitz_at_65_nm() -> None:
    """A 16-bit MAC of the shipped Eyeriss-like file is Horowitz's with a 16-bit adder, at 65 nm and 1 V."""
    base = scaled(cost_model("horowitz_45nm"), 45, 65, 1.0).mac.formats["int"]
    form = cost_model("eyeriss_like").mac.formats["int"]
    assert form.multiplier_energy_pj.value == pytest.approx(base.multiplier_energy_pj.value, rel=5e-4)
    assert form.adder_energy_pj.value == pytest.approx(base.adder_energy_pj.value, rel=5e-4)
