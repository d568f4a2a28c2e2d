"""The tables of a cost model file.

Every physical number is a `Quantity`: its value and where it comes from, its unit in the name of its key.
Structural facts (which operands are how wide, what a PE holds) are plain values under a table that carries a source.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from codesign.cost.quantity import (
    Bits,
    NotNegative,
    NotNegativeInt,
    Positive,
    PositiveInt,
    PositiveQuantity,
    Quantity,
    Share,
    Source,
    Strict,
)
from codesign.design import Dataflow

NumberFormat = Literal["int", "float", "adaptivfloat"]


class ClockPoint(Strict, frozen=True):
    """A voltage and the highest frequency that it sustains."""

    voltage_v: Positive
    frequency_hz: Positive
    source: Source


class Clock(Strict, frozen=True, kw_only=True):
    """Turns cycles into seconds. The energies of the file hold at `voltage_v`."""

    frequency_hz: PositiveQuantity
    voltage_v: PositiveQuantity
    points: tuple[ClockPoint, ...] = ()
    """Both columns rise; the pair above is on the table. None: the voltage cannot be varied."""


class MacFormat(Strict, frozen=True):
    """Energy of a multiplier and of an adder of one number format, `bits` wide, and how it grows with the width.

    Multiplier: energy * (input bits * weight bits / bits ** 2) ** exponent; adder: energy * (adder bits / bits) **
    exponent. Accelergy's rule is exponent 1 for both: a multiplier is quadratic in the width, an adder linear.
    """

    bits: Bits
    multiplier_energy_pj: Quantity
    multiplier_exponent: PositiveQuantity
    adder_energy_pj: Quantity
    adder_exponent: PositiveQuantity
    adder_width: Literal["operand", "accumulator"]
    """Adder bits: those of the wider operand, or those of the accumulator."""
    widths: tuple[Bits, ...]
    """Operand widths that the format has."""


class Mac(Strict, frozen=True):
    """Multiply-accumulate units, one a PE."""

    area_mm2: Quantity
    """Area of one PE: multiplier, adder, registers, its share of the array's wiring."""
    formats: dict[str, MacFormat]
    """By NumberFormat."""
    sparsity: Literal["none", "gating", "skipping"]
    """gating: a vector of MACs whose weights are all zero takes no energy; skipping: structured zeros save cycles."""
    null_vector_width: PositiveInt
    """Weights that must be zero together to be gated; 1 where sparsity is none."""
    source: Source
    """Of sparsity and null_vector_width."""


class Array(Strict, frozen=True):
    """How register tiles (rows x columns of stationary operands) follow one another."""

    overlap: Share
    """1: loading and draining are hidden behind compute. 0: load n, compute n, drain n cycles one after the other;
    compute cycles are multiplied by 1 + 2 * (1 - overlap)."""
    stream_limit: NotNegativeInt
    """Rows streamed against one loaded stationary tile before it must be loaded again; 0 = unlimited."""
    source: Source
    """Of stream_limit."""


class Register(Strict, frozen=True):
    """The registers inside one PE, and the words of each operand that they hold."""

    energy_pj_per_byte: Quantity
    """Weight stationary: loading a weight, and reading it for each MAC."""
    partial_sum_energy_pj_per_byte: Quantity
    """Output stationary: reading and writing the partial sum for each MAC."""
    streamed_energy_pj_per_byte: Quantity
    """Reading a streamed operand from a register file for each MAC; 0 where it only passes through."""
    weight_words: PositiveInt
    input_words: PositiveInt
    output_words: PositiveInt
    source: Source
    """Of the three counts of words."""


class Scratchpad(Strict, frozen=True):
    """The buffer of inputs and weights; energy per operand word = fixed + slope * (KiB of one bank) ** exponent.

    Without an accumulator it is a global buffer that holds outputs too, at accumulator width.
    """

    banks: Literal["one", "per_column"]
    """per_column: each column of the array has a bank of its own, so a bank holds capacity / columns."""
    energy_pj_per_word: Quantity
    energy_pj_per_word_slope: Quantity
    energy_exponent: PositiveQuantity
    area_mm2_per_kib: Quantity
    words_per_cycle_per_row: Quantity
    words_per_cycle_per_column: PositiveQuantity
    """Words a cycle for each row and each column of the array."""


class Accumulator(Strict, frozen=True):
    """The buffer of outputs; energy as of the scratchpad, per accumulator word."""

    banks: Literal["one", "per_column"]
    energy_pj_per_word: Quantity
    energy_pj_per_word_slope: Quantity
    energy_exponent: PositiveQuantity
    area_mm2_per_kib: Quantity
    words_per_cycle_per_column: PositiveQuantity
    """Words a cycle for each column of the array that is in use."""


class L2(Strict, frozen=True):
    """A buffer shared by all tensors between DRAM and the buffers above."""

    capacity_kib: PositiveQuantity
    energy_pj_per_byte: Quantity
    bytes_per_cycle: PositiveQuantity
    """To and from the scratchpad and the accumulator."""
    area_mm2_per_kib: Quantity


class DramKind(Strict, frozen=True):
    """Another kind of off-chip memory."""

    energy_pj_per_byte: Quantity


class Dram(Strict, frozen=True, kw_only=True):
    """Off-chip memory. Its bandwidth belongs to the accelerator."""

    energy_pj_per_byte: Quantity
    kind: str | None = None
    """Which of `kinds` the energy is; none where it is of no named kind."""
    kinds: dict[str, DramKind] = msgspec.field(default_factory=dict)


class VectorUnit(Strict, frozen=True):
    """The lanes that compute softmax, norms, activations and residuals on accumulator-wide words."""

    energy_pj_per_element: Quantity
    """One pass over one element, accumulator access not included."""


class Tensors(Strict, frozen=True):
    """Word widths. Partial sums are always as wide as the accumulator."""

    number_format: NumberFormat
    """Of operands; names one of mac.formats."""
    operand_bits: Bits
    output_bits: Bits
    accumulator_bits: Bits
    source: Source


class Leakage(Strict, frozen=True):
    """Power that is drawn as long as the chip is on, DRAM not included."""

    power_mw_per_pe: Quantity
    power_mw_per_kib: Quantity
    """Of scratchpad, accumulator and L2."""
    fixed_power_mw: Quantity


class Floorplan(Strict, frozen=True):
    """Area that does not grow with the array or the buffers."""

    base_area_mm2: Quantity


class ReferenceAccelerator(Strict, frozen=True):
    """The accelerator used where an input names none (a Hugging Face config, a missing column)."""

    pe_rows: PositiveInt
    pe_cols: PositiveInt
    dataflow: Dataflow
    scratchpad_kib: Positive
    accumulator_kib: NotNegative
    dram_bytes_per_cycle: Positive
    vector_lanes: PositiveInt
    source: Source
