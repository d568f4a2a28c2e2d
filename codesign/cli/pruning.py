"""The verb prune."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from codesign.cli.options import AsJson, app, print_json


class TaskFormat(StrEnum):
    """How the examples of a task are written."""

    glue = "glue"
    rated = "rated"
    text = "text"
    squad = "squad"


@app.command(epilog="Example: codesign prune minilm/ half.toml --to minilm-half --task sst2.tsv --recover 100")
def prune(
    checkpoint: Annotated[Path, typer.Argument(help="Directory of a BERT, ALBERT, DistilBERT, GPT-2 or T5.")],
    surgery: Annotated[str, typer.Argument(help="Surgery .toml, or a design: .toml, design.json or RUN#ID.")],
    to: Annotated[Path, typer.Option(help="New directory for what is left.")],
    task: Annotated[list[Path] | None, typer.Option(help="File of examples; several of one task may be given.")] = None,
    task_format: Annotated[
        TaskFormat,
        typer.Option(help="glue: TSV with header; rated: id, rating, text; text: running text; squad: JSON."),
    ] = TaskFormat.glue,
    text: Annotated[str, typer.Option(help="TSV: column of the text.")] = "sentence",
    label: Annotated[str, typer.Option(help="TSV: column of the class.")] = "label",
    pair: Annotated[str | None, typer.Option(help="TSV: column of the second text.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use so many examples, drawn at random.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Examples of a training step.")] = 16,
    tune: Annotated[int, typer.Option(min=0, help="Steps on the task before the surgery.")] = 0,
    recover: Annotated[int, typer.Option(min=0, help="Steps on the task after the surgery.")] = 0,
    learning_rate: Annotated[float, typer.Option(help="Of both fine-tunes.")] = 5e-5,
    seed: Annotated[int, typer.Option(min=0, help="Of what is held out, and the order of training.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or any other of torch.")] = "cpu",
    as_json: AsJson = False,
) -> None:
    """Cut a published checkpoint, measure a task before and after, write what is left."""
    from codesign.pretrained import command
    from codesign.pretrained.user_task import TaskFiles

    files = None
    if task:
        files = TaskFiles(tuple(task), task_format.value, text, label, pair, limit, batch, seed)
    record = command.prune(checkpoint, surgery, to, files, command.FineTune(tune, recover, learning_rate), device)
    if as_json:
        print_json(record)
    else:
        for line in command.lines(record):
            typer.echo(line)
