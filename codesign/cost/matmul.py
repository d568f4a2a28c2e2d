"""Costs of matmuls on accelerators, as columns: the boundary between named arrays and the compiled kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from codesign.cost import mapping
from codesign.cost.access import Conventions
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import (
    accumulator_energy_pj,
    accumulator_words_per_cycle_per_column,
    mac_energy_pj,
    register_energy_pj,
    scratchpad_energy_pj,
)
from codesign.design import Accelerator, BoolArray, FloatArray, IntArray
from codesign.errors import unknown_name

LEVELS = ("mac", "register", "accumulator", "scratchpad", "dram")

Objective = Literal["edp", "energy", "delay"]
Convention = Literal["timeloop", "accelforge", "zigzag"]

SEARCH_CONVENTION: Convention = "accelforge"
"""A search counts what the hardware does: partial sums that spill to DRAM are as wide as the accumulator, the first
update of an output needs no read, a finished output is read out once at full width."""


@dataclass(frozen=True)
class MatmulCosts:
    """Costs of r (matmul, accelerator) rows; zero where not feasible."""

    feasible: BoolArray  # (r,)
    cycles: FloatArray  # (r,)
    compute_cycles: FloatArray  # (r,)
    energy_pj: FloatArray  # (r, LEVELS)
    register_bytes: FloatArray  # (r,)
    accumulator_words: FloatArray  # (r,)
    scratchpad_words: FloatArray  # (r,)
    dram_bytes: FloatArray  # (r,)
    tiles: IntArray  # (r, 3) M, K, N tile on chip
    innermost: IntArray  # (r,) position in "MKN" of the innermost DRAM loop

    @property
    def total_energy_pj(self) -> FloatArray:
        """(r,) sum over levels."""
        return np.asarray(self.energy_pj.sum(axis=1))


def conventions(technology: Technology, convention: Convention) -> Conventions:
    """Return the word widths in bytes and what is counted, under one tool's convention.

    Source: the three tools give equal counts except for the first partial-sum read, the final drain and the width of
    spilled partial sums (compared on 44 mappings; docs/cost_model.md).
    """
    tensors = technology.tensors
    operand, output, accumulator = (
        tensors.operand_bits / 8,
        tensors.output_bits / 8,
        tensors.accumulator_bits / 8,
    )
    table: dict[str, tuple[float, float, float]] = {  # spill bytes, first read, drain
        "timeloop": (output, 0.0, 1.0),
        "accelforge": (accumulator, 0.0, 1.0),
        "zigzag": (accumulator, 1.0, output / accumulator),
    }
    if convention not in table:
        raise unknown_name("convention", convention, table)
    return operand, output, accumulator, *table[convention]


def hardware_rates(technology: Technology, accelerator: Accelerator) -> FloatArray:
    """(n, 3) scratchpad words, accumulator words per column in use, and DRAM bytes a cycle."""
    scratchpad = technology.scratchpad
    rate = (
        scratchpad.words_per_cycle_per_row.value * accelerator.pe_rows
        + scratchpad.words_per_cycle_per_column.value * accelerator.pe_cols
    )
    per_column = np.full(len(accelerator), accumulator_words_per_cycle_per_column(technology))
    return np.stack([rate, per_column, accelerator.dram_bytes_per_cycle], axis=1).astype(np.float64)


def unit_energies_pj(technology: Technology, accelerator: Accelerator) -> FloatArray:
    """(n, LEVELS) pJ of one action at each level."""
    bits = technology.tensors.operand_bits
    columns = [
        np.full(len(accelerator), mac_energy_pj(technology, bits, bits)),
        register_energy_pj(technology, accelerator),
        accumulator_energy_pj(technology, accelerator),
        scratchpad_energy_pj(technology, accelerator),
        np.full(len(accelerator), technology.dram.energy_pj_per_byte.value),
    ]
    return np.stack(columns, axis=1)


def best_mappings(
    extents: IntArray,
    accelerator: Accelerator,
    technology: Technology,
    *,
    objective: Objective = "edp",
    convention: Convention = SEARCH_CONVENTION,
    perfect_factors: bool = False,
) -> MatmulCosts:
    """Cost r matmuls, each on its own accelerator under its best mapping.

    Args:
        extents: (r, 3) M, K, N.
        accelerator: r rows.
        technology: what one action costs.
        objective: what the mapping minimises for each matmul.
        convention: how accesses are counted.
        perfect_factors: only tiles that divide the matmul.

    Returns:
        Columns of r rows. A row is infeasible if an extent is outside 1..2**24 or if no tile fits on chip.
    """
    if objective not in mapping.OBJECTIVES:
        raise unknown_name("objective", objective, mapping.OBJECTIVES)
    operand, _, accumulator, *_ = widths = conventions(technology, convention)
    integers = np.column_stack(
        [
            extents,
            accelerator.dataflow,
            accelerator.pe_rows,
            accelerator.pe_cols,
            np.floor(accelerator.scratchpad_bytes / operand),
            np.floor(accelerator.accumulator_bytes / accumulator),
        ]
    ).astype(np.int64)
    rates = hardware_rates(technology, accelerator)
    energies = unit_energies_pj(technology, accelerator)
    out = np.zeros((len(extents), len(mapping.RESULT)))
    fits = np.zeros(len(extents), dtype=np.bool_)
    valid = ((extents >= 1) & (extents <= mapping.LARGEST_EXTENT)).all(axis=1) & (integers[:, 4:] >= 1).all(axis=1)
    searched, found = out[valid], fits[valid]
    mapping.search_rows(
        mapping.OBJECTIVES.index(objective),
        perfect_factors,
        integers[valid],
        widths,
        rates[valid],
        energies[valid],
        searched,
        found,
    )
    out[valid], fits[valid] = searched, found
    return _as_columns(extents, out, fits, energies)


def _as_columns(extents: IntArray, out: FloatArray, fits: BoolArray, energies: FloatArray) -> MatmulCosts:
    result = dict(zip(mapping.RESULT, out.T, strict=True))
    mac = np.where(fits, np.prod(extents.astype(np.float64), axis=1), 0.0)
    accesses = np.stack(
        [mac, *(result[name] for name in ("register_bytes", "accumulator_words", "scratchpad_words", "dram_bytes"))],
        axis=1,
    )
    return MatmulCosts(
        feasible=fits,
        cycles=result["cycles"],
        compute_cycles=result["compute_cycles"],
        energy_pj=accesses * energies,
        register_bytes=result["register_bytes"],
        accumulator_words=result["accumulator_words"],
        scratchpad_words=result["scratchpad_words"],
        dram_bytes=result["dram_bytes"],
        tiles=np.stack([result["m_tile"], result["k_tile"], result["n_tile"]], axis=1).astype(np.int64),
        innermost=result["innermost"].astype(np.int64),
    )
