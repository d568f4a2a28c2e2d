"""What one action costs: the typed form of a file in cost_models/.

Every physical number is a `Quantity`: its value and where it comes from, its unit in the name of its key.
Structural facts (which operands are how wide) are plain values under a table that carries a source.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from codesign import files
from codesign.design import DATAFLOWS, KIB, Accelerator, Dataflow, FloatArray, IntArray
from codesign.errors import InputError

Source = Annotated[str, Meta(min_length=3)]
NotNegative = Annotated[float, Meta(ge=0, lt=1e30)]
Positive = Annotated[float, Meta(gt=0, lt=1e30)]
PositiveInt = Annotated[int, Meta(ge=1, le=2**40)]
Bits = Annotated[int, Meta(ge=1, le=64)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tables of a cost model file: immutable, unknown keys refused."""


class Quantity(_Strict, frozen=True):
    """A number that may be zero, with its source."""

    value: NotNegative
    source: Source


class PositiveQuantity(_Strict, frozen=True):
    """A number above zero, with its source."""

    value: Positive
    source: Source


class Clock(_Strict, frozen=True):
    """Turns cycles into seconds."""

    frequency_hz: PositiveQuantity


class Mac(_Strict, frozen=True):
    """One multiply-accumulate of operand x operand into the accumulator's width."""

    energy_pj: Quantity
    area_mm2: Quantity
    """Area of one PE: multiplier, adder, registers, its share of the array's wiring."""


class Register(_Strict, frozen=True):
    """The registers inside a PE that hold what is stationary."""

    energy_pj_per_byte: Quantity
    """Weight stationary: loading a weight, and reading it for each MAC."""
    partial_sum_energy_pj_per_byte: Quantity
    """Output stationary: reading and writing the partial sum for each MAC."""


class Scratchpad(_Strict, frozen=True):
    """The buffer of inputs and weights; energy per word = fixed + slope * (KiB of one bank) ** exponent."""

    banks: Literal["one", "per_column"]
    """per_column: each column of the array has a bank of its own, so a bank holds capacity / columns."""
    energy_pj_per_word: Quantity
    energy_pj_per_word_slope: Quantity
    energy_exponent: PositiveQuantity
    area_mm2_per_kib: Quantity
    words_per_cycle_per_row: Quantity
    words_per_cycle_per_column: PositiveQuantity
    """Words a cycle for each row and each column of the array."""


class Accumulator(_Strict, frozen=True):
    """The buffer of outputs; energy as of the scratchpad."""

    banks: Literal["one", "per_column"]
    energy_pj_per_word: Quantity
    energy_pj_per_word_slope: Quantity
    energy_exponent: PositiveQuantity
    area_mm2_per_kib: Quantity
    words_per_cycle_per_column: PositiveQuantity
    """Words a cycle for each column of the array that is in use."""


class Dram(_Strict, frozen=True):
    """Off-chip memory. Its bandwidth belongs to the accelerator."""

    energy_pj_per_byte: Quantity


class VectorUnit(_Strict, frozen=True):
    """The lanes that compute softmax, norms, activations and residuals on accumulator-wide words."""

    energy_pj_per_element: Quantity
    """One pass over one element, accumulator access not included."""


class Tensors(_Strict, frozen=True):
    """Word widths. Partial sums are always as wide as the accumulator."""

    operand_bits: Bits
    output_bits: Bits
    accumulator_bits: Bits
    source: Source


class Floorplan(_Strict, frozen=True):
    """Area that does not grow with the array or the buffers."""

    base_area_mm2: Quantity


class ReferenceAccelerator(_Strict, frozen=True):
    """The accelerator used where an input names none (a Hugging Face config, a missing column)."""

    pe_rows: PositiveInt
    pe_cols: PositiveInt
    dataflow: Dataflow
    scratchpad_kib: Positive
    accumulator_kib: Positive
    dram_bytes_per_cycle: Positive
    vector_lanes: PositiveInt
    source: Source


class Technology(_Strict, frozen=True):
    """A cost model file."""

    format: Literal[1]
    description: Source
    source: Source
    template: Literal["gemmini"]
    """The memory hierarchy: register in each PE, accumulator for outputs, scratchpad for operands, DRAM."""
    dataflows: tuple[Dataflow, ...]
    clock: Clock
    mac: Mac
    register: Register
    accumulator: Accumulator
    scratchpad: Scratchpad
    dram: Dram
    vector_unit: VectorUnit
    tensors: Tensors
    floorplan: Floorplan
    reference_accelerator: ReferenceAccelerator


def read(name_or_path: str) -> files.Document[Technology]:
    """Read a cost model by name or path."""
    document = files.read("cost model", name_or_path, Technology)
    return check(document)


def check(document: files.Document[Technology]) -> files.Document[Technology]:
    """Refuse what types alone cannot: widths that are no whole bytes, a reference with an undeclared dataflow."""
    technology = document.content
    for key in ("operand_bits", "output_bits", "accumulator_bits"):
        bits = getattr(technology.tensors, key)
        if bits % 8:
            raise InputError(f"{document.origin}: tensors.{key}: expected a multiple of 8, got {bits}")
    if technology.reference_accelerator.dataflow not in technology.dataflows:
        raise InputError(
            f"{document.origin}: reference_accelerator.dataflow: expected one of dataflows "
            f"{list(technology.dataflows)}, got {technology.reference_accelerator.dataflow!r}"
        )
    return document


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


def scratchpad_energy_pj(technology: Technology, accelerator: Accelerator) -> FloatArray:
    """(n,) pJ per operand word read from or written to the scratchpad."""
    return _sram_energy_pj(technology.scratchpad, accelerator.scratchpad_bytes, accelerator)


def accumulator_energy_pj(technology: Technology, accelerator: Accelerator) -> FloatArray:
    """(n,) pJ per accumulator word."""
    return _sram_energy_pj(technology.accumulator, accelerator.accumulator_bytes, accelerator)


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
    """(n,) mm2 = base + PEs + scratchpad + accumulator, all linear.

    Source: least squares on Accelergy's areas (see cost_models/gemmini_40nm.toml). Left out: the vector unit (the
    survey's Sec. 3.4 gives 14 % of a small Gemmini), DRAM interface and routing.
    """
    area = (
        technology.floorplan.base_area_mm2.value
        + technology.mac.area_mm2.value * accelerator.pe_rows * accelerator.pe_cols
        + technology.scratchpad.area_mm2_per_kib.value * accelerator.scratchpad_bytes / KIB
        + technology.accumulator.area_mm2_per_kib.value * accelerator.accumulator_bytes / KIB
    )
    return np.asarray(area, dtype=np.float64)
