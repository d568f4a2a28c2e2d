"""What one action costs on a given accelerator, as columns: energies, areas and leakage of a cost model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from codesign.cost.technology import Technology
from codesign.cost.technology_tables import Accumulator, Scratchpad
from codesign.design import DATAFLOWS, KIB, Accelerator, BoolArray, FloatArray, IntArray
from codesign.errors import InputError

Numbers = npt.ArrayLike


def reference_accelerator(technology: Technology, n: int = 1) -> Accelerator:
    """Return the cost model's reference accelerator as a column of n equal rows."""
    reference = technology.reference_accelerator
    return Accelerator(
        pe_rows=np.full(n, reference.pe_rows),
        pe_cols=np.full(n, reference.pe_cols),
        dataflow=np.full(n, DATAFLOWS.index(reference.dataflow)),
        scratchpad_bytes=np.full(n, round(reference.scratchpad_kib * KIB)),
        accumulator_bytes=np.full(n, round(reference.accumulator_kib * KIB)),
        dram_bytes_per_cycle=np.full(n, float(reference.dram_bytes_per_cycle)),
        vector_lanes=np.full(n, reference.vector_lanes),
    )


def accumulator_mismatch(technology: Technology, accelerator: Accelerator) -> BoolArray:
    """(n,) True where an accelerator's accumulator contradicts the cost model: present without a table, or absent."""
    return np.asarray((accelerator.accumulator_bytes == 0) != (technology.accumulator is None))


def check_accumulator(technology: Technology, accelerator: Accelerator) -> None:
    """Refuse accelerators whose accumulator contradicts the cost model.

    Raises:
        InputError: an accumulator where the cost model has none, or none where it has one.
    """
    wrong = accumulator_mismatch(technology, accelerator)
    if wrong.any():
        got = accelerator.accumulator_bytes[wrong][0]
        expected = (
            "0 bytes (this cost model has no [accumulator]: outputs live in the scratchpad)"
            if technology.accumulator is None
            else "above 0 bytes (this cost model has an [accumulator])"
        )
        raise InputError(f"accelerator.accumulator: expected {expected}, got {got} bytes")


def mac_energy_pj(technology: Technology, input_bits: Numbers, weight_bits: Numbers) -> FloatArray:
    """Energy in pJ of one multiply-accumulate of operands of the given widths, broadcast against each other.

    Multiplier: energy * (input bits * weight bits / bits ** 2) ** exponent; adder: energy * (adder bits / bits) **
    exponent, in the number format that `tensors` names. Source: Accelergy's Aladdin plug-in (Wu 2019), exponents 1.

    Raises:
        InputError: a width that the format does not have.
    """
    form = technology.mac.formats[technology.tensors.number_format]
    inputs, weights = np.asarray(input_bits), np.asarray(weight_bits)
    for which, bits in (("input", inputs), ("weight", weights)):
        unknown = np.setdiff1d(bits, form.widths)
        if unknown.size:
            raise InputError(
                f"{which} bits: expected one of mac.formats.{technology.tensors.number_format}.widths "
                f"{list(form.widths)}, got {unknown[0]}"
            )
    adder_bits = np.maximum(inputs, weights)
    if form.adder_width == "accumulator":
        adder_bits = np.maximum(adder_bits, technology.tensors.accumulator_bits)
    multiplier = form.multiplier_energy_pj.value * (inputs * weights / form.bits**2) ** form.multiplier_exponent.value
    adder = form.adder_energy_pj.value * (adder_bits / form.bits) ** form.adder_exponent.value
    return np.asarray(multiplier + adder, dtype=np.float64)


def gated_energy_share(technology: Technology, density: Numbers) -> FloatArray:
    """Share of the dense multiply-accumulates that take energy, for weights of which `density` are not zero.

    none: 1. gating: 1 - (1 - density) ** null_vector_width, zeros taken as independent (EdgeBERT skips a vector MAC
    only if the whole vector is null). skipping: density.
    """
    share = np.asarray(density, dtype=np.float64)
    if technology.mac.sparsity == "none":
        return np.ones_like(share)
    if technology.mac.sparsity == "skipping":
        return share
    return np.asarray(1 - (1 - share) ** technology.mac.null_vector_width)


