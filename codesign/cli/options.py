"""What the verbs share: the application, arguments that several take, and JSON as they print it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="codesign",
    help="Search transformer shapes and accelerators together.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


class Fidelity(StrEnum):
    """Assumptions about time."""

    ideal = "ideal"
    calibrated = "calibrated"


Space = Annotated[str, typer.Argument(metavar="SPACE", help="Search space: a shipped name or a .toml file.")]
CostModel = Annotated[str, typer.Argument(metavar="COST", help="Cost model: a shipped name or a .toml file.")]
RunDirectory = Annotated[str, typer.Argument(metavar="RUN", help="Directory or URL of a run.")]
TimeFidelity = Annotated[
    Fidelity, typer.Option(help="Time: ideal = roofline, Timeloop's assumptions; calibrated = as RTL.")
]
Cache = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|none", help="Answers that runs share [default: $CODESIGN_CACHE, else ~/.cache/codesign/answers]."
    ),
]
Workers = Annotated[
    int | None, typer.Option(help="Measure quality with so many Ray workers; without --ray they are started here.")
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="auto|local|ADDRESS", help="Ray cluster that measures; auto = a running one, else this process."
    ),
]
AtOnce = Annotated[int, typer.Option(help="How many of several searches (--seeds) run at the same time.")]
Gpus = Annotated[float, typer.Option(help="Share of a GPU that each worker has.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def print_json(value: Any) -> None:
    """Print plain data as one line of JSON."""
    import msgspec

    typer.echo(msgspec.json.encode(value).decode())
