"""`codesign estimate --matmuls`: a CSV of matmuls and accelerators in, the same rows with their costs out.

Read and written in chunks, so files of any length pass through bounded memory. A row that cannot be costed is flagged
with its reason; it never stops the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codesign.cost import nest
from codesign.cost.mapping import LARGEST_EXTENT
from codesign.cost.matmul import (
    Convention,
    MatmulCosts,
    Objective,
    best_mappings,
    conventions,
    hardware_rates,
    unit_energies_pj,
)
from codesign.cost.technology import (
    Technology,
    accumulator_energy_pj,
    area_mm2,
    reference_accelerator,
    scratchpad_energy_pj,
)
from codesign.design import DATAFLOWS, Accelerator, BoolArray
from codesign.errors import CodesignError, InputError

REQUIRED = ("m", "k", "n", "pe_rows", "pe_cols", "scratchpad_bytes", "accumulator_bytes")
GIVEN_MAPPING = (
    "loops_dram",
    "loops_scratchpad",
    "loops_accumulator",
    "loops_register",
    "spatial_k",
    "spatial_n",
)
DATAFLOW_NAMES = {"ws": 0, "os": 1} | {name: code for code, name in enumerate(DATAFLOWS)}
RESULTS = (
    "cycles",
    "energy_pj",
    "edp_pj_cycles",
    "area_mm2",
    "dram_bytes",
    "scratchpad_accesses",
    "accumulator_accesses",
)
CHUNK_ROWS = 20_000
"""Rows held in memory at a time."""


@dataclass(frozen=True)
class Options:
    """How rows are costed."""

    objective: Objective = "edp"
    convention: Convention = "timeloop"
    perfect_factors: bool = False


def estimate_file(source: Path, target: Path, technology: Technology, options: Options) -> int:
    """Cost every row of a CSV file.

    Args:
        source: CSV with the columns REQUIRED; optional `dataflow` (ws or os), `dram_bytes_per_cycle`, and a given
            mapping in the columns GIVEN_MAPPING.
        target: CSV written with the input columns, RESULTS, `mapping`, `feasible` and `reason`.
        technology: what one action costs; also gives the DRAM bandwidth and dataflow where the file names none.
        options: objective, convention, mapping space.

    Returns:
        the number of rows.

    Raises:
        InputError: unreadable file or missing columns.
    """
    if target.exists() and target.resolve() == source.resolve():
        raise InputError(f"{target}: the output would overwrite the input; give another -o")
    rows = 0
    temporary = target.with_name(target.name + ".part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as out:
            for chunk in _chunks(source):
                costed = cost_rows(chunk, technology, options)
                costed.to_csv(out, index=False, header=rows == 0)
                rows += len(chunk)
        if not rows:
            raise InputError(f"{source}: expected at least one row under the header")
        temporary.replace(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return rows


def cost_rows(rows: pd.DataFrame, technology: Technology, options: Options) -> pd.DataFrame:
    """Return the rows (as text columns) with their results appended; reasons where a row is not feasible."""
    reasons = np.full(len(rows), "", dtype=object)
    numbers = {name: _numbers(rows[name], name, reasons) for name in REQUIRED}
    extents = np.stack([numbers["m"], numbers["k"], numbers["n"]], axis=1).astype(np.int64)
    accelerator = _accelerator(rows, numbers, technology, reasons)
    undeclared = ~np.isin(accelerator.dataflow, [DATAFLOWS.index(name) for name in technology.dataflows])
    _flag(reasons, undeclared, f"dataflow: the cost model declares {', '.join(technology.dataflows)} only")
    given = set(GIVEN_MAPPING) <= set(rows.columns)
    cost = _cost_given if given else _cost_best
    results, mappings = cost(rows, extents, accelerator, technology, options, reasons)
    feasible = reasons == ""
    table = rows.copy()
    for name in RESULTS:
        table[name] = np.where(feasible, results[name], np.nan)
    table["mapping"] = np.where(feasible, mappings, "")
    table["feasible"] = np.where(feasible, "true", "false")
    table["reason"] = reasons
    return table


def _chunks(source: Path) -> Any:
    try:
        with pd.read_csv(source, dtype=str, keep_default_na=False, chunksize=CHUNK_ROWS) as reader:
            for number, chunk in enumerate(reader):
                if number == 0:
                    _check_header(source, list(chunk.columns))
                yield chunk.reset_index(drop=True)
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except pd.errors.EmptyDataError:
        raise InputError(f"{source}: the file is empty; expected columns {', '.join(REQUIRED)}") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InputError(f"{source}: cannot be read as CSV: {error}") from None


def _check_header(source: Path, columns: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise InputError(f"{source}: missing columns {', '.join(missing)}; got {', '.join(columns)}")
    partial = [name for name in GIVEN_MAPPING if name not in columns]
    if partial and len(partial) < len(GIVEN_MAPPING):
        raise InputError(f"{source}: a given mapping needs all of its columns; missing {', '.join(partial)}")
    taken = [name for name in (*RESULTS, "mapping", "feasible", "reason") if name in columns]
    if taken:
        raise InputError(f"{source}: columns {', '.join(taken)} are written by this command; rename them")


def _flag(reasons: Any, bad: BoolArray, reason: str) -> None:
    """Give a reason to the bad rows that have none yet."""
    reasons[bad & (reasons == "")] = reason


def _numbers(column: Any, name: str, reasons: Any) -> Any:
    """Return a column of whole numbers of at least 1; rows without one are flagged and become 1."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    good = np.isfinite(values) & (values >= 1) & (values == np.floor(values))
    for row in np.flatnonzero(~good & (reasons == "")):
        reasons[row] = f"{name}: expected a whole number of at least 1, got {column.iloc[row]!r}"
    most = LARGEST_EXTENT if name in ("m", "k", "n") else 2**40
    _flag(reasons, good & (values > most), f"{name}: expected at most {most}")
    return np.where(good & (values <= most), values, 1.0)


