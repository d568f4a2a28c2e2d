"""Rows of text, each a matmul and an accelerator, to rows with their costs.

A row that cannot be costed is flagged with its reason; the others are not affected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from codesign.cost import prepare
from codesign.cost.bounds import matmul_bounds
from codesign.cost.calibration import Calibration
from codesign.cost.mapping_text import mapping_texts
from codesign.cost.matmul import best_mappings
from codesign.cost.matmul_given import GIVEN_MAPPING, cost_given
from codesign.cost.prepare import Buffering, Convention, Fidelity, Objective
from codesign.cost.rows_of_text import Reasons, flag, flag_each, parse_numbers, whole_numbers
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import area_mm2, reference_accelerator
from codesign.design import DATAFLOWS, Accelerator, FloatArray, IntArray
from codesign.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, list[str]]
Column = FloatArray | list[str]

REQUIRED = ("m", "k", "n", "pe_rows", "pe_cols", "scratchpad_bytes", "accumulator_bytes")
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
BANDWIDTHS = (1e-9, 1e12)
"""The least and largest DRAM bandwidth (bytes a cycle), so that no cost leaves the range of numbers."""
OVER_BOUND = ("cycles_over_bound", "energy_over_bound")
"""Costs over what no mapping of these sizes on this accelerator can beat (`bounds`)."""
WRITTEN = (*RESULTS, "mapping", "feasible", "reason", *OVER_BOUND)
UNCERTAINTY = ("cycles_low", "cycles_high")
"""Written too, last, where cycles are calibrated: 10th and 90th percentile of what RTL may take."""


@dataclass(frozen=True)
class Options:
    """How rows are costed."""

    objective: Objective = "edp"
    convention: Convention = "timeloop"
    perfect_factors: bool = False
    fidelity: Fidelity = "ideal"
    buffering: Buffering | None = None

    @property
    def search(self) -> dict[str, object]:
        """What has no effect on a given mapping, by the name of its option, where it is not the default."""
        chosen = {
            "--objective": (self.objective, "edp"),
            "--perfect-factors": (self.perfect_factors, False),
            "--buffering": (self.buffering, None),
        }
        return {name: value for name, (value, default) in chosen.items() if value != default}


def cost_rows(
    rows: pd.DataFrame, technology: Technology, options: Options, reasons: Reasons | None = None
) -> pd.DataFrame:
    """Return the rows (columns of text) with what `cost_columns` adds, NaN where there is no number.

    Args:
        rows: has the columns REQUIRED; see `matmul_file.estimate_file` for the optional ones.
        technology: what one action costs.
        options: objective, convention, mapping space, fidelity.
        reasons: (rows,) why a row is out already, empty where it is not.

    Raises:
        InputError: the rows cannot be calibrated: the cost model is not.
    """
    reasons = np.full(len(rows), "", dtype=object) if reasons is None else reasons
    text = {name: rows[name].fillna("").tolist() for name in rows.columns}
    table = rows.copy()
    for name, column in cost_columns(text, technology, options, reasons).items():
        table[name] = column
    return table


def cost_columns(text: Columns, technology: Technology, options: Options, reasons: Reasons) -> dict[str, Column]:
    """Return the columns WRITTEN, and UNCERTAINTY if calibrated, of rows that are columns of text.

    Numbers are NaN, and mappings empty, where a row is not feasible. Arguments and errors: see `cost_rows`.
    """
    calibration = _calibration(technology, options)
    reasons = reasons.copy()
    unified = technology.accumulator is None
    least = {name: 0 if unified and name == "accumulator_bytes" else 1 for name in REQUIRED}
    numbers = {name: whole_numbers(text[name], name, reasons, least[name]) for name in REQUIRED}
    extents = np.stack([numbers["m"], numbers["k"], numbers["n"]], axis=1)
    accelerator = _accelerator(text, numbers, technology, reasons)
    undeclared = ~np.isin(accelerator.dataflow, [DATAFLOWS.index(name) for name in technology.dataflows])
    flag(reasons, undeclared, f"dataflow: the cost model declares {', '.join(technology.dataflows)} only")
    if unified:
        flag(reasons, accelerator.accumulator_bytes > 0, "accumulator_bytes: expected 0, outputs are in the scratchpad")
    if set(GIVEN_MAPPING) <= set(text):
        convention = options.convention
        results, mappings = cost_given(text, extents, accelerator, technology, convention, calibration, reasons)
    else:
        results, mappings = _cost_best(extents, accelerator, technology, options, reasons)
    results["edp_pj_cycles"] = results["energy_pj"] * results["cycles"]
    results["area_mm2"] = area_mm2(technology, accelerator)
    feasible = np.asarray(reasons == "", dtype=bool)
    columns: dict[str, Column] = {name: np.where(feasible, results[name], np.nan) for name in RESULTS}
    columns["mapping"] = [text if fits else "" for text, fits in zip(mappings, feasible.tolist(), strict=True)]
    columns["feasible"] = ["true" if fits else "false" for fits in feasible.tolist()]
    columns["reason"] = reasons.tolist()
    bounds = matmul_bounds(extents, accelerator, technology, convention=options.convention)
    for name, cost, bound in zip(OVER_BOUND, ("cycles", "energy_pj"), (bounds.cycles, bounds.energy_pj), strict=True):
        empty = np.full(len(reasons), np.nan)
        columns[name] = np.divide(results[cost], bound, out=empty, where=feasible & (bound > 0))
    if calibration is not None:
        cycles = np.where(feasible, results["cycles"], np.nan)
        for name, ratio in zip(UNCERTAINTY, (calibration.low_ratio, calibration.high_ratio), strict=True):
            columns[name] = cycles * ratio.value
    return columns


def _calibration(technology: Technology, options: Options) -> Calibration | None:
    """Return what to add to ideal cycles, if anything."""
    if options.fidelity == "ideal":
        return None
    if technology.calibration is None:
        raise InputError(
            f"fidelity calibrated: expected a cost model with a table [calibration], got {technology.description!r}; "
            "use --fidelity ideal"
        )
    return technology.calibration


def _accelerator(text: Columns, numbers: dict[str, IntArray], technology: Technology, reasons: Reasons) -> Accelerator:
    reference = reference_accelerator(technology, len(reasons))
    dataflow, bandwidth = reference.dataflow, reference.dram_bytes_per_cycle
    if "dataflow" in text:
        names = text["dataflow"]
        dataflow = np.array([DATAFLOW_NAMES.get(name, -1) for name in names], dtype=np.int64)
        flag_each(reasons, dataflow < 0, lambda row: f"dataflow: expected ws or os, got {names[row]!r}")
        dataflow = np.maximum(dataflow, 0)
    if "dram_bytes_per_cycle" in text:
        rates = text["dram_bytes_per_cycle"]
        bandwidth = parse_numbers(rates)
        good = (bandwidth >= BANDWIDTHS[0]) & (bandwidth <= BANDWIDTHS[1])
        expected = f"dram_bytes_per_cycle: expected a number of {BANDWIDTHS[0]:g} to {BANDWIDTHS[1]:g}"
        flag_each(reasons, ~good, lambda row: f"{expected}, got {rates[row]!r}")
        bandwidth = np.where(good, bandwidth, 1.0)
    return Accelerator(
        pe_rows=numbers["pe_rows"],
        pe_cols=numbers["pe_cols"],
        dataflow=dataflow,
        scratchpad_bytes=numbers["scratchpad_bytes"],
        accumulator_bytes=numbers["accumulator_bytes"],
        dram_bytes_per_cycle=bandwidth,
        vector_lanes=reference.vector_lanes,
    )


def _cost_best(
    extents: IntArray,
    accelerator: Accelerator,
    technology: Technology,
    options: Options,
    reasons: Reasons,
) -> tuple[dict[str, FloatArray], list[str]]:
    mapping_options = prepare.Options(
        objective=options.objective,
        convention=options.convention,
        perfect_factors=options.perfect_factors,
        fidelity=options.fidelity,
        buffering=options.buffering,
    )
    costs = best_mappings(extents, accelerator, technology, mapping_options)
    flag(reasons, ~costs.feasible, "no tile fits into scratchpad and accumulator")
    results = {
        "cycles": costs.cycles,
        "energy_pj": costs.total_energy_pj,
        "dram_bytes": costs.dram_bytes,
        "scratchpad_accesses": costs.scratchpad_words,
        "accumulator_accesses": costs.accumulator_words,
    }
    return results, mapping_texts(extents, accelerator, costs)
