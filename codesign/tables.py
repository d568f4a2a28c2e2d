"""Designs of a run as tables and as plain data: what the command line prints and Python users get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from codesign.comparison import names
from codesign.cost.estimate import UNCERTAIN
from codesign.describe import describe_design
from codesign.design import DATAFLOWS, KIB, IntArray
from codesign.front import interval
from codesign.run import Run

FORMAT = 1

ACCELERATOR_COLUMNS = (
    "pe_rows",
    "pe_cols",
    "dataflow",
    "scratchpad_kib",
    "accumulator_kib",
    "dram_bytes_per_cycle",
    "vector_lanes",
)


def design_table(run: Run, ids: IntArray) -> pd.DataFrame:
    """Return designs as a table, one row an id.

    Columns: the metrics; the 95 % interval of quality; whether it is extrapolated, measured at the full budget, and
    feasible; the model (per-layer values as text, first layer first); the accelerator.
    """
    evaluations = run.judged
    columns: dict[str, Any] = {name: column[ids] for name, column in evaluations.metrics.items()}
    quality = run.manifest.quality
    low, high = interval(columns[quality], evaluations.log_standard_error[ids])
    columns |= {f"{quality}_low": low, f"{quality}_high": high}
    columns |= {"extrapolated": evaluations.extrapolated[ids], "remeasured": run.remeasured[ids]}
    columns |= {"feasible": evaluations.feasible[ids]}
    design = run.space.decode(evaluations.genomes[ids])
    shape, chip = design.shape, design.accelerator
    columns |= {"layers": shape.layers[:, 0], "hidden": shape.hidden}
    for name, values in shape.layer_columns().items():
        rows = zip(values[:, 0], shape.layers[:, 0], strict=True)
        columns[name] = [" ".join(map(str, row[:depth].tolist())) for row, depth in rows]
    for name in ACCELERATOR_COLUMNS:
        columns[name] = (
            getattr(chip, name.replace("_kib", "_bytes")) / KIB if name.endswith("_kib") else getattr(chip, name)
        )
    columns["dataflow"] = [DATAFLOWS[code] for code in chip.dataflow]
    return pd.DataFrame(columns, index=pd.Index(np.asarray(ids, dtype=np.int64), name="id"))


def select_columns(run: Run, ids: IntArray) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what conditions can name: columns of these designs, and the baseline's values."""
    table = design_table(run, ids)
    columns = {"id": table.index.to_numpy()} | {name: table[name].to_numpy() for name in table.columns}
    baseline = design_table(run, np.array([0]))
    return columns, {name: baseline[name].iloc[0] for name in baseline.columns}


def design_record(run: Run, id_: int) -> dict[str, Any]:
    """Return one design as plain data: id, metrics, intervals, model, accelerator, policy.

    The interval of quality is one of 95 %, those of calibrated time are its 10th and 90th percentile.
    """
    evaluations = run.judged
    metrics = {name: _number(column[id_]) for name, column in evaluations.metrics.items()}
    intervals: dict[str, list[float]] = {}
    error = evaluations.log_standard_error[id_]
    quality = run.manifest.quality
    if np.isfinite(error) and metrics[quality] is not None:
        low, high = interval(evaluations.metrics[quality][id_ : id_ + 1], np.array([error]))
        intervals[quality] = [float(low[0]), float(high[0])]
    if run.delay_ratios is not None:
        known = {name: value for name in UNCERTAIN if (value := metrics[name]) is not None}
        intervals |= {name: [value * ratio for ratio in run.delay_ratios] for name, value in known.items()}
    return {
        "id": id_,
        "metrics": metrics,
        "intervals": intervals,
        "extrapolated": bool(evaluations.extrapolated[id_]),
        "remeasured": bool(run.remeasured[id_]),
        "feasible": bool(evaluations.feasible[id_]),
        **describe_design(run.space.decode(evaluations.genomes[id_ : id_ + 1])),
        "policy": {},
    }


def front_record(chosen: Sequence[tuple[Run, IntArray]]) -> dict[str, Any]:
    """Return designs of runs as the JSON that `codesign front --json` prints; the baseline is the first run's."""
    named = names([run for run, _ in chosen])
    return {
        "format": FORMAT,
        "run": ", ".join(named),
        "fidelity": chosen[0][0].manifest.fidelity,
        "baseline": design_record(chosen[0][0], 0),
        "designs": [
            {"run": name} | design_record(run, int(i)) | {"tied_with": tied}
            for name, (run, ids) in zip(named, chosen, strict=True)
            for i, tied in zip(ids, _tied(run, ids), strict=True)
        ],
    }


def front_table(chosen: Sequence[tuple[Run, IntArray]]) -> pd.DataFrame:
    """Return designs of runs as one table; with several runs the first column names the run.

    After quality comes `tied_with`: ids of the neighbours on the run's own front whose order of quality with this
    design is within noise, "none", or "unknown" where there is no error estimate or the design is not on the front.
    """
    tables = [design_table(run, ids) for run, ids in chosen]
    for table, (run, ids) in zip(tables, chosen, strict=True):
        place = int(table.columns.get_loc(f"{run.manifest.quality}_high")) + 1
        table.insert(place, "tied_with", [tied_text(tied) for tied in _tied(run, ids)])
    if len(tables) == 1:
        return tables[0]
    for table, name in zip(tables, names([run for run, _ in chosen]), strict=True):
        table.insert(0, "run", name)
    return pd.concat(tables)


def full_text(run: Run) -> str:
    """Say how far the front was measured again at the proxy's full budget, and what that changed; empty if not."""
    if run.again is None:
        return ""
    plan, done = run.again.plan, len(run.again.designs)
    if run.full is None:
        of = f"{done} of {len(plan.ids)} designs" if plan.evaluations == len(run.evaluations) else "an earlier front"
        return f"{of} measured again so far, not used yet; continue with: codesign resume {run.directory}"
    before, after = set(run.screened_front_ids().tolist()), set(run.front_ids().tolist())
    return (
        f"{done} designs measured again; of {len(before)} on the front {len(before - after)} left it, and "
        f"{len(after - before)} that noise had hidden joined"
    )


def tied_text(tied: Sequence[int] | None) -> str:
    """Return ids of tied designs as a cell of a table."""
    return "unknown" if tied is None else " ".join(map(str, tied)) or "none"


def _tied(run: Run, ids: IntArray) -> list[list[int] | None]:
    """Return the ids tied with each design; None where that is not known."""
    ties = run.ties() if len(ids) else {}
    return [ties.get(int(i)) for i in ids]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
