"""Fronts as tables, as wide as the terminal is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from rich.table import Table

from codesign.comparison import names
from codesign.front import Z95
from codesign.layer_fields import GROUPED
from codesign.remote.copies import shown
from codesign.tables import design_table, full_text
from codesign.terminal.console import out
from codesign.terminal.numbers import engineering, interval_text

if TYPE_CHECKING:
    from codesign.front import Gain
    from codesign.picks import Choice
    from codesign.run import Run

T = TypeVar("T")


NOTHING_FEASIBLE = "No design is feasible; the limits of the search space exclude all that were evaluated."

EXTRAPOLATED = "* outside the sizes that the proxy was fitted on: the interval is a lower bound of the real uncertainty"


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
        out.print(NOTHING_FEASIBLE)
        return
    gained = run.gains()
    even = {*thin(ids.tolist(), rows), *(gain.id for gain in gained)}
    chosen = [id_ for id_ in ids.tolist() if id_ in even]
    out.print(run_table(run, chosen))
    if len(ids) > len(chosen):
        out.print(f"{len(chosen)} of {len(ids)} front designs shown; all with: codesign front {run.directory} --csv")
    if any(run.ties().values()):
        out.print("ties: neighbours in quality that differ by less than twice the standard error of their difference")
    if not evaluations.feasible[0]:
        out.print("The baseline is beyond the limits of the search space.")
    for gain in gained:
        out.print(gain_line(run, gain))
    if bool(evaluations.extrapolated[[0, *ids]].any()):
        out.print(EXTRAPOLATED)


def thin(ids: Sequence[T], most: int) -> list[T]:
    """Return at most `most` of the ids, evenly spread, both ends included."""
    if len(ids) <= most:
        return list(ids)
    return [ids[round(i * (len(ids) - 1) / (most - 1))] for i in range(most)]


def print_joint(chosen: Sequence[Choice], rows: int = 24) -> None:
    """Print how many designs of a joint front each run has, and the designs (evenly thinned to `rows`)."""
    runs, front = [run for run, _ in chosen], sum(len(ids) for _, ids in chosen)
    counts = ", ".join(f"{len(ids)} of {name}" for name, (_, ids) in zip(names(runs), chosen, strict=True))
    spaces = ", ".join(dict.fromkeys(run.space.name for run in runs))
    out.print(
        f"{spaces} x {runs[0].manifest.cost_model.name}: {sum(len(run.judged) for run in runs)} "
        f"evaluations in {len(runs)} runs, joint front of {front} ({counts})"
    )
    if not front:
        out.print(NOTHING_FEASIBLE)
        return
    out.print(designs_table(chosen, rows))
    if front > rows:
        every = " ".join(dict.fromkeys(shown(run.directory) for run in runs))
        out.print(f"{rows} of {front} front designs shown; all with: codesign front {every} --csv")
    if any(bool(run.judged.extrapolated[[0, *ids]].any()) for run, ids in chosen):
        out.print(EXTRAPOLATED)


def run_table(run: Run, ids: Sequence[int]) -> Table:
    """Return designs of one run as a table, in their order."""
    return designs_table([(run, np.array(ids, dtype=np.int64))])


def designs_table(chosen: Sequence[Choice], most: int | None = None) -> Table:
    """Return designs as a table after the baseline; where the terminal is narrow, with fewer columns.

    Designs of several runs stand in order of quality with the name of their run, at most so many of them, evenly
    thinned. Ties are known within a run only, so there they are left out.
    """
    several, named = len(chosen) > 1, names([run for run, _ in chosen])
    rows = [(place, int(id_)) for place, (_, ids) in enumerate(chosen) for id_ in ids if several or id_ != 0]
    if several:
        quality = [run.judged.metrics[run.manifest.quality] for run, _ in chosen]
        rows.sort(key=lambda row: float(quality[row[0]][row[1]]))
    kept = rows if most is None else thin(rows, most)
    found: dict[tuple[int, int], dict[str, str]] = {}
    for place, (run, _) in enumerate(chosen):
        own = [id_ for which, id_ in kept if which == place]
        cells = _cells_of(run, own, named[place] if several else None)
        found |= {(place, id_): cell for id_, cell in zip(own, cells, strict=True)}
    baseline = _cells_of(chosen[0][0], [0], "" if several else None)[0] | {"id": "baseline"}
    return _fitted([baseline, *(found[row] for row in kept)])


def _fitted(cells: list[dict[str, str]]) -> Table:
    """Return rows as a table that fits the terminal, the first one bold."""
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in cells[0]}
    for name in (*GROUPED, *DROPPED_FIRST):
        if name in widths and sum(widths.values()) + 2 * len(widths) > out.width:
            del widths[name]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, width in widths.items():
        justify: Any = "left" if name in (*TEXTS, *GROUPED) else "right"
        if name == "run":  # the one column that can be folded
            table.add_column(name, justify=justify, overflow="fold", min_width=SHORTEST_NAME)
        else:
            table.add_column(name, justify=justify, no_wrap=True, min_width=width)
    for position, row in enumerate(cells):
        table.add_row(*(row[name] for name in widths), style="bold" if position == 0 else None)
    return table


def _cells_of(run: Run, ids: list[int], name: str | None) -> list[dict[str, str]]:
    """Return what stands in the row of each design by column; with the name of the run, if given, and without ties."""
    frame, edp = design_table(run, np.array(ids, dtype=np.int64)), float(run.judged.metrics["edp_js"][0])
    ties = run.ties() if name is None else {}
    found = []
    for id_, (_, row) in zip(ids, frame.iterrows(), strict=True):
        cells = ({} if name is None else {"run": name}) | _cells(run, id_, row, edp)
        cells |= {"ties": _ties(ties.get(id_, []))} if name is None else {}
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

SHORTEST_NAME = 8
"""Width to which names of runs can be folded."""

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
