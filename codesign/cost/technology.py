"""What one action costs: a file in cost_models/, read and checked.

One template covers, by data: a systolic array with scratchpad and accumulator (Gemmini, TPU), PEs with register files
under one global buffer (Eyeriss), a vector-MAC unit with its load and drain phases (EdgeBERT), a shared L2.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

from codesign import files
from codesign.cost.calibration import Calibration
from codesign.cost.quantity import Source, Strict
from codesign.cost.technology_tables import (
    L2,
    Accumulator,
    Array,
    Clock,
    Dram,
    Floorplan,
    Leakage,
    Mac,
    NumberFormat,
    ReferenceAccelerator,
    Register,
    Scratchpad,
    Tensors,
    VectorUnit,
)
from codesign.design import Dataflow
from codesign.errors import InputError


class Technology(Strict, frozen=True, kw_only=True):
    """A cost model file."""

    format: Literal[1]
    description: Source
    source: Source
    dataflows: tuple[Dataflow, ...]
    clock: Clock
    mac: Mac
    array: Array
    register: Register
    accumulator: Accumulator | None = None
    """None: outputs live at accumulator width in the scratchpad, and an accelerator's accumulator has 0 bytes."""
    scratchpad: Scratchpad
    l2: L2 | None = None
    dram: Dram
    vector_unit: VectorUnit
    tensors: Tensors
    leakage: Leakage | None = None
    calibration: Calibration | None = None
    """None: the fidelity `calibrated` is refused."""
    floorplan: Floorplan
    reference_accelerator: ReferenceAccelerator


def read(name_or_path: str) -> files.Document[Technology]:
    """Read a cost model by name or path."""
    document = files.read("cost model", name_or_path, Technology)
    return check(document)


def check(document: files.Document[Technology]) -> files.Document[Technology]:
    """Refuse what types alone cannot: tables of one file that contradict each other.

    Raises:
        InputError: the first contradiction, with the file, the key path, what was expected and what came.
    """
    for contradiction in (_tensors, _mac, _clock, _dram, _reference):
        message = contradiction(document.content)
        if message:
            raise InputError(f"{document.origin}: {message}")
    return document


def _tensors(technology: Technology) -> str:
    for key in ("operand_bits", "output_bits", "accumulator_bits"):
        bits = getattr(technology.tensors, key)
        if bits % 8:
            return f"tensors.{key}: expected a multiple of 8, got {bits}"
    return ""


def _mac(technology: Technology) -> str:
    mac, tensors = technology.mac, technology.tensors
    known = sorted(get_args(NumberFormat))
    unknown = sorted(set(mac.formats) - set(known))
    if unknown:
        return f"mac.formats: expected names among {known}, got {unknown[0]!r}"
    if tensors.number_format not in mac.formats:
        return (
            f"tensors.number_format: expected one of mac.formats {sorted(mac.formats)}, got {tensors.number_format!r}"
        )
    for name, table in mac.formats.items():
        if not table.widths:
            return f"mac.formats.{name}.widths: expected at least one operand width, got []"
    widths = mac.formats[tensors.number_format].widths
    if tensors.operand_bits not in widths:
        return (
            f"tensors.operand_bits: expected one of mac.formats.{tensors.number_format}.widths {list(widths)}, "
            f"got {tensors.operand_bits}"
        )
    if mac.sparsity == "none" and mac.null_vector_width != 1:
        return f"mac.null_vector_width: expected 1 where sparsity is none, got {mac.null_vector_width}"
    return ""


def _clock(technology: Technology) -> str:
    clock = technology.clock
    pairs = [(point.voltage_v, point.frequency_hz) for point in clock.points]
    for i, (low, high) in enumerate(pairwise(pairs), start=1):
        if not (low[0] < high[0] and low[1] < high[1]):
            return f"clock.points[{i}]: expected voltage and frequency above those of the point before, got {high}"
    own = (clock.voltage_v.value, clock.frequency_hz.value)
    if pairs and own not in pairs:
        return f"clock: expected (voltage_v, frequency_hz) to be one of clock.points {pairs}, got {own}"
    return ""


def _dram(technology: Technology) -> str:
    dram = technology.dram
    if dram.kind is None:
        return ""
    if dram.kind not in dram.kinds:
        return f"dram.kind: expected one of dram.kinds {sorted(dram.kinds)}, got {dram.kind!r}"
    named, own = dram.kinds[dram.kind].energy_pj_per_byte.value, dram.energy_pj_per_byte.value
    if named != own:
        return (
            f"dram.energy_pj_per_byte: expected {named} as in dram.kinds.{dram.kind}, got {own}; "
            "leave dram.kind out if that is meant"
        )
    return ""


def _reference(technology: Technology) -> str:
    reference = technology.reference_accelerator
    if reference.dataflow not in technology.dataflows:
        return (
            f"reference_accelerator.dataflow: expected one of dataflows {list(technology.dataflows)}, "
            f"got {reference.dataflow!r}"
        )
    kib = reference.accumulator_kib
    if technology.accumulator is None and kib != 0:
        return f"reference_accelerator.accumulator_kib: expected 0 without a table [accumulator], got {kib}"
    if technology.accumulator is not None and kib == 0:
        return "reference_accelerator.accumulator_kib: expected above 0 with a table [accumulator], got 0"
    return ""
