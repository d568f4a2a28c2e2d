"""The machines and matmuls on which mappers are compared, and what other tools give for them.

The folder is made of `hardware_and_workloads.json` and the tools' results as CSV files, keyed by machine and matmul.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from codesign.design import Accelerator, IntArray
from codesign.errors import InputError

COST_MODEL = "simple_8bit"
"""Has the energies that every tool was given."""

DEFINITION = "hardware_and_workloads.json"


class Spatial(msgspec.Struct):
    """What one side of the array carries."""

    loop: str
    size: int


class Level(msgspec.Struct):
    """One memory; DRAM has no size."""

    name: str
    bytes: int | None
    holds: list[str]
    pj_per_byte: float


class Machine(msgspec.Struct):
    """One machine: rows, then columns of its array; memories from DRAM inwards."""

    spatial: tuple[Spatial, Spatial]
    dram_bytes_per_cycle_shared_rw: float
    levels_outer_to_inner: list[Level]

    @property
    def weight_stationary(self) -> bool:
        """Whether the array holds weights; otherwise outputs."""
        return self.spatial[0].loop == "K"

    def size(self, level: str) -> int:
        """Bytes of a memory."""
        return next(found.bytes or 0 for found in self.levels_outer_to_inner if found.name == level)


class Definition(msgspec.Struct):
    """All machines and matmuls by name."""

    energy_pj: dict[str, float]
    hardware: dict[str, Machine]
    workloads: dict[str, dict[str, int]]


@dataclass(frozen=True)
class PeerData:
    """A folder of peers' results."""

    folder: Path
    definition: Definition

    def extents(self, names: Sequence[str]) -> IntArray:
        """Return (r, 3) M, K, N of matmuls."""
        return np.array([[self.definition.workloads[name][d] for d in "MKN"] for name in names], dtype=np.int64)

    def accelerator(self, names: Sequence[str]) -> Accelerator:
        """Return r machines; they have no vector unit to speak of."""
        machines = [self.definition.hardware[name] for name in names]

        def column(values: list[int]) -> IntArray:
            return np.array(values, dtype=np.int64)

        return Accelerator(
            pe_rows=column([machine.spatial[0].size for machine in machines]),
            pe_cols=column([machine.spatial[1].size for machine in machines]),
            dataflow=column([0 if machine.weight_stationary else 1 for machine in machines]),
            scratchpad_bytes=column([machine.size("SPAD") for machine in machines]),
            accumulator_bytes=column([machine.size("ACC") for machine in machines]),
            dram_bytes_per_cycle=np.array([float(machine.dram_bytes_per_cycle_shared_rw) for machine in machines]),
            vector_lanes=column([1 for _ in machines]),
        )

    def table(self, name: str, columns: tuple[str, ...]) -> Any:
        """Read a tool's results.

        Raises:
            InputError: the file cannot be read, lacks a column, or names a machine or matmul that is not defined.
        """
        path = self.folder / name
        try:
            rows = pd.read_csv(path)
        except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
            raise InputError(f"{path}: cannot be read: {error}; expected a tool's results (--data DIR)") from None
        missing = [column for column in ("hw", "workload", *columns) if column not in rows.columns]
        if missing:
            raise InputError(f"{path}: missing columns {', '.join(missing)}; it has: {', '.join(rows.columns)}")
        for column, known in (("hw", self.definition.hardware), ("workload", self.definition.workloads)):
            strange = sorted(set(rows[column]) - set(known))
            if strange:
                raise InputError(f"{path}: {column}: expected one of {', '.join(known)}, got {strange[0]!r}")
        return rows


def read_peers(data: Path) -> PeerData:
    """Read the definition of the comparison from a folder, its subfolder `peers`, or a sibling `peers`.

    Raises:
        InputError: none of them has the definition, or it is not one.
    """
    folders = (data, data / "peers", data.resolve().parent / "peers")
    folder = next((folder for folder in folders if (folder / DEFINITION).is_file()), None)
    if folder is None:
        raise InputError(f"{data}: expected {DEFINITION} there or in the folder peers in it or beside it")
    try:
        definition = msgspec.json.decode((folder / DEFINITION).read_bytes(), type=Definition)
    except msgspec.DecodeError as error:
        raise InputError(f"{folder / DEFINITION}: not a definition of machines and matmuls: {error}") from None
    return PeerData(folder, definition)
