"""What one action costs on an accelerator: energies of MACs, buffers and registers, areas, leakage."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.cost.quantity import PositiveQuantity
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import (
    accumulator_energy_pj,
    accumulator_mismatch,
    accumulator_words_per_cycle_per_column,
    area_mm2,
    check_accumulator,
    gated_energy_share,
    leakage_w,
    mac_energy_pj,
    reference_accelerator,
    scratchpad_energy_pj,
    skipped_cycle_share,
)
from codesign.errors import InputError
from tests.cost.machines import accelerator, cost_model


def with_format(model: Technology, name: str, adder_width: str | None = None) -> Technology:
    """Return the model computing in another number format."""
    form = model.mac.formats[name]
    if adder_width is not None:
        form = msgspec.structs.replace(form, adder_width=adder_width)
    mac = msgspec.structs.replace(model.mac, formats={name: form})
    tensors = msgspec.structs.replace(model.tensors, number_format=name)
    return msgspec.structs.replace(model, mac=mac, tensors=tensors)


def test_buffer_energies_are_those_of_dosa() -> None:
    """0.02513 KiB + 0.49 a scratchpad byte; 0.1005 KiB / columns + 1.94 an accumulator word (DOSA, 40 nm)."""
    chips = accelerator(pe_cols=16, scratchpad_bytes=np.array([64, 256]) * 1024, accumulator_bytes=256 * 1024)
    model = cost_model("gemmini_40nm")
    np.testing.assert_allclose(scratchpad_energy_pj(model, chips), [2.09832, 6.92328])
    np.testing.assert_allclose(accumulator_energy_pj(model, chips), [3.548, 3.548])


def test_area_is_the_sum_of_its_parts() -> None:
    """0.0196 + 4.216e-4 D^2 + 2.597e-3 scratchpad KiB + 5.545e-3 accumulator KiB, in mm2."""
    chips = accelerator(pe_rows=16, pe_cols=8, scratchpad_bytes=64 * 1024, accumulator_bytes=256 * 1024)
    expected = 0.0196 + 4.216e-4 * 16 * 8 + 2.597e-3 * 64 + 5.545e-3 * 256
    np.testing.assert_allclose(area_mm2(cost_model("gemmini_40nm"), chips), [expected])


def test_buffers_follow_a_power_law() -> None:
    """Energy per word = fixed + slope x KiB of one bank ** exponent."""
    model = cost_model("gemmini_40nm")
    exponent = PositiveQuantity(value=0.5, source="a test")
    square_root = msgspec.structs.replace(
        model,
        scratchpad=msgspec.structs.replace(model.scratchpad, energy_exponent=exponent),
        accumulator=msgspec.structs.replace(model.accumulator, energy_exponent=exponent),
    )
    chip = accelerator(pe_cols=4, scratchpad_bytes=64 * 1024, accumulator_bytes=64 * 1024)
    np.testing.assert_allclose(scratchpad_energy_pj(square_root, chip), [0.49 + 0.02513 * 8])
    np.testing.assert_allclose(accumulator_energy_pj(square_root, chip), [1.94 + 0.1005 * 4])


def test_integer_macs_are_those_of_accelergy() -> None:
    """8.63 (b/32)^2 + 0.0857 b/32: 0.1456, 0.5608, 2.200 and 8.716 pJ at 4, 8, 16 and 32 bits (Aladdin, 40 nm)."""
    bits = np.array([4, 8, 16, 32])
    energies = mac_energy_pj(cost_model("gemmini_40nm"), bits, bits)
    np.testing.assert_allclose(energies, 8.63 * (bits / 32) ** 2 + 0.0857 * bits / 32, rtol=1e-15)
    np.testing.assert_allclose(energies, [0.1456, 0.5608, 2.200, 8.716], rtol=5e-4)
    assert float(energies[1]) == pytest.approx(0.5608, rel=1e-15)


def test_macs_are_those_of_horowitz() -> None:
    """int8 0.23, or 0.3 with the accumulator's adder; int32 3.2; fp16 1.5; fp32 4.6 pJ (ISSCC 2014, 45 nm)."""
    model = cost_model("horowitz_45nm")
    np.testing.assert_allclose(mac_energy_pj(model, [8, 32], [8, 32]), [0.3, 3.2], rtol=1e-12)
    narrow = with_format(model, "int", adder_width="operand")
    np.testing.assert_allclose(mac_energy_pj(narrow, [8, 32], [8, 32]), [0.23, 3.2], rtol=1e-12)
    np.testing.assert_allclose(mac_energy_pj(with_format(model, "float"), [16, 32], [16, 32]), [1.5, 4.6], rtol=1e-12)


@given(st.sampled_from([4, 8, 16]), st.sampled_from([4, 8, 16]))
def test_a_mac_of_two_widths_lies_between(inputs: int, weights: int) -> None:
    """Multiplier by the product of both widths, adder by the wider: symmetric, and between the two equal widths."""
    model = cost_model("gemmini_40nm")
    mixed = float(mac_energy_pj(model, inputs, weights))
    assert mixed == float(mac_energy_pj(model, weights, inputs))
    low, high = sorted((inputs, weights))
    assert mac_energy_pj(model, low, low) <= mixed <= mac_energy_pj(model, high, high)


