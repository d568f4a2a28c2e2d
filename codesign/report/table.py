"""Tables of the page as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from codesign.describe import describe_accelerator
from codesign.report.designs import SHORT_DATAFLOWS, array_text, key, notes
from codesign.report.summary import BASELINE, Summary
from codesign.report.units import Unit, factor, percent, rounded

Cell = tuple[str, float | None]
"""What is shown, and the number to sort by; None = sort by what is shown."""

LEFT_OUT = ("cycles",)
"""Metrics without a column: cycles are the delay at a fixed clock."""

SORTED_BY = "Quality change"
"""Heading of the column that rows are sorted by at first."""

Units = dict[str, Unit]


def plain_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def front_table(summaries: Sequence[Summary], units: Units) -> str:
    """Return all shown front designs, sortable by each column, under the baselines, which stay on top."""
    several = len(summaries) > 1
    baselines: list[str] = []
    rows: list[tuple[float, str]] = []
    headings: list[tuple[str, Cell]] = []
    for position, summary in enumerate(summaries):
        for design_id in dict.fromkeys([BASELINE, *summary.shown.tolist()]):
            cells = _cells(summary, units, design_id)
            if several:
                cells = {"Design": cells["Design"], "Run": (summary.name, None)} | cells
            headings = list(cells.items())
            row = _row(key(position, design_id), list(cells.values()))
            if design_id == BASELINE:
                baselines.append(row)
            else:
                rows.append((float(summary.details.change[summary.details.row(design_id)]), row))
    head = "".join(_heading(name, number, name == SORTED_BY) for name, (_, number) in headings)
    body = "".join(row for _, row in sorted(rows, key=lambda pair: pair[0]))
    return (
        '<div class="scroll tall" tabindex="0" role="region" aria-label="All designs of the front">'
        f'<table id="front-table"><thead><tr>{head}</tr></thead>'
        f'<tbody class="baseline">{"".join(baselines)}</tbody><tbody>{body}</tbody></table></div>'
    )


def _heading(name: str, number: float | None, sorted_by: bool) -> str:
    css = "" if number is None else ' class="number"'
    sort = ' aria-sort="ascending"' if sorted_by else ""
    return f'<th scope="col"{css}{sort}><button type="button">{_two_lines(name)}</button></th>'


def _two_lines(name: str) -> str:
    """Put the unit of a heading, or its last word, on a line of its own."""
    first, space, last = name.rpartition(" ")
    return f"{escape(first)}<br>{escape(last)}" if space else escape(name)


def _cells(summary: Summary, units: Units, design_id: int) -> dict[str, Cell]:
    """Return the cells of one design by column heading."""
    details, row = summary.details, summary.details.row(design_id)
    metrics = {name: float(column[row]) for name, column in details.metrics.items()}
    gain = float(details.metrics["edp_js"][0]) / metrics["edp_js"]
    design = details.design.take(slice(row, row + 1))
    chip = describe_accelerator(design.accelerator)
    cells: dict[str, Cell] = {"Design": (str(design_id), design_id)}
    for name, value in metrics.items():
        if name in LEFT_OUT:
            continue
        cells[units[name].heading] = (units[name].text(value), rounded([value])[0])
        if name == summary.quality:
            change = float(details.change[row])
            cells[SORTED_BY] = (percent(change), rounded([change])[0])
        if name == "edp_js":
            cells["EDP gain"] = (factor(gain), rounded([gain])[0])
    return cells | {
        "Layers": ("+".join(map(str, design.shape.layers[0].tolist())), float(design.shape.layers[0].sum())),
        "Hidden": (str(design.shape.hidden[0]), float(design.shape.hidden[0])),
        "Array": (array_text(chip), float(chip["pe_rows"] * chip["pe_cols"])),
        "Dataflow": (SHORT_DATAFLOWS[chip["dataflow"]], None),
        "Scratchpad (KiB)": (f"{chip['scratchpad_kib']:g}", float(chip["scratchpad_kib"])),
        "Accumulator (KiB)": (f"{chip['accumulator_kib']:g}", float(chip["accumulator_kib"])),
        "Notes": (", ".join(notes(summary, design_id)), None),
    }


def _row(name: str, cells: Sequence[Cell]) -> str:
    shown = []
    for position, (text, number) in enumerate(cells):
        content = f'<button type="button">{escape(text)}</button>' if position == 0 else escape(text)
        shown.append(
            f"<td>{content}</td>" if number is None else f'<td class="number" data-value="{number:g}">{content}</td>'
        )
    return f'<tr data-key="{name}">{"".join(shown)}</tr>'
