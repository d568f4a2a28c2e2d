"""Verbs that make something of runs: fit, report."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.options import AsJson, app, print_json


class FitColumns(StrEnum):
    """What a fitted surrogate reads; see `codesign.fitting`."""

    auto = "auto"
    sizes = "sizes"
    genes = "genes"


class FitMethod(StrEnum):
    """What is fitted; see `codesign.accuracy.fitted`."""

    auto = "auto"
    gp = "gp"
    ridge = "ridge"
    quadratic = "quadratic"
    mlp = "mlp"


@app.command(epilog="Example: codesign fit measured-run -o surrogate.npz")
def fit(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs of one search space.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .npz file to write.")],
    columns: Annotated[
        FitColumns, typer.Option(help="What is read of a shape: sizes, or these and the space's genes.")
    ] = FitColumns.auto,
    method: Annotated[
        FitMethod, typer.Option(help="What is fitted; see docs/accuracy.md, Surrogates.")
    ] = FitMethod.auto,
    as_json: AsJson = False,
) -> None:
    """Fit a surrogate to the shapes that runs have measured; --proxy fitted:FILE then predicts by it."""
    from codesign import fitting
    from codesign.members import all_members
    from codesign.run import open_run

    outcome = fitting.fit_runs([open_run(run) for run in all_members(runs)], output, method.value, columns.value)
    if as_json:
        print_json(fitting.record(outcome))
    else:
        for line in fitting.lines(outcome, output):
            typer.echo(line)


@app.command(epilog="Example: codesign report runs/reference -o report.html")
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Directories or URLs of runs.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The page to write.")] = Path("report.html"),
) -> None:
    """Write one interactive HTML page about runs; it needs no network."""
    from codesign.members import all_members
    from codesign.report import write_report
    from codesign.run import open_run

    typer.echo(write_report([open_run(run) for run in all_members(runs)], output))
