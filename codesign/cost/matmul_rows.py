"""Rows of text, each a matmul and an accelerator, to rows with their costs.

A row that cannot be costed is flagged with its reason; the others are not affected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from codesign.cost import nest
from codesign.cost.calibration import Calibration
from codesign.cost.matmul import FREE, TENSORS, MatmulCosts, best_mappings
from codesign.cost.matmul_given import GIVEN_MAPPING, cost_given
from codesign.cost import prepare
from codesign.cost.prepare import Buffering, Convention, Fidelity, Objective
from codesign.cost.rows_of_text import Reasons, flag, flag_each, parse_numbers, whole_numbers
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import area_mm2, reference_accelerator
from codesign.design import DATAFLOWS, Accelerator, FloatArray, IntArray
from codesign.errors import InputError

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
WRITTEN = (*RESULTS, "mapping", "feasible", "reason")
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
    """Return the rows (columns of text) with the columns WRITTEN appended.

    Args:
        rows: has the columns REQUIRED; see `matmul_file.estimate_file` for the optional ones.
        technology: what one action costs.
        options: objective, convention, mapping space, fidelity.
        reasons: (rows,) why a row is out already, empty where it is not.

    Raises:
        InputError: the rows cannot be calibrated: the cost model is not.
    """
    calibration = _calibration(technology, options)
    reasons = np.full(len(rows), "", dtype=object) if reasons is None else reasons.copy()
    text = {name: rows[name].fillna("").tolist() for name in rows.columns}
    numbers = {name: whole_numbers(text[name], name, reasons) for name in REQUIRED}
    extents = np.stack([numbers["m"], numbers["k"], numbers["n"]], axis=1)
    accelerator = _accelerator(text, numbers, technology, reasons)
    undeclared = ~np.isin(accelerator.dataflow, [DATAFLOWS.index(name) for name in technology.dataflows])
    flag(reasons, undeclared, f"dataflow: the cost model declares {', '.join(technology.dataflows)} only")
    if set(GIVEN_MAPPING) <= set(text):
        convention = options.convention
        results, mappings = cost_given(text, extents, accelerator, technology, convention, calibration, reasons)
    else:
        results, mappings = _cost_best(extents, accelerator, technology, options, reasons)
    results["edp_pj_cycles"] = results["energy_pj"] * results["cycles"]
    results["area_mm2"] = area_mm2(technology, accelerator)
    feasible = reasons == ""
    table = rows.copy()
    for name in RESULTS:
        table[name] = np.where(feasible, results[name], np.nan)
    table["mapping"] = np.where(feasible, mappings, "")
    table["feasible"] = np.where(feasible, "true", "false")
    table["reason"] = reasons
    if calibration is not None:
        ratios = (calibration.low_ratio.value, calibration.high_ratio.value)
        for name, ratio in zip(UNCERTAINTY, ratios, strict=True):
            table[name] = table["cycles"] * ratio
    return table


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


def _accelerator(
    text: dict[str, list[str]], numbers: dict[str, IntArray], technology: Technology, reasons: Reasons
) -> Accelerator:
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
    return results, _mapping_texts(extents, accelerator, costs)


def _mapping_texts(extents: IntArray, accelerator: Accelerator, costs: MatmulCosts) -> list[str]:
    """Return each mapping as text: DRAM loops outermost first, tiles, what is kept in parts, what lies on the array."""
    trips = -(-extents // np.maximum(costs.tiles, 1))  # (rows, 3)
    columns = (trips, costs.tiles, costs.outermost, costs.innermost, costs.part)
    arrays = (accelerator.dataflow, accelerator.pe_rows, accelerator.pe_cols)
    return [_mapping_text(*row) for row in zip(*(column.tolist() for column in (*columns, *arrays)), strict=True)]


def _mapping_text(
    trips: list[int], tile: list[int], outermost: int, innermost: int, part: int, dataflow: int, rows: int, columns: int
) -> str:
    last = FREE[outermost]  # its loop is innermost: what it does not index stays
    loops = " ".join(f"{nest.DIMENSIONS[d]}{trips[d]}" for d in (*(d for d in range(3) if d != last), last) if trips[d] > 1)
    on_rows = "K" if DATAFLOWS[dataflow] == "weight_stationary" else "M"
    text = f"dram {loops or '-'} | tile M{tile[0]} K{tile[1]} N{tile[2]} | array {on_rows}{rows} N{columns}"
    cut = FREE[3 - outermost - innermost]
    if innermost == outermost or part == tile[cut]:
        return text
    return f"{text} | {TENSORS[innermost]} in parts of {nest.DIMENSIONS[cut]}{part}"
