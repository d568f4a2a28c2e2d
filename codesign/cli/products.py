"""Verbs about what is there: export, show, list, bench."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codesign.cli.options import AsJson, app, print_json

if TYPE_CHECKING:
    from codesign.bench.study_train import Trainings


@app.command(epilog="Example: codesign export runs/reference --pick knee --format huggingface,json --to chosen/")
def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Directory or URL of a run, or RUN#ID.")],
    to: Annotated[Path, typer.Option(help="Directory to write into.")],
    pick: Annotated[
        str | None, typer.Option(help="knee, an id, or 'min COLUMN where CONDITION' [default: knee].")
    ] = None,
    formats: Annotated[str, typer.Option("--format", help="Comma-separated formats.")] = "json",
) -> None:
    """Write one design of a run, or all of it (optuna), in the words of other tools."""
    from codesign import terminal
    from codesign.picks import caveat, export_run, picked
    from codesign.run import open_run

    address, wish = picked(run, pick)
    opened, wish = open_run(address), wish or "knee"
    terminal.say(caveat(opened, wish))
    for path in export_run(opened, wish, formats.split(","), to):
        typer.echo(path)


@app.command(epilog="Example: codesign show survey_lm > mine.toml")
def show(name: Annotated[str, typer.Argument(help="A shipped search space, cost model or recipe.")]) -> None:
    """Print a shipped file, to read or to make your own from."""
    from codesign.shipped import shipped_text

    typer.echo(shipped_text(name), nl=False)


@app.command("list", epilog="Example: codesign list --json")
def list_(as_json: AsJson = False) -> None:
    """List what is shipped: search spaces, cost models, which of them fit, recipes, proxies, algorithms, and more."""
    from codesign.shipped import catalogue

    if as_json:
        print_json(catalogue())
        return
    for kind, entries in catalogue().items():
        typer.echo(f"{kind}:")
        width = max(map(len, entries)) + 2
        for name, description in entries.items():
            typer.echo(f"  {name:<{width}}{description}")


TrainTo = Annotated[
    Path | None, typer.Option(help="proxies: train the networks of the study, one line in this directory each.")
]
StudySpace = Annotated[
    str | None, typer.Option(help="proxies [default: sotu_lm], search [default: sotu_grid]: name or .toml file.")
]
StudyRecipe = Annotated[str, typer.Option(help="With --train-to: recipe, a shipped name or a .toml file.")]


def _trainings(directory: Path, space: str, recipe: str, numbers: tuple[int, int, int], part: str) -> Trainings:
    """Return what --train-to and its options ask for; `numbers` are count, repeats, and seed."""
    from codesign.training.process import one_thread_an_operation, yield_waiting_threads

    yield_waiting_threads()
    one_thread_an_operation()  # several processes share the cores, and the networks are small
    from codesign.bench.study_train import Trainings, part_of

    return Trainings(directory, space, recipe, *numbers, part_of(part), report=lambda line: typer.echo(line, err=True))


@app.command(epilog="Example: codesign bench surrogate --data ../shared/data")
def bench(
    name: Annotated[str, typer.Argument(help="What to measure; an unknown name lists the known ones.")],
    table: Annotated[
        Path | None,
        typer.Argument(
            help="surrogate: a table of nets, instead of --data; proxies: those of the study; supernet: a run."
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Directory of the reference data.")] = None,
    train_size: Annotated[int | None, typer.Option(help="surrogate: fit to so many nets of the table.")] = None,
    write: Annotated[bool, typer.Option(help="surrogate: also write the fits into the package.")] = False,
    large: Annotated[bool, typer.Option(help="cost_speed: a million designs too.")] = False,
    scalesim_python: Annotated[
        Path | None, typer.Option(help="cost_speed: interpreter of an environment with SCALE-Sim (numpy < 2).")
    ] = None,
    train_to: TrainTo = None,
    space: StudySpace = None,
    recipe: StudyRecipe = "sotu_study",
    count: Annotated[int, typer.Option(help="With --train-to: networks.", min=1)] = 24,
    repeats: Annotated[int, typer.Option(help="With --train-to: more trainings of these, other seeds.", min=0)] = 3,
    seed: Annotated[int, typer.Option(help="With --train-to: of which networks are drawn.")] = 0,
    part: Annotated[str, typer.Option(help="With --train-to: K/N, the K-th (from 0) of N processes.")] = "0/1",
    figures_to: Annotated[
        Path | None, typer.Option(help="proxies, search: also write tables and figures into this directory.")
    ] = None,
    network: Annotated[
        list[Path] | None, typer.Option(help="answers, proxies, supernet: also judge this network; may be given again.")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="record: evaluations of the record [default: 1000000].")] = None,
    seeds: Annotated[int | None, typer.Option(help="search: searches in each way [default: 10].")] = None,
    way: Annotated[
        list[str] | None, typer.Option(help="search: compare this algorithm or way only; may be given again.")
    ] = None,
    measure_to: Annotated[
        Path | None, typer.Option(help="search: measure every shape of the space into this table, instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure against reference data and print named figures."""
    from codesign.bench import BenchOptions, run_bench

    asked = None if train_to is None else _trainings(train_to, space or "sotu_lm", recipe, (count, repeats, seed), part)
    judged, compared = tuple(network or ()), tuple(way or ())
    options = BenchOptions(
        *(write, large, scalesim_python, table, train_size, asked, space, figures_to, judged),
        *(rows, seeds, compared, measure_to),
    )
    figures = run_bench(name, data, options)
    if as_json:
        print_json({"format": 1, "bench": name, "figures": figures})
        return
    for record in figures:
        typer.echo("  ".join(f"{k}={v:.5g}" if isinstance(v, float) else f"{k}={v}" for k, v in record.items()))
