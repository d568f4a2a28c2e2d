"""Verbs about what is there: export, show, list, bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.options import AsJson, RunDirectory, app, print_json


@app.command(epilog="Example: codesign export runs/reference --pick knee --format huggingface,json --to chosen/")
def export(
    run: RunDirectory,
    to: Annotated[Path, typer.Option(help="Directory to write into.")],
    pick: Annotated[str, typer.Option(help="knee, an id, or 'min COLUMN where CONDITION'.")] = "knee",
    formats: Annotated[str, typer.Option("--format", help="Comma-separated formats.")] = "json",
) -> None:
    """Write one design of a run in the words of other tools."""
    from codesign.picks import export_pick
    from codesign.run import open_run

    for path in export_pick(open_run(run), pick, formats.split(","), to):
        typer.echo(path)


@app.command(epilog="Example: codesign show survey_lm > mine.toml")
def show(name: Annotated[str, typer.Argument(help="A shipped search space, cost model or recipe.")]) -> None:
    """Print a shipped file, to read or to make your own from."""
    from codesign.shipped import shipped_text

    typer.echo(shipped_text(name), nl=False)


@app.command("list", epilog="Example: codesign list --json")
def list_(as_json: AsJson = False) -> None:
    """List what is shipped: search spaces, cost models, recipes, proxies, algorithms, export formats, benchmarks."""
    from codesign.shipped import catalogue

    if as_json:
        print_json(catalogue())
        return
    for kind, entries in catalogue().items():
        typer.echo(f"{kind}:")
        for name, description in entries.items():
            typer.echo(f"  {name:<22}{description}")


@app.command(epilog="Example: codesign bench surrogate --data ../shared/data")
def bench(
    name: Annotated[str, typer.Argument(help="What to measure; an unknown name lists the known ones.")],
    table: Annotated[
        Path | None, typer.Argument(help="surrogate: one table of trained nets, instead of --data.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Directory of the reference data.")] = None,
    train_size: Annotated[int | None, typer.Option(help="surrogate: fit to so many nets of the table.")] = None,
    write: Annotated[bool, typer.Option(help="surrogate: also write the fits into the package.")] = False,
    large: Annotated[bool, typer.Option(help="cost_speed: a million designs too.")] = False,
    scalesim_python: Annotated[
        Path | None, typer.Option(help="cost_speed: interpreter of an environment with SCALE-Sim (numpy < 2).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure against reference data and print named figures."""
    from codesign.bench import BenchOptions, run_bench

    options = BenchOptions(write, large, scalesim_python, table, train_size)
    figures = run_bench(name, data, options)
    if as_json:
        print_json({"format": 1, "bench": name, "figures": figures})
        return
    for record in figures:
        typer.echo("  ".join(f"{k}={v:.5g}" if isinstance(v, float) else f"{k}={v}" for k, v in record.items()))
