"""Fronts as tables, as wide as the terminal is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from rich.table import Table

from codesign.front import Z95
from codesign.layer_fields import GROUPED
from codesign.tables import design_table, full_text
from codesign.terminal.console import out
from codesign.terminal.numbers import engineering, interval_text

if TYPE_CHECKING:
    from codesign.front import Gain
    from codesign.picks import Choice
    from codesign.run import Run

T = TypeVar("T")


def print_fronts(chosen: Sequence[Choice]) -> None:
    """Print the front of a run, or the joint one of several."""
    if len(chosen) == 1:
        print_run(chosen[0][0])
    else:
        print_joint(chosen)


def print_run(run: Run, rows: int = 24) -> None:
    """Print the baseline, the front (evenly thinned to `rows`), and the gains within the quality budgets."""
    from codesign.optimize import plateau

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


def thin(ids: Sequence[T], most: int) -> list[T]:
    """Return at most `most` of the ids, evenly spread, both ends included."""
    if len(ids) <= most:
        return list(ids)
    return [ids[round(i * (len(ids) - 1) / (most - 1))] for i in range(most)]


def print_joint(chosen: Sequence[Choice], rows: int = 24) -> None:
    """Print how many designs of a joint front each run has, and the designs (evenly thinned to `rows`)."""
    runs, front = [run for run, _ in chosen], sum(len(ids) for _, ids in chosen)
    counts = ", ".join(f"{len(ids)} of {run.name}" for run, ids in chosen)
    spaces = ", ".join(dict.fromkeys(run.space.name for run in runs))
    out.print(
        f"{spaces} x {runs[0].manifest.cost_model.name}: {sum(len(run.judged) for run in runs)} designs "
        f"evaluated in {len(runs)} runs, joint front of {front} ({counts})"
    )
    out.print(designs_table(chosen, rows))
    if front > rows:
        out.print(f"{rows} of {front} front designs shown; all with --csv")


def front_table(run: Run, ids: Sequence[int]) -> Table:
    """Return designs of one run as a table, in their order."""
    return designs_table([(run, np.array(ids, dtype=np.int64))])


def designs_table(chosen: Sequence[Choice], most: int | None = None) -> Table:
    """Return designs as a table after the baseline; where the terminal is narrow, with fewer columns.

    Designs of several runs stand in order of quality with the name of their run, at most so many of them, evenly
    thinned. Ties are known within a run only, so there they are left out.
    """
    several, first = len(chosen) > 1, chosen[0][0]
    rows = [(place, int(id_)) for place, (_, ids) in enumerate(chosen) for id_ in ids if several or id_ != 0]
    if several:
        quality = [run.judged.metrics[run.manifest.quality] for run, _ in chosen]
        rows.sort(key=lambda row: float(quality[row[0]][row[1]]))
    shown = rows if most is None else thin(rows, most)
    found: dict[tuple[int, int], dict[str, str]] = {}
    for place, (run, _) in enumerate(chosen):
        own = [id_ for which, id_ in shown if which == place]
        found |= {(place, id_): cells for id_, cells in zip(own, _cells_of(run, own, several), strict=True)}
    baseline = _cells_of(first, [0], several)[0] | {"id": "baseline"} | ({"run": ""} if several else {})
    return _fitted([baseline, *(found[row] for row in shown)])


def _fitted(cells: list[dict[str, str]]) -> Table:
    """Return rows as a table that fits the terminal, the first one bold."""
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


def _cells_of(run: Run, ids: list[int], several: bool) -> list[dict[str, str]]:
    """Return what stands in the row of each design by column."""
    frame, edp = design_table(run, np.array(ids, dtype=np.int64)), float(run.judged.metrics["edp_js"][0])
    ties = {} if several else run.ties()
    found = []
    for id_, (_, row) in zip(ids, frame.iterrows(), strict=True):
        cells = ({"run": run.name} if several else {}) | _cells(run, id_, row, edp)
        cells |= {} if several else {"ties": _ties(ties.get(id_, []))}
        found.append(cells | {name: row[name].replace(" ", ",") for name in GROUPED if name in row})
    return found


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

TEXTS = ("run", "array", "flow", "SP/ACC KiB", "heads", "FFN")
"""Columns that are aligned to the left, besides those of optional groups."""


def _cells(run: Run, id_: object, row: Any, baseline_edp: float) -> dict[str, str]:
    """Return one design as text by column."""
    quality = run.manifest.quality
    return {
        "id": str(id_),
        quality: f"{row[quality]:.3f}{'*' if row['extrapolated'] else ''}",
        "±": _relative(row[quality], row[quality + "_high"]),
        "95 % interval": interval_text(row[quality + "_low"], row[quality + "_high"]),
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
    return "?" if high != high else f"{math.log(high / value) / Z95:.1%}"


def _ties(ids: Sequence[int] | None) -> str:
    return "?" if ids is None else ",".join(map(str, ids))


def gain_line(run: Run, gain: Gain) -> str:
    """Say in one line what EDP was saved within a quality budget, and how sure that is."""
    if gain.id == 0 and not run.judged.feasible[0]:
        return f"EDP gain at +{gain.budget:.2%} {run.manifest.quality}: no design within the limits saves any"
    head = (
        f"EDP gain at +{gain.budget:.2%} {run.manifest.quality}: {gain.factor:.2f}x "
        f"(design {gain.id}, {run.manifest.quality} {gain.change:+.2%}"
    )
    if gain.factor_low != gain.factor_low:
        return f"{head}; the proxy gives no error)"
    return (
        f"{head}, 95 % interval {gain.change_low:+.1%} .. {gain.change_high:+.1%};\n"
        f"    {gain.factor_low:.2f}x if the proxy is too optimistic, {gain.factor_high:.1f}x if too pessimistic)"
    )