def skipped_cycle_share(technology: Technology, density: Numbers) -> FloatArray:
    """Share of the dense compute cycles that remain: density under skipping (structured zeros), 1 otherwise."""
    share = np.asarray(density, dtype=np.float64)
    return share if technology.mac.sparsity == "skipping" else np.ones_like(share)


def scratchpad_energy_pj(technology: Technology, accelerator: Accelerator) -> FloatArray:
    """(n,) pJ per operand word read from or written to the scratchpad."""
    return _sram_energy_pj(technology.scratchpad, accelerator.scratchpad_bytes, accelerator)


def accumulator_energy_pj(technology: Technology, accelerator: Accelerator) -> FloatArray:
    """(n,) pJ per accumulator word; without an accumulator, of as many bits in the scratchpad."""
    if technology.accumulator is None:
        words = technology.tensors.accumulator_bits / technology.tensors.operand_bits
        return scratchpad_energy_pj(technology, accelerator) * words
    return _sram_energy_pj(technology.accumulator, accelerator.accumulator_bytes, accelerator)


def accumulator_words_per_cycle_per_column(technology: Technology) -> float:
    """Accumulator words a cycle for each column in use.

    Infinite without an accumulator: the scratchpad's ports carry the outputs and alone limit them.
    """
    if technology.accumulator is None:
        return np.inf
    return technology.accumulator.words_per_cycle_per_column.value


def register_energy_pj(technology: Technology, accelerator: Accelerator) -> FloatArray:
    """(n,) pJ per byte of the register that holds what is stationary."""
    weights = accelerator.dataflow == DATAFLOWS.index("weight_stationary")
    register = technology.register
    return np.where(weights, register.energy_pj_per_byte.value, register.partial_sum_energy_pj_per_byte.value).astype(
        np.float64
    )


def _sram_energy_pj(sram: Scratchpad | Accumulator, capacity_bytes: IntArray, accelerator: Accelerator) -> FloatArray:
    banks = accelerator.pe_cols if sram.banks == "per_column" else 1
    bank_kib = capacity_bytes / KIB / banks
    slope = sram.energy_pj_per_word_slope.value * bank_kib**sram.energy_exponent.value
    return np.asarray(sram.energy_pj_per_word.value + slope, dtype=np.float64)


def area_mm2(technology: Technology, accelerator: Accelerator) -> FloatArray:
    """(n,) mm2 = base + PEs + scratchpad + accumulator + L2, all linear.

    Source: least squares on Accelergy's areas (see cost_models/gemmini_40nm.toml). Left out: the vector unit (the
    survey's Sec. 3.4 gives 14 % of a small Gemmini), DRAM interface and routing.
    """
    area = (
        technology.floorplan.base_area_mm2.value
        + technology.mac.area_mm2.value * accelerator.pe_rows * accelerator.pe_cols
        + technology.scratchpad.area_mm2_per_kib.value * accelerator.scratchpad_bytes / KIB
        + _per_accumulator_kib(technology) * accelerator.accumulator_bytes / KIB
        + (technology.l2.area_mm2_per_kib.value * technology.l2.capacity_kib.value if technology.l2 else 0.0)
    )
    return np.asarray(area, dtype=np.float64)


def _per_accumulator_kib(technology: Technology) -> float:
    return technology.accumulator.area_mm2_per_kib.value if technology.accumulator else 0.0


def leakage_w(technology: Technology, accelerator: Accelerator) -> FloatArray | None:
    """(n,) W = fixed + PEs + KiB of scratchpad, accumulator and L2; None where the cost model does not say."""
    leakage = technology.leakage
    if leakage is None:
        return None
    kib = (accelerator.scratchpad_bytes + accelerator.accumulator_bytes) / KIB
    if technology.l2:
        kib = kib + technology.l2.capacity_kib.value
    power_mw = (
        leakage.fixed_power_mw.value
        + leakage.power_mw_per_pe.value * accelerator.pe_rows * accelerator.pe_cols
        + leakage.power_mw_per_kib.value * kib
    )
    return np.asarray(power_mw * 1e-3, dtype=np.float64)
