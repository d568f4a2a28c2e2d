"""The sections of the page that hold figures and tables; their words stand in front.html."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from codesign.front import REFERENCE_FACTOR
from codesign.report.charts import KIND_LEGEND, LEVEL_LEGEND
from codesign.report.designs import key
from codesign.report.style import BASELINE_BAR, SELECTED
from codesign.report.summary import MOST_SHOWN, Summary
from codesign.report.table import front_table
from codesign.report.units import Unit

BOTH_LEGEND = (("Baseline", BASELINE_BAR), ("Selected", SELECTED))

Units = dict[str, Unit]


def front_slots(summaries: Sequence[Summary], units: Units) -> dict[str, str]:
    """Return what front.html leaves open, as HTML."""
    return {
        "quality": escape(units[summaries[0].quality].label.lower()),
        "cost": escape(units[summaries[0].cost].in_words),
        "objectives": escape(", ".join(units[name].label for name in summaries[0].run.space.objectives)),
        "hollow": " Hollow: extrapolated by the proxy." if any(_extrapolates(summary) for summary in summaries) else "",
        "thinned": "".join(_thinned(summary) for summary in summaries if len(summary.front) > MOST_SHOWN),
        "buttons": _buttons(summaries),
        "levels": _legend(LEVEL_LEGEND),
        "kinds": _legend(KIND_LEGEND),
        "both": _legend(BOTH_LEGEND),
        "factor": f"{REFERENCE_FACTOR:g}",
        "references": " ".join(_reference(summary, units, len(summaries) > 1) for summary in summaries),
        "table": front_table(summaries, units),
    }


def _extrapolates(summary: Summary) -> bool:
    record = summary.run.judged
    return bool((record.extrapolated & record.feasible).any())


def _thinned(summary: Summary) -> str:
    name, count = escape(summary.name), len(summary.front)
    return f" Of the {count:,} designs on the front of {name}, {len(summary.shown)} are marked and listed."


def _buttons(summaries: Sequence[Summary]) -> str:
    """Return a button for each named design."""
    found = []
    for position, summary in enumerate(summaries):
        run = f"{escape(summary.name)}: " if len(summaries) > 1 else ""
        for design_id, names in summary.picks.items():
            text = " and ".join(names)
            name = key(position, design_id)
            label = f"{run}{text[0].upper()}{text[1:]}"
            found.append(f'<button type="button" data-key="{name}" aria-pressed="false">{label}</button>')
    return "".join(found)


def _legend(parts: Sequence[tuple[str, str]]) -> str:
    swatch = '<span class="swatch" style="background:{}"></span>'
    items = "".join(f"<li>{swatch.format(colour)}{escape(name)}</li>" for name, colour in parts)
    return f'<ul class="legend">{items}</ul>'


def _reference(summary: Summary, units: Units, several: bool) -> str:
    """Say where a run's hypervolume is measured from."""
    reference, objectives = summary.convergence.reference, summary.run.space.objectives
    of_run = f" of {escape(summary.name)}" if several else ""
    named = zip(objectives, reference.tolist(), strict=True)
    point = ", ".join(f"{units[name].label} {units[name].with_unit(value)}" for name, value in named)
    return f"Reference point{of_run}: {escape(point)}."
