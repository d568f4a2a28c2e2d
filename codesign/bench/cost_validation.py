"""How far the cost model can be trusted: its figures beside Timeloop's, Accelergy's and the published case study's.

Simulated rows and areas come from the CSV files of a data directory. docs/cost_model.md shows the result.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from codesign.bench import case_study
from codesign.cost import technology as technologies
from codesign.cost.matmul_given import GIVEN_MAPPING
from codesign.cost.matmul_rows import Options, cost_rows
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import area_mm2, reference_accelerator
from codesign.design import KIB, Accelerator
from codesign.errors import InputError

COST_MODEL = "gemmini_40nm"
"""Holds the constants with which the rows were simulated."""

TIMELOOP = "timeloop_gemm.csv.gz"
AREAS = "accelergy_area.csv"

MEASURED = ("cycles", "energy_uJ")
TIMELOOP_COLUMNS = ("pe_dim", "scratchpad_bytes", "accumulator_bytes", "M", "K", "N", *GIVEN_MAPPING, *MEASURED)
AREA_COLUMNS = ("pe_dim", "scratchpad_kB", "accumulator_kB", "area_mm2")


def run(data_dir: Path) -> list[dict[str, object]]:
    """Measure the cost model; one row of named figures a comparison.

    Raises:
        InputError: a table of the data directory cannot be read or lacks a column.
    """
    technology = technologies.read(COST_MODEL).content
    rows = _read(data_dir / TIMELOOP, TIMELOOP_COLUMNS)
    figures = {
        "given mappings, Timeloop": given_mappings(rows, technology),
        "best mapping, those given": best_mappings(rows, technology),
        "area, Accelergy": areas(_read(data_dir / AREAS, AREA_COLUMNS), technology),
    }
    measured = [{"comparison": name} | own for name, own in figures.items()]
    return [row | {"cost_model": COST_MODEL} for row in (*measured, *case_study.run(technology))]


def given_mappings(rows: Any, technology: Technology) -> dict[str, object]:
    """Compare given mappings with their simulation."""
    cycles, energy_pj = _measured(rows)
    ours = cost_rows(_renamed(rows), technology, Options(convention="timeloop"))
    # Timeloop charges DRAM writes in blocks of 64 words, which shows where a matmul has one output.
    many = (rows["M"].astype(np.float64) * rows["N"].astype(np.float64) > 1).to_numpy()
    return {
        "rows": len(rows),
        "feasible_rows": int((ours["feasible"] == "true").sum()),
        "cycles_mape_percent": _mape_percent(ours["cycles"], cycles),
        "exact_cycles_percent": 100 * float(np.mean(ours["cycles"].to_numpy() == cycles)),
        "energy_mape_percent": _mape_percent(ours["energy_pj"], energy_pj),
        "energy_mape_percent_many_outputs": _mape_percent(ours["energy_pj"][many], energy_pj[many]),
        "edp_mape_percent": _mape_percent(ours["edp_pj_cycles"], cycles * energy_pj),
        "spearman": float(spearmanr(ours["edp_pj_cycles"], cycles * energy_pj).statistic),
    }


def best_mappings(rows: Any, technology: Technology) -> dict[str, object]:
    """Compare the energy-delay product of given mappings with that of the best one in perfect factors."""
    options = Options(objective="edp", convention="timeloop", perfect_factors=True)
    best = cost_rows(_renamed(rows).drop(columns=list(GIVEN_MAPPING)), technology, options)
    given = cost_rows(_renamed(rows), technology, options)
    ratio = (given["edp_pj_cycles"] / best["edp_pj_cycles"]).to_numpy()
    return {
        "rows": len(rows),
        "feasible_rows": int((best["feasible"] == "true").sum()),
        "given_over_best_edp_median": float(np.median(ratio)),
        "given_over_best_edp_smallest": float(ratio.min()),
    }


def areas(rows: Any, technology: Technology) -> dict[str, object]:
    """Compare areas with Accelergy's."""
    numbers = {name: rows[name].astype(np.float64).to_numpy() for name in AREA_COLUMNS}
    reference = reference_accelerator(technology, len(rows))
    accelerator = Accelerator(
        pe_rows=numbers["pe_dim"].astype(np.int64),
        pe_cols=numbers["pe_dim"].astype(np.int64),
        dataflow=reference.dataflow,
        scratchpad_bytes=(numbers["scratchpad_kB"] * KIB).astype(np.int64),
        accumulator_bytes=(numbers["accumulator_kB"] * KIB).astype(np.int64),
        dram_bytes_per_cycle=reference.dram_bytes_per_cycle,
        vector_lanes=reference.vector_lanes,
    )
    ours = area_mm2(technology, accelerator)
    return {"rows": len(rows), "area_mape_percent": _mape_percent(ours, numbers["area_mm2"])}


def _measured(rows: Any) -> tuple[Any, Any]:
    """Return simulated cycles and pJ."""
    cycles, energy = (rows[name].astype(np.float64).to_numpy() for name in MEASURED)
    return cycles, energy * 1e6


def _renamed(rows: Any) -> Any:
    """Return the rows under the column names of `cost.matmul_rows`."""
    names = {"pe_dim": "pe_rows", "M": "m", "K": "k", "N": "n"}
    return rows.drop(columns=list(MEASURED)).rename(columns=names).assign(pe_cols=rows["pe_dim"])


def _mape_percent(ours: Any, theirs: Any) -> float:
    """Mean absolute error in % of theirs."""
    return 100 * float(np.mean(np.abs(np.asarray(ours) / np.asarray(theirs) - 1)))


def _read(path: Path, columns: tuple[str, ...]) -> Any:
    """Read some columns of a table as text."""
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path}: cannot be read: {error}; expected a table of reference data (--data DIR)") from None
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        raise InputError(f"{path}: missing columns {', '.join(missing)}; it has: {', '.join(rows.columns)}")
    if rows.empty:
        raise InputError(f"{path}: expected rows under the header, got none")
    for name in columns:
        if not name.startswith("loops_"):
            _check_numbers(path, name, rows[name])
    return rows[list(columns)]


def _check_numbers(path: Path, name: str, column: Any) -> None:
    bad = ~np.isfinite(pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64))
    if bad.any():
        raise InputError(f"{path}: {name}: expected numbers, got {column[bad].iloc[0]!r}")
