"""The verb train."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.options import AsJson, Space, app, print_json


@app.command(epilog="Example: codesign train sotu_lm --recipe sotu_smoke --to runs/smoke")
def train(
    space: Space,
    recipe: Annotated[str, typer.Option(help="A shipped recipe or a .toml file.")],
    to: Annotated[Path, typer.Option(help="New directory for the training; with --resume an old one.")],
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")] = False,
    source: Annotated[
        str | None, typer.Option("--from", help="Begin with a trained network: a directory, or a shipped one's name.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    steps: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or any other of torch.")] = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="Processes that share each batch, through Ray Train.")] = 1,
    ray: Annotated[str, typer.Option(help="With --workers: local, auto, or the address of a Ray cluster.")] = "local",
    as_json: AsJson = False,
) -> None:
    """Train one elastic network whose sub-networks are all models of a space."""
    from codesign.training.process import yield_waiting_threads

    yield_waiting_threads()
    from codesign import terminal
    from codesign.accuracy.proxy import network_directory
    from codesign.training import command
    from codesign.training.stopping import stop_signals

    with terminal.training_progress() as watch, stop_signals() as stop:
        outcome = command.train_by_name(
            space,
            recipe,
            to,
            resume=resume,
            source=network_directory(source) if source else None,
            seed=seed,
            steps=steps,
            device=device,
            workers=workers,
            cluster=ray,
            watch=watch,
            stop=stop,
        )
    if as_json:
        print_json(command.record(outcome))
    else:
        for line in command.lines(outcome):
            typer.echo(line)
    if outcome.stopped_by:
        sys.exit(128 + outcome.stopped_by)
