"""Choose designs of a run by a wish, and export the chosen one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codesign import select
from codesign.comparison import check_comparable
from codesign.design import IntArray
from codesign.errors import InputError
from codesign.export import RUN_EXPORTERS, ExportContext, export, write
from codesign.front import non_dominated
from codesign.members import design_address
from codesign.run import Run
from codesign.tables import design_record, select_columns

BEST_ACCELERATORS_ONLY = frozenset({"bilevel"})
"""Algorithms that evaluate a shape on no other accelerators."""

Choice = tuple[Run, IntArray]
"""Designs of one run by their ids."""


def joint_front(runs: Sequence[Run]) -> list[Choice]:
    """Return the designs that no design of any of the runs beats, run by run; of one run, its front.

    Raises:
        InputError: runs whose figures do not compare.
    """
    check_comparable(runs)
    fronts = [run.front_ids() for run in runs]
    values = [run.judged.objectives(run.space.objectives)[ids] for run, ids in zip(runs, fronts, strict=True)]
    best = non_dominated(np.concatenate(values))
    starts = np.cumsum([0, *map(len, fronts)])
    return [(run, ids[best[a:b]]) for run, ids, a, b in zip(runs, fronts, starts, starts[1:], strict=False)]


def picked(address: str, wish: str | None) -> tuple[str, str | None]:
    """Split RUN#ID into the run and the wish for that design; any other address stays as it is, with its wish.

    Raises:
        InputError: an id and a wish.
    """
    named = design_address(address)
    if named is not None and wish is not None:
        raise InputError(f"{address}: --pick: expected none beside an id, got {wish!r}")
    return named or (address, wish)


def choose(runs: Sequence[Run], condition: str | None, wish: str | None) -> list[Choice]:
    """Return what `codesign front` shows: the front, those of it that fulfil a condition, or one design.

    Raises:
        InputError: a condition and a wish at once, a wish over several runs, or a run without evaluations.
    """
    for run in runs:
        _require_evaluations(run)
    if wish is None:
        front = joint_front(runs)
        return front if condition is None else [(run, where_ids(run, condition, ids)) for run, ids in front]
    if condition is not None:
        raise InputError(
            "--where and --pick: expected one of them; a pick has its own: 'min edp_js where area_mm2 < 4'"
        )
    if len(runs) > 1:
        raise InputError(f"--pick: expected one run to pick from, got {len(runs)}")
    return [(runs[0], np.array([pick_id(runs[0], wish)]))]


def caveat(run: Run, *texts: str | None) -> str:
    """Return what to say to a condition or wish that a record cannot answer in full; empty if it can.

    The default algorithm records of each shape only the accelerators that are best in the objectives within the limits,
    so a better design by another cost, or on an accelerator of one's own choice, is likely not in the record.
    """
    if run.manifest.algorithm not in BEST_ACCELERATORS_ONLY:
        return ""
    words = {word for text in texts if text for word in re.findall(r"[A-Za-z_]\w*", text)}
    chips = {gene.field for gene in run.space.genes if gene.on_accelerator}
    asked = (words & (run.evaluations.metrics.keys() | chips)) - {*run.space.objectives, *run.space.limits}
    asked.discard(run.manifest.quality)
    if not asked:
        return ""
    return (
        f"{run.name}: {run.manifest.algorithm} records of each shape only the accelerators that are best in "
        f"{', '.join(run.space.objectives)} within the limits, so there may be better designs by "
        f"{', '.join(sorted(asked))}: name that among the objectives or limits of the space, or search with another "
        "algorithm"
    )


def _require_evaluations(run: Run) -> None:
    if not len(run.evaluations):
        raise InputError(
            f"{run.directory}: nothing is evaluated yet; continue it with: codesign resume {run.directory}"
        )


def where_ids(run: Run, condition: str, ids: IntArray) -> IntArray:
    """Return those of the ids whose designs fulfil a condition."""
    columns, baseline = select_columns(run, ids)
    return np.asarray(ids[select.where(condition, columns, baseline)])


def pick_id(run: Run, wish: str) -> int:
    """Return the id of one design: the knee, any evaluated id, or the best feasible design of a column.

    Once the best designs are measured again at the full budget, only they are comparable and picked from.
    """
    _require_evaluations(run)
    every = np.arange(len(run.evaluations))
    ids = every if wish.strip().isdecimal() else every[run.comparable]
    columns, baseline = select_columns(run, ids)
    return select.pick(wish, columns, baseline, run.knee)


def export_run(run: Run, wish: str, formats: list[str], directory: Path) -> list[Path]:
    """Export one design of a run, or all where a format is of runs; return the files written.

    Args:
        run: the run.
        wish: which design, see `pick_id`; formats of runs do not read it.
        formats: names of EXPORTERS and RUN_EXPORTERS.
        directory: where the files are written; one that is refused may leave those of earlier formats.

    Raises:
        CodesignError: see `export`.
    """
    names = [name.strip() for name in formats]
    whole = [RUN_EXPORTERS[name](run) for name in names if name in RUN_EXPORTERS]
    rest = [name for name in names if name not in RUN_EXPORTERS]
    written = export_pick(run, wish, rest, directory) if rest else []
    return written + (write(whole, directory) if whole else [])


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
