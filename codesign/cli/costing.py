"""The verb estimate: what one design, or the matmuls of a file, cost."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codesign.cli.options import AsJson, Fidelity, TimeFidelity, app, print_json
from codesign.errors import InputError

if TYPE_CHECKING:
    from codesign.estimates import ScenarioOptions


class Objective(StrEnum):
    """What a mapping minimises."""

    edp = "edp"
    energy = "energy"
    delay = "delay"


class Buffering(StrEnum):
    """How much of the buffers a mapping may use, and whether DRAM overlaps with compute."""

    ideal = "ideal"
    double = "double"
    single = "single"
    best = "best"


class Convention(StrEnum):
    """Whose way of counting accesses."""

    timeloop = "timeloop"
    accelforge = "accelforge"
    zigzag = "zigzag"


@app.command(
    epilog="Examples: codesign estimate bert/config.json gemmini_40nm --sequence-length 128; "
    "codesign estimate --matmuls layers.csv gemmini_40nm -o costs.csv"
)
def estimate(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="[INPUT] COST",
            help="A design .toml, exported design.json, RUN#ID or Hugging Face config.json; a cost model.",
        ),
    ],
    matmuls: Annotated[Path | None, typer.Option(help="Cost the matmuls of a CSV file instead.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="CSV to write (with --matmuls).")] = None,
    fidelity: TimeFidelity = Fidelity.ideal,
    objective: Annotated[Objective, typer.Option(help="What each mapping minimises (--matmuls).")] = Objective.edp,
    perfect_factors: Annotated[bool, typer.Option(help="Only tiles that divide the matmul (--matmuls).")] = False,
    buffering: Annotated[
        Buffering | None,
        typer.Option(help="How buffers are used (--matmuls) [default: ideal, or double if calibrated]."),
    ] = None,
    convention: Annotated[
        Convention, typer.Option(help="Whose way of counting accesses (--matmuls).")
    ] = Convention.timeloop,
    sequence_length: Annotated[int | None, typer.Option(help="Tokens (config.json); source tokens of T5.")] = None,
    target_length: Annotated[int | None, typer.Option(help="Target tokens of T5 (config.json).")] = None,
    batch: Annotated[int, typer.Option(help="Sequences (config.json).")] = 1,
    phase: Annotated[str, typer.Option(help="prefill or decode (config.json).")] = "prefill",
    as_json: AsJson = False,
) -> None:
    """Cost one design, broken down by operation, layer and memory level; or the matmuls of a file."""
    from codesign import estimates

    _refuse_other_options(
        for_matmuls=matmuls is not None,
        only_matmuls={
            "--output": output is not None,
            "--objective": objective is not Objective.edp,
            "--convention": convention is not Convention.timeloop,
            "--perfect-factors": perfect_factors,
            "--buffering": buffering is not None,
        },
        only_design={
            "--sequence-length": sequence_length is not None,
            "--target-length": target_length is not None,
            "--batch": batch != 1,
            "--phase": phase != "prefill",
            "--json": as_json,
        },
    )
    if matmuls is None:
        scenario = estimates.ScenarioOptions(sequence_length, target_length, batch, phase)
        _estimate_design(inputs, scenario, fidelity, as_json)
        return
    if len(inputs) != 1 or output is None:
        raise InputError("estimate --matmuls FILE.csv COST -o OUT.csv: expected one cost model and an output file")
    rows, infeasible = estimates.estimate_matmuls(
        matmuls,
        inputs[0],
        output,
        str(objective),
        str(convention),
        perfect_factors=perfect_factors,
        fidelity=fidelity.value,
        buffering=buffering and buffering.value,
    )
    flagged = f" ({infeasible} infeasible: see the column reason)" if infeasible else ""
    typer.echo(f"{rows} rows{flagged} -> {output}")


def _estimate_design(inputs: list[str], scenario: ScenarioOptions, fidelity: Fidelity, as_json: bool) -> None:
    """Print the cost of one design with its breakdown."""
    from codesign import estimates

    if len(inputs) != 2:
        raise InputError("estimate INPUT COST: expected a design and a cost model")
    result = estimates.estimate_input(inputs[0], inputs[1], scenario, fidelity.value)
    if as_json:
        print_json(result)
        return
    from codesign import terminal

    terminal.out.print(f"{inputs[0]} on {inputs[1]}, {result['fidelity']} time: {result['title']}")
    for table in terminal.cost_tables(result):
        terminal.out.print(table)
        terminal.out.print()


def _refuse_other_options(*, for_matmuls: bool, only_matmuls: dict[str, bool], only_design: dict[str, bool]) -> None:
    """Refuse options of one use of estimate that are given with the other."""
    given = [name for name, is_given in (only_design if for_matmuls else only_matmuls).items() if is_given]
    if given:
        use = "a design or a config, not to a file of --matmuls" if for_matmuls else "a file of --matmuls"
        raise InputError(f"estimate: {', '.join(given)}: applies to {use}; leave it out")
