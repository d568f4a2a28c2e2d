"""From named columns to the numbers that kernels take: widths, bandwidths, energies, tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from codesign.cost.calibration import coefficients
from codesign.cost.candidate import LARGEST_EXTENT, UNLIMITED
from codesign.cost.count import Widths
from codesign.cost.points import HULL, OBJECTIVES
from codesign.cost.task import TASK
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import (
    accumulator_energy_pj,
    accumulator_mismatch,
    gated_energy_share,
    mac_energy_pj,
    register_energy_pj,
    scratchpad_energy_pj,
)
from codesign.design import DATAFLOWS, KIB, Accelerator, BoolArray, FloatArray, IntArray
from codesign.errors import InputError, unknown_name

Objective = Literal["edp", "energy", "delay"]
Convention = Literal["timeloop", "accelforge", "zigzag"]
Fidelity = Literal["ideal", "calibrated"]
Buffering = Literal["ideal", "double", "single", "best"]

SEARCH_CONVENTION: Convention = "accelforge"
"""A search counts what the hardware does: partial sums that spill to DRAM are as wide as the accumulator, the first
update of an output needs no read, a finished output is read out once at full width."""

# (serial, usable share of the buffers) that each kind of buffering may choose from.
BUFFERINGS: dict[Buffering, tuple[tuple[bool, float], ...]] = {
    "ideal": ((False, 1.0),),  # Timeloop's assumption: DRAM overlaps with compute, and no buffer is kept free for it
    "double": ((False, 0.5),),
    "single": ((True, 1.0),),
    "best": ((False, 0.5), (True, 1.0)),
}


@dataclass(frozen=True)
class Operands:
    """Widths and densities of the operands of r matmuls; where a column is 0, the cost model's operand width."""

    input_bits: IntArray  # (r,)
    weight_bits: IntArray  # (r,)
    weight_density: FloatArray  # (r,) share of weights that are not zero

    @staticmethod
    def dense(rows: int) -> Operands:
        """Return r dense matmuls of the cost model's operand width."""
        zeros = np.zeros(rows, dtype=np.int64)
        return Operands(zeros, zeros, np.ones(rows))

    def take(self, rows: Any) -> Operands:
        """Return the operands at `rows`."""
        return Operands(self.input_bits[rows], self.weight_bits[rows], self.weight_density[rows])


@dataclass(frozen=True)
class Options:
    """How matmuls are mapped and counted."""

    objective: Objective | Literal["hull"] = "edp"
    convention: Convention = SEARCH_CONVENTION
    perfect_factors: bool = False
    fidelity: Fidelity = "ideal"
    spills: bool = True
    """Whether partial sums may go to DRAM and come back."""
    buffering: Buffering | None = None
    """None: ideal under ideal cycles, double under calibrated ones, as Gemmini's own loops do."""
    whole_rows: BoolArray | None = field(default=None)
    """(r,) matmuls whose finished rows stay in the accumulator until they are complete; none where not given."""


def counting(technology: Technology, convention: Convention) -> tuple[float, float, float, float]:
    """Return bytes of a spilled partial sum, and the last three of `count.Widths`, under one tool's convention.

    Source: the three tools give equal counts except for the first partial-sum read, the final drain, the width of
    spilled partial sums, and (ZigZag) outputs that an output-stationary PE finishes in one go: those are written and
    drained at final width and never read first (compared on 44 mappings and 64 optima; docs/cost_model.md).
    """
    output, accumulator = technology.tensors.output_bits / 8, technology.tensors.accumulator_bits / 8
    share = output / accumulator
    table: dict[str, tuple[float, float, float, float]] = {
        "timeloop": (output, 0.0, 1.0, 0.0),
        "accelforge": (accumulator, 0.0, 1.0, 0.0),
        "zigzag": (accumulator, 1.0, share, 2.0 - share),
    }
    if convention not in table:
        raise unknown_name("convention", convention, table)
    return table[convention]


def widths(technology: Technology, convention: Convention) -> Widths:
    """Return the word widths in bytes and what is counted, for dense operands of the cost model's width."""
    tensors = technology.tensors
    operand = tensors.operand_bits / 8
    return (
        operand,
        operand,
        tensors.output_bits / 8,
        tensors.accumulator_bits / 8,
        *counting(technology, convention),
    )


