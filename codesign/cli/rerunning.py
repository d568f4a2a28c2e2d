"""Verbs about doing nothing twice: recost, cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.options import AsJson, Cache, CostModel, Fidelity, RunDirectory, app, print_json


@app.command(epilog="Example: codesign recost runs/reference edgebert_12nm --run runs/reference-12nm")
def recost(
    run: RunDirectory,
    cost: CostModel,
    to: Annotated[str, typer.Option("--run", help="New directory for the run.")],
    scenario: Annotated[Path | None, typer.Option(help="A .toml file whose [scenario] replaces the run's.")] = None,
    fidelity: Annotated[
        Fidelity | None, typer.Option(help="Of time: ideal or calibrated [default: the run's].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Cost the designs of a run under another cost model; their quality is taken over, nothing is measured."""
    from codesign import recosting, terminal
    from codesign.tables import front_record
    from codesign.terminal.fronts import print_run

    found = recosting.recost(run, cost, directory=to, scenario=scenario, fidelity=fidelity.value if fidelity else None)
    if as_json:
        print_json(front_record([(found, found.front_ids())]))
    else:
        print_run(found)
        terminal.out.print(f"run {found.directory}")


@app.command(epilog="Example: codesign cache")
def cache(
    cache: Cache = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all answers.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show where the answers of dear proxies are kept, and how many of each."""
    from codesign.accuracy.answers import kept_in
    from codesign.accuracy.cache import cache_directory

    place = cache_directory(cache)
    kept = [] if place is None else kept_in(place)
    if clear:
        for one in kept:
            one.path.unlink()
    if as_json:
        entries = [{"proxy": one.header.name, "answers": one.answers, "bytes": one.bytes, "file": one.path.name}
                   for one in kept]  # fmt: skip
        print_json({"format": 1, "directory": None if place is None else str(place), "cleared": clear, "kept": entries})
        return
    typer.echo("no cache" if place is None else f"{place}{' (cleared)' if clear else ''}")
    for one in kept:
        typer.echo(f"  {one.header.name:<40} {one.answers:>9,} answers  {one.bytes / 1e6:>9.1f} MB  {one.path.name}")
