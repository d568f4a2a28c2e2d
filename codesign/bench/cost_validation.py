"""How far the cost model can be trusted: its figures beside Timeloop's, Accelergy's and the published case study's.

Simulated rows and areas come from the CSV files of a data directory. docs/cost_model.md shows the result.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from codesign.cost import technology as technologies
from codesign.cost.estimate import ENERGY_LEVELS, Cost, estimate
from codesign.cost.matmul_given import GIVEN_MAPPING
from codesign.cost.matmul_rows import Options, cost_rows
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import area_mm2, reference_accelerator
from codesign.design import KIB, Accelerator, Design
from codesign.design_file import ModelTable, model_shape
from codesign.errors import InputError
from codesign.space_file import read_space

COST_MODEL = "gemmini_40nm"
"""Holds the constants with which the rows were simulated."""

SPACE = "survey_lm_fixed_hw"
TIMELOOP = "timeloop_gemm.csv.gz"
AREAS = "accelergy_area.csv"

MEASURED = ("cycles", "energy_uJ")
TIMELOOP_COLUMNS = ("pe_dim", "scratchpad_bytes", "accumulator_bytes", "M", "K", "N", *GIVEN_MAPPING, *MEASURED)
AREA_COLUMNS = ("pe_dim", "scratchpad_kB", "accumulator_kB", "area_mm2")

# Kim et al. 2023 (arXiv 2302.14017), Tab. 9: the network found at +0.1 perplexity. Its head width is not stated.
TABLE_9_HIDDEN = 672
TABLE_9_HEADS = [12, 6, 12, 8, 10, 6]
TABLE_9_FFN = [1280, 1280, 2560, 768, 2048, 1024]
HEAD_WIDTHS: dict[str, int | list[int]] = {
    "hidden / heads": [TABLE_9_HIDDEN // heads for heads in TABLE_9_HEADS],  # 10 heads: 67, not 67.2
    "64": 64,
}
# The same, Sec. 6.4.2 and 7: baseline over Tab. 9; the delay is RTL's, the energy Timeloop's.
PUBLISHED = {"delay": 1.4, "energy": 1.6, "edp": 2.24}
PUBLISHED_EDP_CYCLE_MJ = 3.6e9


def run(data_dir: Path) -> list[dict[str, object]]:
    """Measure the cost model; one row of named figures a comparison.

    Raises:
        InputError: a table of the data directory cannot be read or lacks a column.
    """
    technology = technologies.read(COST_MODEL).content
    rows = _read(data_dir / TIMELOOP, TIMELOOP_COLUMNS)
    return [
        {"comparison": name, "cost_model": COST_MODEL} | figures
        for name, figures in (
            ("given mappings, Timeloop", given_mappings(rows, technology)),
            ("best mapping, those given", best_mappings(rows, technology)),
            ("area, Accelergy", areas(_read(data_dir / AREAS, AREA_COLUMNS), technology)),
            ("case study, baseline", case_study_baseline(technology)),
            *((f"case study, Tab. 9, head width {rule}", table_9(technology, rule)) for rule in HEAD_WIDTHS),
        )
    ]


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


def case_study_baseline(technology: Technology) -> dict[str, object]:
    """Cost the matmuls of the published baseline; its published EDP is Tab. 9's times the published ratio."""
    space = read_space(SPACE).content
    cost = estimate(space.baseline, space.scenario, technology)
    lanes = int(space.baseline.accelerator.pe_rows[0] * space.baseline.accelerator.pe_cols[0])
    return {
        "macs": int(cost.macs[0]),
        "macs_over_lanes": int(cost.macs[0]) / lanes,
        **_totals(cost),
        "published_edp_cycle_mj": PUBLISHED_EDP_CYCLE_MJ * PUBLISHED["edp"],
    }


def table_9(technology: Technology, rule: str) -> dict[str, object]:
    """Cost the matmuls of the published network, and how many times more the baseline costs."""
    space = read_space(SPACE).content
    table = ModelTable(
        layers=len(TABLE_9_HEADS),
        hidden=TABLE_9_HIDDEN,
        heads=TABLE_9_HEADS,
        head_width=HEAD_WIDTHS[rule],
        ffn=TABLE_9_FFN,
    )
    found = Design(model_shape(space.family, [table]), space.baseline.accelerator)
    baseline, ours = (_totals(estimate(design, space.scenario, technology)) for design in (space.baseline, found))
    names = {"delay": "matmul_cycles", "energy": "matmul_energy_mj", "edp": "matmul_edp_cycle_mj"}
    figures: dict[str, object] = {**ours, "published_edp_cycle_mj": PUBLISHED_EDP_CYCLE_MJ}
    for ratio, name in names.items():
        figures[f"{ratio}_ratio"] = baseline[name] / ours[name]
        figures[f"published_{ratio}_ratio"] = PUBLISHED[ratio]
    return figures


def _totals(cost: Cost) -> dict[str, float]:
    """Sum the matmuls of one design, without the vector unit: operations that use the MACs are matmuls."""
    matmul = cost.energy_pj[0, :, ENERGY_LEVELS.index("mac")] > 0  # (O,)
    cycles = float(cost.cycles[0, matmul].sum())
    energy_mj = float(cost.energy_pj[0, matmul].sum()) * 1e-9
    return {"matmul_cycles": cycles, "matmul_energy_mj": energy_mj, "matmul_edp_cycle_mj": cycles * energy_mj}


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