def hardware_rates(technology: Technology, accelerator: Accelerator) -> FloatArray:
    """(n, 4) scratchpad bytes, accumulator words per column in use and DRAM bytes a cycle; cycles per array step."""
    scratchpad = technology.scratchpad
    words = (
        scratchpad.words_per_cycle_per_row.value * accelerator.pe_rows
        + scratchpad.words_per_cycle_per_column.value * accelerator.pe_cols
    )
    own = technology.accumulator
    columns = (
        words * technology.tensors.operand_bits / 8,
        np.full(len(accelerator), own.words_per_cycle_per_column.value if own else 0.0),
        accelerator.dram_bytes_per_cycle,
        np.full(len(accelerator), 1.0 + 2.0 * (1.0 - technology.array.overlap.value)),
    )
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)


def unit_energies_pj(technology: Technology, accelerator: Accelerator, operands: Operands | None = None) -> FloatArray:
    """(n, 6) pJ of a MAC, register byte, accumulator word, input word and weight word in the scratchpad, DRAM byte.

    A MAC counts with what its PE's register file delivers to it beside the stationary operand, and with the share of
    zero weights whose energy is saved. Words in the scratchpad cost in proportion to their width.
    """
    operands = operands or Operands.dense(len(accelerator))
    default = technology.tensors.operand_bits
    input_bits, weight_bits = stated_bits(operands, technology)
    mac = mac_energy_pj(technology, input_bits, weight_bits)
    mac = mac * gated_energy_share(technology, operands.weight_density)
    weights_held = accelerator.dataflow == DATAFLOWS.index("weight_stationary")
    streamed = input_bits / 8 + np.where(weights_held, 2 * technology.tensors.accumulator_bits, weight_bits) / 8
    word = scratchpad_energy_pj(technology, accelerator)
    columns = (
        mac + streamed * technology.register.streamed_energy_pj_per_byte.value,
        register_energy_pj(technology, accelerator),
        accumulator_energy_pj(technology, accelerator),
        word * input_bits / default,
        word * stored_bits(weight_bits, operands.weight_density) / default,
        np.full(len(accelerator), technology.dram.energy_pj_per_byte.value),
    )
    return np.stack(columns, axis=1)


def stated_bits(operands: Operands, technology: Technology) -> tuple[IntArray, IntArray]:
    """Return (r,) bits of inputs and of weights, the cost model's where the operands do not say."""
    default = technology.tensors.operand_bits
    return (
        np.where(operands.input_bits == 0, default, operands.input_bits),
        np.where(operands.weight_bits == 0, default, operands.weight_bits),
    )


def stored_bits(bits: IntArray, density: FloatArray) -> FloatArray:
    """Return bits a weight takes in memory: bitmask encoding (a bit for each, the others' values) where that is less.

    Source: NVMExplorer (Pentecost 2022), `bitmask_utils.encoded_capacity`: bits = nnz * b + N.
    """
    return np.asarray(np.minimum(bits * 1.0, bits * density + 1.0))


