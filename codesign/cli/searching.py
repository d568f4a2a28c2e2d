"""Verbs that search: search, resume, front."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codesign.cli.options import (
    AsJson,
    AtOnce,
    Cache,
    CostModel,
    Fidelity,
    Gpus,
    Ray,
    RunDirectory,
    Space,
    TimeFidelity,
    Workers,
    app,
    print_json,
)
from codesign.errors import InputError

if TYPE_CHECKING:
    from codesign.run import Run


class Order(StrEnum):
    """In which order designs are recorded; see `codesign.optimize.loop.search`."""

    ordered = "ordered"
    unordered = "async"


@app.command(epilog="Example: codesign search survey_lm gemmini_40nm --budget 5000 --seed 1")
def search(
    space: Space,
    cost: CostModel,
    proxy: Annotated[
        str | None, typer.Option(help="Accuracy proxy: a name or module:function [default: the space's].")
    ] = None,
    screen: Annotated[
        str | None, typer.Option(help="What picks designs to measure: fitted, a cheap proxy, none [default: space's].")
    ] = None,
    scenario: Annotated[Path | None, typer.Option(help="A .toml file whose [scenario] replaces the space's.")] = None,
    fidelity: TimeFidelity = Fidelity.ideal,
    algorithm: Annotated[str, typer.Option(help="Search algorithm; see codesign list.")] = "bilevel",
    budget: Annotated[
        int | None, typer.Option(help="Distinct designs to evaluate [default: 1000; others than bilevel: 10000].")
    ] = None,
    population: Annotated[
        int | None, typer.Option(help="Designs of the first sample and of a generation [default: 100; survey: 40].")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Designs asked for at once [default: the population; bilevel: few at first].")
    ] = None,
    seed: Annotated[int, typer.Option(help="The search is a function of its inputs and this number.")] = 0,
    seeds: Annotated[
        int | None, typer.Option(help="So many searches, of --seed and the next ones, into --run DIR; one joint front.")
    ] = None,
    at_once: AtOnce = 1,
    patience: Annotated[
        int | None, typer.Option(help="Stop when the hypervolume hardly grows over so many evaluations.")
    ] = None,
    plateau: Annotated[float | None, typer.Option(help="Hardly: by less than this share [default: 0.001].")] = None,
    warm_start: Annotated[
        list[str] | None, typer.Option(help="An earlier run, whose best designs are evaluated first; repeatable.")
    ] = None,
    order: Annotated[
        Order, typer.Option(help="ordered: recorded as asked; async: as qualities come, slow ones hold nobody up.")
    ] = Order.ordered,
    run: Annotated[
        str | None, typer.Option(help="New directory, or s3://... for the run [default: runs/SPACE-COST-NNN].")
    ] = None,
    cache: Cache = None,
    workers: Workers = None,
    ray: Ray = None,
    gpus: Gpus = 0.0,
    as_json: AsJson = False,
) -> None:
    """Search a space under a cost model; record the run, print its front, write its report."""
    from codesign import terminal
    from codesign.interruption import interruptible
    from codesign.optimize import loop
    from codesign.optimize import seeds as several
    from codesign.optimize.pools import Where

    if seeds is None and at_once != 1:
        raise InputError("--at-once: expected with --seeds, which says how many searches there are")
    options: dict[str, Any] = {
        "proxy": proxy,
        "screen": screen,
        "scenario": scenario,
        "fidelity": fidelity.value,
        "algorithm": algorithm,
        "budget": budget,
        "population": population,
        "batch": batch,
        "seed": seed,
        "patience": patience,
        "plateau": plateau,
        "warm_start": warm_start or (),
        "directory": run,
        "cache": cache,
        "where": Where(ray, workers, gpus),
        "order": order.value,
    }
    with terminal.search_progress() as (watch, notice):
        found = interruptible(
            lambda keep: (
                [loop.search(space, cost, watch=keep(watch), notice=notice, **options)]
                if seeds is None
                else several.search(space, cost, seeds, watch=keep(watch), at_once=at_once, notice=notice, **options)
            ),
            None if seeds is None else run,
        )
    _finish(found, as_json)


@app.command(epilog="Example: codesign resume runs/survey_lm-gemmini_40nm-001 --budget 20000")
def resume(
    run: RunDirectory,
    budget: Annotated[int | None, typer.Option(help="Extend the run to this many evaluations.")] = None,
    patience: Annotated[int | None, typer.Option(help="Another patience; 0 = until the budget is used.")] = None,
    plateau: Annotated[float | None, typer.Option(help="Another plateau.")] = None,
    fork: Annotated[
        str | None, typer.Option(help="New run that takes over the evaluations and goes on under today's code.")
    ] = None,
    at_once: AtOnce = 1,
    cache: Cache = None,
    workers: Workers = None,
    ray: Ray = None,
    gpus: Gpus = 0.0,
    as_json: AsJson = False,
) -> None:
    """Continue an interrupted run, or extend a finished one; the record is that of an undisturbed search."""
    from codesign import terminal
    from codesign.interruption import interruptible
    from codesign.members import members
    from codesign.optimize import seeds as several
    from codesign.optimize.pools import Where

    places = members(run)
    if at_once != 1 and len(places) == 1:
        raise InputError("--at-once: expected with a directory of several runs")
    if fork is not None and len(places) > 1:
        raise InputError(f"{run}: --fork: expected one run, got {len(places)}; fork them one by one")
    options: dict[str, Any] = {
        "budget": budget,
        "patience": patience,
        "plateau": plateau,
        "fork": fork,
        "cache": cache,
        "where": Where(ray, workers, gpus),
    }
    with terminal.search_progress() as (watch, notice):
        found = interruptible(
            lambda keep: several.resume(places, watch=keep(watch), at_once=at_once, notice=notice, **options),
            run if len(places) > 1 else None,
        )
    _finish(found, as_json)


@app.command(epilog="Example: codesign front runs/reference --where 'area_mm2 < 1 and perplexity <= baseline * 1.045'")
def front(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs; several give one front; RUN#ID = one design.")
    ],
    where: Annotated[str | None, typer.Option(help="Keep front designs that fulfil a condition on columns.")] = None,
    pick: Annotated[
        str | None,
        typer.Option(help="One design: knee, an id, or 'min COLUMN where CONDITION' (all feasible)."),
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Print the Pareto front of a run, some of it, or one design; or the joint front of several runs."""
    from codesign import terminal
    from codesign.members import all_members
    from codesign.picks import caveat, choose, picked
    from codesign.run import open_run
    from codesign.tables import front_record, front_table
    from codesign.terminal.fronts import designs_table, print_fronts

    if as_json and as_csv:
        raise InputError("--json and --csv: expected one of them")
    named = [picked(run, pick) for run in runs]
    places = all_members([run for run, _ in named])
    if any(wish != pick for _, wish in named):
        if len(places) > 1 or where is not None:
            raise InputError(f"{', '.join(runs)}: expected RUN#ID alone: of one run, and without --where")
        pick = named[0][1]
    opened = [open_run(run) for run in places]
    for run in opened:
        terminal.say(caveat(run, where, pick))
    chosen = choose(opened, where, pick)
    if as_json:
        print_json(front_record(chosen))
    elif as_csv:
        typer.echo(front_table(chosen).to_csv(), nl=False)
    elif where is None and pick is None:
        print_fronts(chosen)
    elif any(len(ids) for _, ids in chosen):
        terminal.out.print(designs_table(chosen))
    else:
        terminal.out.print(f"no design of the front fulfils {where!r}")


def _finish(found: list[Run], as_json: bool) -> None:
    from codesign import terminal
    from codesign.picks import joint_front
    from codesign.remote.copies import shown
    from codesign.report import write_report
    from codesign.tables import front_record
    from codesign.terminal.fronts import print_fronts

    alone, chosen = len(found) == 1, joint_front(found)
    if as_json:
        print_json(front_record(chosen))
    else:
        print_fronts(chosen)
    directory = found[0].directory if alone else found[0].directory.parent
    page = write_report(found, directory / "report.html")
    if not as_json:
        terminal.out.print(f"run {shown(directory)}   report {page}")