def _accelerator(rows: pd.DataFrame, numbers: Any, technology: Technology, reasons: Any) -> Accelerator:
    reference = reference_accelerator(technology, len(rows))
    dataflow, bandwidth = reference.dataflow, reference.dram_bytes_per_cycle
    if "dataflow" in rows:
        codes = rows["dataflow"].map(DATAFLOW_NAMES)
        for row in np.flatnonzero(codes.isna().to_numpy() & (reasons == "")):
            reasons[row] = f"dataflow: expected ws or os, got {rows['dataflow'].iloc[row]!r}"
        dataflow = codes.fillna(0).to_numpy(dtype=np.int64)
    if "dram_bytes_per_cycle" in rows:
        column = rows["dram_bytes_per_cycle"]
        bandwidth = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
        good = np.isfinite(bandwidth) & (bandwidth > 0)
        for row in np.flatnonzero(~good & (reasons == "")):
            reasons[row] = f"dram_bytes_per_cycle: expected a number above 0, got {column.iloc[row]!r}"
        bandwidth = np.where(good, bandwidth, 1.0)
    return Accelerator(
        pe_rows=numbers["pe_rows"].astype(np.int64),
        pe_cols=numbers["pe_cols"].astype(np.int64),
        dataflow=dataflow,
        scratchpad_bytes=numbers["scratchpad_bytes"].astype(np.int64),
        accumulator_bytes=numbers["accumulator_bytes"].astype(np.int64),
        dram_bytes_per_cycle=bandwidth,
        vector_lanes=reference.vector_lanes,
    )


def _cost_best(
    _: pd.DataFrame, extents: Any, accelerator: Accelerator, technology: Technology, options: Options, reasons: Any
) -> tuple[dict[str, Any], Any]:
    costs = best_mappings(
        extents,
        accelerator,
        technology,
        objective=options.objective,
        convention=options.convention,
        perfect_factors=options.perfect_factors,
    )
    _flag(reasons, ~costs.feasible, "no tile fits into scratchpad and accumulator")
    energy = costs.total_energy_pj
    results = {
        "cycles": costs.cycles,
        "energy_pj": energy,
        "edp_pj_cycles": energy * costs.cycles,
        "area_mm2": area_mm2(technology, accelerator),
        "dram_bytes": costs.dram_bytes,
        "scratchpad_accesses": costs.scratchpad_words,
        "accumulator_accesses": costs.accumulator_words,
    }
    return results, _mapping_texts(extents, accelerator, costs)