def tasks(
    extents: IntArray, accelerator: Accelerator, technology: Technology, operands: Operands, options: Options
) -> tuple[Any, BoolArray]:
    """Return (r,) records of TASK, and which of them can be searched at all."""
    _check(technology, options)
    out = np.zeros(len(extents), TASK)
    held_weights = accelerator.dataflow == DATAFLOWS.index("weight_stationary")
    M, K, N = extents.T
    out["objective"] = HULL if options.objective == "hull" else OBJECTIVES.index(options.objective)
    out["perfect"], out["calibrated"] = options.perfect_factors, options.fidelity == "calibrated"
    out["no_spills"] = not options.spills
    out["whole_rows"] = False if options.whole_rows is None else options.whole_rows
    out["weight_stationary"] = held_weights
    out["stream"], out["rows"] = np.where(held_weights, M, K), np.where(held_weights, K, M)
    out["columns"] = N
    out["row_lanes"], out["column_lanes"] = accelerator.pe_rows, accelerator.pe_cols
    out["stream_limit"] = technology.array.stream_limit or UNLIMITED
    out["capacity"] = np.stack([accelerator.scratchpad_bytes, accelerator.accumulator_bytes], axis=1)
    outputs = 0 if technology.accumulator is None else 1
    out["buffer"] = np.where(held_weights[:, None], [0, 0, outputs], [outputs, 0, 0])
    input_bits, weight_bits = stated_bits(operands, technology)
    inputs, weights = input_bits / 8, stored_bits(weight_bits, operands.weight_density) / 8
    sums = np.full(len(extents), technology.tensors.accumulator_bits / 8)
    out["word"] = np.where(held_weights[:, None], _columns(weights, inputs, sums), _columns(sums, inputs, weights))
    output, spill, *counted = technology.tensors.output_bits / 8, *counting(technology, options.convention)
    out["widths"] = _columns(inputs, weights, output, sums, spill, *counted)
    out["rates"] = hardware_rates(technology, accelerator)
    out["energies"] = unit_energies_pj(technology, accelerator, operands)
    out["repeats"] = 1.0
    if technology.l2 is not None:
        out["l2"] = (
            technology.l2.capacity_kib.value * KIB,
            technology.l2.bytes_per_cycle.value,
            technology.l2.energy_pj_per_byte.value,
        )
    if options.fidelity == "calibrated" and technology.calibration is not None:
        out["coefficients"] = coefficients(technology.calibration)
    return out, _valid(extents, accelerator, technology)


def variants(technology: Technology, options: Options) -> FloatArray:
    """Return (2, v, 4) by dataflow: row block, column block, whether serial, usable share; 0 blocks fill up."""
    register = technology.register
    buffering = options.buffering or ("ideal" if options.fidelity == "ideal" else "double")
    if buffering not in BUFFERINGS:
        raise unknown_name("buffering", buffering, BUFFERINGS)
    held = (
        _blocks(register.weight_words, register.input_words, register.output_words),
        _blocks(register.output_words, register.input_words, register.weight_words),
    )
    rows = [[(*block, *mode) for block in blocks for mode in BUFFERINGS[buffering]] for blocks in held]
    out = np.zeros((2, max(map(len, rows)), 4))
    for dataflow, found in enumerate(rows):
        out[dataflow, : len(found)] = found
    return out


def _blocks(held: int, by_row: int, by_column: int) -> list[tuple[int, int]]:
    """Return the largest blocks (rows, columns) that a PE's registers hold: of the held tensor and both others."""
    sizes = [(rows, min(held // rows, by_column)) for rows in range(1, min(held, by_row) + 1)]
    return [size for size in sizes if not any(a >= size[0] and b >= size[1] and (a, b) != size for a, b in sizes)]


def _columns(*columns: Any) -> FloatArray:
    return np.stack(np.broadcast_arrays(*columns), axis=1).astype(np.float64)


def _valid(extents: IntArray, accelerator: Accelerator, technology: Technology) -> BoolArray:
    sizes = (accelerator.pe_rows, accelerator.pe_cols, accelerator.scratchpad_bytes)
    good = ((extents >= 1) & (extents <= LARGEST_EXTENT)).all(axis=1) & ~accumulator_mismatch(technology, accelerator)
    good &= np.isfinite(accelerator.dram_bytes_per_cycle) & (accelerator.dram_bytes_per_cycle > 0)
    return np.asarray(good & (np.stack(sizes, axis=1) >= 1).all(axis=1) & (accelerator.accumulator_bytes >= 0))


def _check(technology: Technology, options: Options) -> None:
    if options.objective not in (*OBJECTIVES, "hull"):
        raise unknown_name("objective", options.objective, OBJECTIVES)
    if options.fidelity not in get_args(Fidelity):
        raise unknown_name("fidelity", options.fidelity, get_args(Fidelity))
    if options.fidelity == "calibrated" and technology.calibration is None:
        raise InputError(
            f"fidelity calibrated: expected a cost model with a table [calibration], got {technology.description!r}; "
            "use fidelity ideal"
        )
    if options.fidelity == "calibrated" and technology.l2 is not None:
        raise InputError("fidelity calibrated: expected a cost model without a table [l2]; use fidelity ideal")