def test_widths_broadcast() -> None:
    """(2, 1) input widths against (3,) weight widths give (2, 3) energies."""
    assert mac_energy_pj(cost_model("gemmini_40nm"), [[4], [8]], [4, 8, 16]).shape == (2, 3)


def test_widths_that_a_format_has_not_are_refused() -> None:
    """There is no 4-bit float in the 45 nm table; the message says which operand and the known widths."""
    model = with_format(cost_model("horowitz_45nm"), "float")
    with pytest.raises(InputError, match=r"weight bits: expected one of .*float\.widths \[8, 16, 32\], got 4"):
        mac_energy_pj(model, 8, [8, 4])


def test_gating_follows_the_null_vector_probability() -> None:
    """1 - (1 - density)^16 of the vectors hold a weight that is not zero; cycles are not saved (EdgeBERT)."""
    density = np.array([0.0, 0.01, 0.5, 1.0])
    model = cost_model("edgebert_12nm")
    np.testing.assert_allclose(gated_energy_share(model, density), 1 - (1 - density) ** 16)
    np.testing.assert_array_equal(skipped_cycle_share(model, density), np.ones(4))


@pytest.mark.parametrize(("sparsity", "energy", "cycles"), [("none", 1.0, 1.0), ("skipping", 0.25, 0.25)])
def test_skipping_saves_both_and_none_saves_nothing(sparsity: str, energy: float, cycles: float) -> None:
    """Structured zeros that are skipped take neither energy nor cycles; a dense array takes both."""
    model = cost_model("gemmini_40nm")
    model = msgspec.structs.replace(model, mac=msgspec.structs.replace(model.mac, sparsity=sparsity))
    assert (float(gated_energy_share(model, 0.25)), float(skipped_cycle_share(model, 0.25))) == (energy, cycles)


def test_without_an_accumulator_outputs_live_in_the_scratchpad() -> None:
    """An output costs its bits in the global buffer, whose ports alone limit it, and an accumulator is refused."""
    model = cost_model("eyeriss_like")
    wide = msgspec.structs.replace(model, tensors=msgspec.structs.replace(model.tensors, accumulator_bits=32))
    chip = reference_accelerator(model)
    np.testing.assert_allclose(accumulator_energy_pj(wide, chip), 2 * scratchpad_energy_pj(model, chip))
    assert accumulator_words_per_cycle_per_column(model) == np.inf
    chips = accelerator(accumulator_bytes=[0, 1024])
    np.testing.assert_array_equal(accumulator_mismatch(model, chips), [False, True])
    np.testing.assert_array_equal(accumulator_mismatch(cost_model("unit"), chips), [True, False])
    with pytest.raises(InputError, match=r"expected 0 bytes .*no \[accumulator\].*got 1024 bytes"):
        check_accumulator(model, chips)
    with pytest.raises(InputError, match=r"expected above 0 bytes .*got 0 bytes"):
        check_accumulator(cost_model("unit"), chips)


def test_buffers_of_eyeriss_cost_six_macs() -> None:
    """A word of the 100 KiB buffer costs 6 MACs, of a register file 1, of DRAM 200 (Chen et al., ISCA 2016)."""
    model = cost_model("eyeriss_like")
    mac = float(mac_energy_pj(model, 16, 16))
    buffer = scratchpad_energy_pj(model, accelerator(scratchpad_bytes=100 * 1024, accumulator_bytes=0))[0]
    register, dram = 2 * model.register.energy_pj_per_byte.value, 2 * model.dram.energy_pj_per_byte.value
    np.testing.assert_allclose(np.array([register, buffer, dram]) / mac, [1, 6, 200], rtol=1e-3)


def test_area_counts_the_l2() -> None:
    """An L2 adds its capacity times its area a KiB."""
    model = cost_model("survey_l2")
    assert model.l2 is not None
    chip = reference_accelerator(model)
    without = msgspec.structs.replace(model, l2=None)
    np.testing.assert_allclose(area_mm2(model, chip) - area_mm2(without, chip), 2048 * 2.597e-3)


def test_leakage_is_the_sum_of_its_parts() -> None:
    """Fixed, a PE, a KiB of buffer; None, never 0, where the cost model does not say."""
    chip = accelerator(pe_rows=16, pe_cols=8, scratchpad_bytes=64 * 1024, accumulator_bytes=16 * 1024)
    for name, kib in {"gemmini_40nm": 80, "survey_l2": 80 + 2048}.items():
        found = leakage_w(cost_model(name), chip)
        assert found is not None
        np.testing.assert_allclose(found, np.array([(0.666 + 0.01433 * 128 + 0.0684 * kib) * 1e-3]))
    assert leakage_w(cost_model("horowitz_45nm"), chip) is None