def _mapping_texts(extents: Any, accelerator: Accelerator, costs: MatmulCosts) -> Any:
    """Return each mapping as text: DRAM loops outermost first, tile sizes, what lies on the array."""
    texts = np.full(len(extents), "", dtype=object)
    for row in np.flatnonzero(costs.feasible):
        tile = costs.tiles[row]
        order = [d for d in range(3) if d != costs.innermost[row]] + [int(costs.innermost[row])]
        trips = -(-extents[row] // tile)
        loops = " ".join(f"{nest.DIMENSIONS[d]}{trips[d]}" for d in order if trips[d] > 1) or "-"
        on_rows = "K" if accelerator.dataflow[row] == 0 else "M"
        sizes = " ".join(f"{nest.DIMENSIONS[d]}{tile[d]}" for d in range(3))
        array = f"{on_rows}{accelerator.pe_rows[row]} N{accelerator.pe_cols[row]}"
        texts[row] = f"dram {loops} | tile {sizes} | array {array}"
    return texts


def _cost_given(
    rows: pd.DataFrame, extents: Any, accelerator: Accelerator, technology: Technology, options: Options, reasons: Any
) -> tuple[dict[str, Any], Any]:
    _flag(reasons, accelerator.dataflow != 0, "dataflow: a given mapping is weight stationary (ws)")
    spatial = {name: _numbers(rows[name], name, reasons) for name in ("spatial_k", "spatial_n")}
    nests = [_parse_nest(row, spatial, number, reasons) for number, row in enumerate(rows.to_dict("records"))]
    loops, lengths, factors = nest.pack(nests)
    out = np.zeros((len(rows), len(nest.NEST_RESULT)))
    energies = unit_energies_pj(
        accumulator_energy_pj(technology, accelerator), scratchpad_energy_pj(technology, accelerator), technology
    )
    widths = conventions(technology, options.convention)
    rates = hardware_rates(technology, accelerator).astype(np.float64)
    nest.nest_rows(extents.astype(np.float64), loops, lengths, factors, widths, rates, energies, out)
    result = dict(zip(nest.NEST_RESULT, out.T, strict=True))
    covered = nest.covered(loops, lengths, factors)
    for d, name in enumerate(nest.DIMENSIONS):
        for row in np.flatnonzero((covered[:, d] != extents[:, d]) & (reasons == "")):
            reasons[row] = f"mapping covers {name}{covered[row, d]:.0f} of {name}{extents[row, d]}"
    operand, _, accumulator, *_ = widths
    _flag(reasons, factors[:, 0] > accelerator.pe_rows, "spatial_k: more than the array's rows")
    _flag(reasons, factors[:, 1] > accelerator.pe_cols, "spatial_n: more than the array's columns")
    _flag(reasons, result["weights_per_register"] > 1, "loops_register: a register holds one weight (M loops only)")
    _flag(
        reasons,
        result["output_tile_words"] * accumulator > accelerator.accumulator_bytes,
        "the output tile does not fit into the accumulator",
    )
    _flag(
        reasons,
        result["operand_tile_words"] * operand > accelerator.scratchpad_bytes,
        "the input and weight tiles do not fit into the scratchpad",
    )
    results = {
        "cycles": result["cycles"],
        "energy_pj": result["energy_pj"],
        "edp_pj_cycles": result["energy_pj"] * result["cycles"],
        "area_mm2": area_mm2(technology, accelerator),
        "dram_bytes": result["dram_bytes"],
        "scratchpad_accesses": result["scratchpad_words"],
        "accumulator_accesses": result["accumulator_words"],
    }
    return results, np.full(len(rows), "given", dtype=object)


def _parse_nest(row: dict[str, str], spatial: Any, number: int, reasons: Any) -> nest.Nest:
    loops: list[tuple[int, int, int]] = []
    try:
        for level, name in enumerate(nest.MEMORY_LEVELS):
            loops += nest.parse_loops(level, row[f"loops_{name}"])
        if len(loops) > nest.MAX_LOOPS:
            raise InputError(f"expected at most {nest.MAX_LOOPS} loops, got {len(loops)}")
    except CodesignError as error:
        if not reasons[number]:
            reasons[number] = str(error)
        loops = []
    return nest.Nest(tuple(loops), int(spatial["spatial_k"][number]), int(spatial["spatial_n"][number]))
