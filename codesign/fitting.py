"""`codesign fit`: a surrogate fitted to what runs have measured, in a file that `--proxy fitted:FILE` reads."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from codesign.accuracy.fitted import Fitted, Method, fit
from codesign.accuracy.fitted_features import features_of
from codesign.accuracy.fitted_file import GeneColumns, Measured, save
from codesign.accuracy.fitted_genes import model_genes
from codesign.accuracy.memory import Remembering
from codesign.comparison import check_comparable
from codesign.design import FloatArray, ModelShape
from codesign.errors import InputError
from codesign.genes import Gene
from codesign.run import Run
from codesign.space import SearchSpace

ColumnsName = Literal["sizes", "genes"]
Columns = Literal["sizes", "genes", "auto"]
COLUMNS: tuple[Columns, ...] = ("sizes", "genes", "auto")

GENE_ROWS = 200
"""Measured shapes from which auto tries genes. Of fewer random shapes of sotu_lm, neither columns ranked others better
with supernet losses, and which did by chance, held-out errors did not tell; from 300 on genes ranked better."""


@dataclass(frozen=True)
class Outcome:
    """What was written."""

    columns: ColumnsName
    fitted: Fitted
    tried: dict[ColumnsName, Fitted]
    """All columns that were fitted: the ones above have the smallest held-out error of these."""


def fit_runs(runs: Sequence[Run], path: Path, method: Method = "auto", columns: Columns = "auto") -> Outcome:
    """Fit a surrogate to the distinct shapes that runs of one space have measured, and write it.

    The quality is that of the search, the same text for all shapes, not that of the full budget.

    Args:
        runs: with the same search space, proxy and scenario.
        path: of the .npz file; one that is there is replaced.
        method: see `codesign.accuracy.fitted`.
        columns: sizes and layout; these and the genes of the space, which then only proxies of spaces with these genes
            can be; or auto: sizes, but from GENE_ROWS shapes whichever has the smaller held-out error.

    Raises:
        InputError: runs that do not compare or are of several spaces, too few shapes, an unknown name of columns, or
            genes where the space has none of a model of one stack; nothing is written.
    """
    if columns not in COLUMNS:
        raise InputError(f"fit: unknown columns {columns!r}; known: {', '.join(COLUMNS)}")
    space = _only_space(runs)
    genomes = np.concatenate([run.evaluations.genomes for run in runs])
    values = np.concatenate([run.evaluations.metrics[run.manifest.quality] for run in runs])
    shapes: ModelShape = space.decode(genomes).shape
    first = Remembering(runs[0].proxy).first_rows(shapes)
    outcome = _fitted(space, shapes.take(first), np.log(values[first]), method, columns)
    save(outcome.fitted, path, _measured(space, runs[0].manifest.quality, outcome.columns))
    return outcome


def _only_space(runs: Sequence[Run]) -> SearchSpace:
    check_comparable(runs)
    for run in runs[1:]:
        if run.manifest.space.sha256 != runs[0].manifest.space.sha256:
            raise InputError(f"{run.directory}: search space: expected that of {runs[0].directory}, got another")
    return runs[0].space


def _fitted(space: SearchSpace, shapes: ModelShape, logs: FloatArray, method: Method, columns: Columns) -> Outcome:
    wanted: dict[ColumnsName, tuple[Gene, ...]] = {}
    if columns != "genes":
        wanted["sizes"] = ()
    if columns == "genes":
        wanted["genes"] = model_genes(space)
    elif columns == "auto" and len(shapes) >= GENE_ROWS:
        with suppress(InputError):  # genes that cannot be columns are no choice
            wanted["genes"] = model_genes(space)
    tried = {name: fit(features_of(shapes, genes), logs, method) for name, genes in wanted.items()}
    best = min(tried, key=lambda name: tried[name].held_out.rms)
    return Outcome(best, tried[best], tried)


def _measured(space: SearchSpace, metric: str, columns: ColumnsName) -> Measured:
    choices = space.choices()
    varied = tuple(name for name, values in choices.items() if len(values) > 1)
    if columns == "sizes":
        return Measured(metric=metric, family=space.family, varied=varied)
    genes = tuple(GeneColumns(field=gene.field, layer=gene.layer, values=gene.values) for gene in model_genes(space))
    return Measured(metric=metric, family=space.family, varied=varied, space=space.name, genes=genes, choices=choices)


def record(outcome: Outcome) -> dict[str, Any]:
    """Return what was fitted as plain data; errors are root mean squares of ln(quality) of held-out shapes."""
    fitted = outcome.fitted
    return {
        "format": 1,
        "rows": fitted.rows,
        "columns": outcome.columns,
        "method": fitted.method,
        "held_out_rms": fitted.held_out.rms,
        "covered_80": fitted.held_out.covered_80,
        "tried": [{"columns": name, "method": one.method, "held_out_rms": one.held_out.rms}
                  for name, one in outcome.tried.items()],
    }  # fmt: skip


def lines(outcome: Outcome, path: Path) -> list[str]:
    """Return what was fitted as text."""
    fitted = outcome.fitted
    others = [f"not taken: {name}, {one.method}: held-out error {one.held_out.rms:.2%}"
              for name, one in outcome.tried.items() if name != outcome.columns]  # fmt: skip
    return [
        f"{fitted.rows} shapes, {outcome.columns}, {fitted.method}: held-out error {fitted.held_out.rms:.2%} (rms), "
        f"{fitted.held_out.covered_80:.0%} inside the 80 % interval",
        *others,
        f"use it with: --proxy fitted:{path}",
    ]
