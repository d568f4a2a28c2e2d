"""Choose designs of a run by a wish, and export the chosen one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from codesign import select
from codesign.design import IntArray
from codesign.export import ExportContext, export
from codesign.run import Run
from codesign.tables import design_record, select_columns


def where_ids(run: Run, condition: str) -> IntArray:
    """Return the ids of the front designs that fulfil a condition."""
    ids = run.front_ids()
    columns, baseline = select_columns(run, ids)
    return np.asarray(ids[select.where(condition, columns, baseline)])


def pick_id(run: Run, wish: str) -> int:
    """Return the id of one design: the knee, any evaluated id, or the best feasible design of a column."""
    every = np.arange(len(run.evaluations))
    ids = every if wish.strip().isdecimal() else every[run.evaluations.feasible]
    columns, baseline = select_columns(run, ids)
    return select.pick(wish, columns, baseline, run.knee)


def export_pick(run: Run, wish: str, formats: list[str], directory: Path) -> list[Path]:
    """Export one design of a run in each of the formats; return the files written."""
    chosen = pick_id(run, wish)
    record, baseline = design_record(run, chosen), design_record(run, 0)
    context = ExportContext(
        scenario=run.space.scenario,
        run=run.name,
        id=str(chosen),
        metrics=record["metrics"],
        intervals={name: (low, high) for name, (low, high) in record["intervals"].items()},
        baseline=baseline["metrics"],
    )
    design = run.space.decode(run.evaluations.genomes[chosen : chosen + 1])
    return export([name.strip() for name in formats], design, context, directory)
