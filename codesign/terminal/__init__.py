"""What the terminal shows: fronts and costs as tables, through one console, and (`progress`) how far a search is."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from codesign.terminal.numbers import engineering as engineering
from codesign.terminal.progress import err
from codesign.terminal.progress import search_progress as search_progress
from codesign.terminal.progress import show_in_place as show_in_place
from codesign.terminal.progress import training_progress as training_progress

if TYPE_CHECKING:
    from codesign.front import Gain
    from codesign.run import Run

PIPE_WIDTH = 200
"""Columns where the output is no terminal, so that tables are whole in files and pipes."""

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout and sys.stdout.isatty() else PIPE_WIDTH)


def print_run(run: Run, rows: int = 24) -> None:
    """Print the baseline, the front (evenly thinned to `rows`), and the gains within the quality budgets."""
    from codesign.optimize import plateau
    from codesign.tables import full_text

    ids = run.front_ids()
    evaluations = run.judged
    screen = f"screen {run.manifest.screen}, " if run.manifest.screen else ""
    out.print(
        f"{run.space.name} x {run.manifest.cost_model.name}: {len(evaluations)} of {run.space.size():.4g} designs "
        f"evaluated, {int(evaluations.feasible.sum())} feasible, front of {len(ids)}, hypervolume "
        f"{run.hypervolume():.4f} (proxy {run.manifest.proxy}, "
        f"{screen}seed {run.manifest.seed}, fidelity {run.manifest.fidelity})"
    )
    if start := run.manifest.warm_start:
        out.print(f"Warm start: {start.text()}")
    if text := plateau.stopped(run):
        out.print(text)
    if text := full_text(run):
        out.print(f"Full budget: {text}")
    if not len(ids):
        out.print("No design is feasible; the limits of the search space exclude all that were evaluated.")
        return
    gained = run.gains()
    even = {*thin(ids.tolist(), rows), *(gain.id for gain in gained)}
    shown = [id_ for id_ in ids.tolist() if id_ in even]
    out.print(front_table(run, shown))
    if len(ids) > len(shown):
        out.print(f"{len(shown)} of {len(ids)} front designs shown; all with: codesign front {run.directory} --csv")
    if any(run.ties().values()):
        out.print("ties: neighbours in quality that differ by less than twice the standard error of their difference")
    if not evaluations.feasible[0]:
        out.print("The baseline is beyond the limits of the search space.")
    for gain in gained:
        out.print(gain_line(run, gain))
    if bool(evaluations.extrapolated[[0, *ids]].any()):
        out.print(
            "* outside the sizes that the proxy was fitted on: the interval is a lower bound of the real uncertainty"
        )


def say(text: str) -> None:
    """Print what a user should know beside the answer, if anything, where it is not taken for a part of it."""
    if text:
        err.print(f"note: {text}")


def thin(ids: Sequence[int], most: int) -> list[int]:
    """Return at most `most` of the ids, evenly spread, both ends included."""
    if len(ids) <= most:
        return list(ids)
    return [ids[round(i * (len(ids) - 1) / (most - 1))] for i in range(most)]


def front_table(run: Run, ids: Sequence[int]) -> Table:
    """Return designs as a table, the baseline first; where the terminal is narrow, with fewer columns."""
    from codesign.layer_fields import GROUPED
    from codesign.tables import design_table

    frame = design_table(run, [0, *(i for i in ids if i != 0)])  # type: ignore[arg-type]
    ties = run.ties()
    cells = [
        _cells(run, id_, row, frame["edp_js"].iloc[0]) | {"ties": _ties(ties.get(int(str(id_)), []))}
        for id_, row in frame.iterrows()
    ]
    cells[0]["id"] = "baseline"
    for cell, (_, row) in zip(cells, frame.iterrows(), strict=True):
        cell.update({name: row[name].replace(" ", ",") for name in GROUPED if name in row})
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in cells[0]}
    for name in (*GROUPED, *DROPPED_FIRST):
        if name in widths and sum(widths.values()) + 2 * len(widths) > out.width:
            del widths[name]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in widths:
        table.add_column(name, justify="left" if name in (*TEXTS, *GROUPED) else "right", no_wrap=True)
    for position, row in enumerate(cells):
        table.add_row(*(row[name] for name in widths), style="bold" if position == 0 else None)
    return table


DROPPED_FIRST = (
    "ties",
    "FFN",
    "heads",
    "flow",
    "delay",
    "energy",
    "d",
    "layers",
    "SP/ACC KiB",
    "mm2",
    "array",
    "95 % interval",
    "±",
)
"""Columns that a narrow terminal does without, in this order; before them, those of optional groups."""

TEXTS = ("array", "flow", "SP/ACC KiB", "heads", "FFN")
"""Columns that are aligned to the left, besides those of optional groups."""


def _cells(run: Run, id_: object, row: Any, baseline_edp: float) -> dict[str, str]:
    """Return one design as text by column."""
    quality = run.manifest.quality
    return {
        "id": str(id_),
        quality: f"{row[quality]:.3f}{'*' if row['extrapolated'] else ''}",
        "±": _relative(row[quality], row[quality + "_high"]),
        "95 % interval": _interval(row[quality + "_low"], row[quality + "_high"]),
        "EDP": engineering(row["edp_js"], "Js"),
        "gain": f"{baseline_edp / row['edp_js']:.2f}x",
        "energy": engineering(row["energy_j"], "J"),
        "delay": engineering(row["delay_s"], "s"),
        "mm2": f"{row['area_mm2']:.3f}",
        "layers": str(row["layers"]),
        "d": str(row["hidden"]),
        "array": f"{row['pe_rows']}x{row['pe_cols']}",
        "flow": {"weight_stationary": "ws", "output_stationary": "os"}[row["dataflow"]],
        "SP/ACC KiB": f"{row['scratchpad_kib']:g}/{row['accumulator_kib']:g}",
        "heads": row["heads"].replace(" ", ","),
        "FFN": row["ffn"].replace(" ", ","),
    }


def _relative(value: float, high: float) -> str:
    """Return one standard error relative to the value, from the upper end of its 95 % interval."""
    from codesign.front import Z95

    return "?" if high != high else f"{math.log(high / value) / Z95:.1%}"


def _ties(ids: Sequence[int] | None) -> str:
    return "?" if ids is None else ",".join(map(str, ids))


def _interval(low: float, high: float) -> str:
    return "not known" if low != low else f"{low:.4g}..{high:.4g}"


def gain_line(run: Run, gain: Gain) -> str:
    """Say in one line what EDP was saved within a quality budget, and how sure that is."""
    if gain.id == 0 and not run.judged.feasible[0]:
        return f"EDP gain at +{gain.budget:.2%} {run.manifest.quality}: no design within the limits saves any"
    head = (
        f"EDP gain at +{gain.budget:.2%} {run.manifest.quality}: {gain.factor:.2f}x "
        f"(design {gain.id}, predicted {gain.change:+.2%}"
    )
    if gain.factor_low != gain.factor_low:
        return f"{head}; the proxy gives no error)"
    return (
        f"{head}, 95 % interval {gain.change_low:+.1%} .. {gain.change_high:+.1%};\n"
        f"    {gain.factor_low:.2f}x if the predictions are too optimistic, {gain.factor_high:.1f}x if too pessimistic)"
    )


def cost_tables(rows: dict[str, Any]) -> list[Table]:
    """Return the breakdown of one estimate: totals, then energy and cycles by layer and operation and by level."""
    totals = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("metric", "value", "10th..90th percentile" if rows["intervals"] else ""):
        totals.add_column(name)
    for name, value in (rows["metrics"] | rows["bounds"] | rows["deployment"]).items():
        low_high = rows["intervals"].get(name)
        totals.add_row(name, f"{value:.6g}", _interval(*low_high) if low_high else "")
    tables = [totals]
    for name, lines in rows["breakdown"].items():
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in (name.replace("by_", ""), "energy", "share", "cycles", "share"):
            table.add_column(column, justify="left" if column == name.replace("by_", "") else "right")
        for line in lines:
            cycles = line.get("cycles")
            table.add_row(
                line["name"],
                engineering(line["energy_j"], "J"),
                f"{line['energy_share']:.1%}",
                "" if cycles is None else f"{cycles:,.0f}",
                "" if cycles is None else f"{line['cycles_share']:.1%}",
            )
        tables.append(table)
    return tables
