"""Write one or several runs as one self-contained HTML page: no network, no other file, the same bytes each time."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from codesign import __version__
from codesign.comparison import check_comparable, names
from codesign.errors import InputError
from codesign.report import body, sections
from codesign.report.charts import BY_LAYER, METRIC_OF, STACKED, comparison_figures, convergence_figure
from codesign.report.designs import ACCELERATOR_ROWS, design_records, key, metric_names
from codesign.report.front_plot import front_figure
from codesign.report.summary import BASELINE, Summary, summarise, units_of
from codesign.report.units import Unit
from codesign.run import Run


def write_report(runs: Sequence[Run], path: Path) -> Path:
    """Write the page and return its path. The page is either complete or not there.

    Args:
        runs: with the same quality metric and objectives; several share the plot of the fronts.
        path: of the HTML file; an older page is replaced, any other file is not.

    Raises:
        CodesignError: runs that cannot share a page, a run without evaluations, or a file that cannot be written.
    """
    check_comparable(runs)
    _refuse_other_file(path)
    page = render([summarise(run, name) for run, name in zip(runs, names(runs), strict=True)])
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: the report cannot be written: {error.strerror}") from None
    return path


def _refuse_other_file(path: Path) -> None:
    """Refuse to replace a file that is no page, such as the record of a run."""
    if path.is_file() and path.stat().st_size and not path.read_bytes()[:100].lstrip().lower().startswith(b"<!doctype"):
        raise InputError(f"{path}: expected a new file or an older report; it holds something else")


def render(summaries: Sequence[Summary]) -> str:
    """Return the page's text."""
    from plotly.offline import get_plotlyjs

    units = units_of(summaries)
    front = ""
    if any(len(summary.front) for summary in summaries):
        front = fill(_part("front.html"), body.front_slots(summaries, units))
    quality = units[summaries[0].quality].label
    time, not_in_time = sections.time_told(summaries[0])
    return fill(
        _part("template.html"),
        {
            "version": escape(__version__),
            "heading": escape(sections.heading(summaries)),
            "facts": sections.facts(summaries, units),
            "gains": sections.gains(summaries, units),
            "front": front,
            "quality": escape(quality.lower()),
            "quality_label": escape(quality),
            "time": time,
            "not_in_time": not_in_time,
            "proxy": escape(", ".join(dict.fromkeys(summary.run.manifest.proxy for summary in summaries))),
            "css": _part("page.css"),
            "script": _part("page.js"),
            "plotly": get_plotlyjs(),
            "data": embed(page_data(summaries, units)),
        },
    )


def fill(template: str, slots: Mapping[str, str]) -> str:
    """Replace each {{name}} of the template; what is put in is not looked through again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: slots[slot.group(1)], template)


def embed(data: Any) -> str:
    """Return data as JSON that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def page_data(summaries: Sequence[Summary], units: dict[str, Unit]) -> dict[str, Any]:
    """Return what the page's script draws: figures, the details of all designs, and which is selected first."""
    designs: dict[str, Any] = {}
    for position, summary in enumerate(summaries):
        designs |= design_records(position, summary, units)
    baselines = [key(position, BASELINE) for position in range(len(summaries))]
    selected = first_selected(summaries)
    common = {"designs": designs, "baselines": baselines, "bars": [*STACKED, *BY_LAYER, "convergence"]}
    if selected is None:
        return common | {"figures": {}, "selected": None}
    run = designs[selected]["run"]
    front = front_figure(summaries, units, selected)
    charts = comparison_figures(
        summaries[run].details.breakdown.layers, designs[baselines[run]], designs[selected], units
    )
    figures = {"front": front, "convergence": convergence_figure(summaries), **charts}
    return common | {
        "figures": {name: json.loads(figure.to_json()) for name, figure in figures.items()},
        "selected": selected,
        "ring": len(front.data) - 1,
        "stacked": [
            {"id": name, "total": total, "axis": units[METRIC_OF[total]].heading}
            for name, (total, _) in STACKED.items()
        ],
        "by_layer": list(BY_LAYER),
        "places": [summary.details.breakdown.layers for summary in summaries],
        "runs": [summary.name if len(summaries) > 1 else "" for summary in summaries],
        "metric_names": metric_names(summaries[0], units),
        "accelerator_names": ACCELERATOR_ROWS,
    }


def first_selected(summaries: Sequence[Summary]) -> str | None:
    """Return the key of the design that is selected at first: the pick of the largest budget, else the knee."""
    for position, summary in enumerate(summaries):
        if not summary.gains:
            continue
        widest = max(summary.gains, key=lambda gain: gain.budget).id
        return key(position, widest if widest != BASELINE or summary.knee is None else summary.knee)
    return None


def _part(name: str) -> str:
    return files("codesign.report").joinpath(name).read_text(encoding="utf-8")
