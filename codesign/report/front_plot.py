"""The plot of the front: quality against a cost. Imported only where a page is written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from codesign.design import IntArray
from codesign.report.designs import key, short_texts
from codesign.report.front_labels import LABEL_ROOM, draw_guides, label_picks
from codesign.report.style import INK, KNEE, PICK, RUN_COLOURS, RUN_TINTS, SELECTED, base_layout
from codesign.report.summary import BASELINE, Summary, thin
from codesign.report.units import Unit, budget_name, number, rounded

MOST_DOTS = 5000
"""Evaluated designs drawn on the page, all runs together."""

FRONT_SIZE = 6
"""Diameter of a front's marker in pixels. Of coinciding points Plotly hovers and clicks the smaller one, where 6 pixels
count as the least: were it larger, a design that is hardly worse would hide one of the front."""

SAID = ("edp_js", "energy_j", "delay_s", "area_mm2")
"""Costs that are said of every design under the pointer."""

Units = dict[str, Unit]


def front_figure(summaries: Sequence[Summary], units: Units, selected: str) -> go.Figure:
    """Draw evaluated designs, fronts, baselines and picks; the last trace rings the selected design."""
    figure = go.Figure()
    several = len(summaries) > 1
    for position, summary in enumerate(summaries):
        figure.add_trace(_dots(position, summary, units, MOST_DOTS // len(summaries)))
    for position, summary in enumerate(summaries):
        figure.add_traces(list(_front(position, summary, units, several)))
    for position, summary in enumerate(summaries):
        figure.add_traces(list(_marked(position, summary, units, several)))
    figure.add_trace(_ring(summaries, units, selected))
    cost, quality = units[summaries[0].cost], units[summaries[0].quality]
    figure.update_layout(**base_layout(), height=600, hovermode="closest", clickmode="event")
    figure.update_layout(modebar={"orientation": "v"})  # in the right margin, beside the legend
    figure.update_layout(
        margin={"l": 64, "r": 64, "t": 20, "b": 60},
        legend={
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.02,
            "xanchor": "left",
            "x": 0,
            "itemsizing": "constant",
        },
    )
    figure.update_xaxes(type="log", title=f"{cost.heading}, lower is better", tickformat=",~g")
    figure.update_xaxes(dtick="D2" if _decades(summaries) < 2 else 1)
    figure.update_yaxes(title=f"{quality.label}, lower is better", range=_quality_range(summaries))
    draw_guides(figure, summaries[0], units)
    if not several:
        label_picks(figure, summaries[0], units)
    return figure


def _scatter(summary: Summary, units: Units, ids: IntArray, **style: Any) -> go.Scatter:
    metrics = summary.run.judged.metrics
    x = rounded(metrics[summary.cost][ids] / units[summary.cost].factor)
    return go.Scatter(x=x, y=rounded(metrics[summary.quality][ids]), **style)


def _hover(summary: Summary, units: Units, ids: IntArray) -> list[str]:
    """Return id, quality, what the front is drawn against, EDP, energy, delay, area, model and accelerator."""
    record = summary.run.judged
    label = escape(units[summary.quality].label.lower())
    lines, cost = [], summary.cost
    own = "" if cost in SAID else f" · {escape(units[cost].in_words)} "
    for text, design_id in zip(short_texts(summary.run.space.decode(record.genomes[ids])), ids.tolist(), strict=True):
        edp, energy, delay, area = (units[name].with_unit(record.metrics[name][design_id]) for name in SAID)
        quality = number(record.metrics[summary.quality][design_id])
        drawn = own and own + units[cost].with_unit(record.metrics[cost][design_id])
        mark = " · extrapolated" if record.extrapolated[design_id] else ""
        lines.append(
            f"<b>Design {design_id}</b>{mark}<br>{label} {quality}{drawn} · EDP {edp}<br>"
            f"{energy} · {delay} · {area}<br>{text}"
        )
    return lines


def _symbols(summary: Summary, ids: IntArray) -> list[str]:
    """Return a symbol a design: hollow where the proxy extrapolates."""
    return ["circle-open" if hollow else "circle" for hollow in summary.run.judged.extrapolated[ids]]


def _filled_first(summary: Summary, ids: IntArray) -> IntArray:
    """Put extrapolated designs last: the legend shows the symbol of a trace's first point."""
    return ids[np.argsort(summary.run.judged.extrapolated[ids], kind="stable")]


def _dots(position: int, summary: Summary, units: Units, most: int) -> go.Scatter:
    feasible = np.flatnonzero(summary.run.comparable)
    ids = _filled_first(summary, thin(feasible[~np.isin(feasible, summary.front)], most, set()))
    return _scatter(
        summary,
        units,
        ids,
        mode="markers",
        marker={"size": 4, "color": RUN_TINTS[position % len(RUN_TINTS)], "symbol": _symbols(summary, ids)},
        name="Evaluated" if summary.run.full is None else "Measured again",
        legendgroup="evaluated",
        showlegend=position == 0,
        text=_hover(summary, units, ids),
        hovertemplate="%{text}<extra></extra>",
    )


def _front(position: int, summary: Summary, units: Units, several: bool) -> Iterator[go.Scatter]:
    """Yield the front's line, its markers, and their error bars, which the legend switches on."""
    colour = RUN_COLOURS[position % len(RUN_COLOURS)]
    group = {"legendgroup": f"front {position}"}
    if set(summary.run.space.objectives) == {summary.quality, summary.cost}:  # otherwise the front is no curve here
        line = {"color": colour, "width": 1.5}
        yield _scatter(
            summary, units, summary.front, mode="lines", line=line, hoverinfo="skip", showlegend=False, **group
        )
    ids = _filled_first(summary, summary.shown)
    line = {"width": 1.5, "color": colour}
    yield _scatter(
        summary,
        units,
        ids,
        mode="markers",
        marker={"size": FRONT_SIZE, "color": colour, "symbol": _symbols(summary, ids), "line": line},
        name=_named("Front", summary, several),
        text=_hover(summary, units, ids),
        hovertemplate="%{text}<br><i>click to compare</i><extra></extra>",
        customdata=[key(position, design_id) for design_id in ids.tolist()],
        **group,
    )
    yield from _error_bars(summary, units, colour, several)


def _error_bars(summary: Summary, units: Units, colour: str, several: bool) -> Iterator[go.Scatter]:
    """Yield the 95 % intervals of the front's quality, if the proxy knows them; the legend switches them on."""
    rows = [summary.details.row(design_id) for design_id in summary.shown.tolist()]
    value = summary.details.metrics[summary.quality][rows]
    up, down = summary.details.quality_high[rows] - value, value - summary.details.quality_low[rows]
    if not np.isfinite(up).any():
        return
    bars = {"type": "data", "symmetric": False, "array": rounded(up), "arrayminus": rounded(down)}
    yield _scatter(
        summary,
        units,
        summary.shown,
        mode="markers",
        marker={"size": 5, "symbol": "line-ns-open", "color": colour},
        error_y=bars | {"color": colour, "thickness": 1, "width": 0},
        opacity=0.3,
        visible="legendonly",
        name=_named("95 % intervals (click to show)", summary, several),
        hoverinfo="skip",
    )


def _marked(position: int, summary: Summary, units: Units, several: bool) -> Iterator[go.Scatter]:
    """Yield baseline, picks and knee, one trace each."""
    marks = [("Baseline", BASELINE, "star", 15, INK)]
    picks = [gain for gain in summary.gains if gain.id != BASELINE]
    marks += [(f"Best within {budget_name(gain.budget)}", gain.id, "diamond", 12, PICK) for gain in picks]
    if summary.knee is not None:
        marks.append(("Knee", summary.knee, "square", 11, KNEE))
    for name, design_id, symbol, size, fill in marks:
        hollow = bool(summary.run.judged.extrapolated[design_id])
        edge = RUN_COLOURS[position % len(RUN_COLOURS)] if several else fill if hollow else "#ffffff"
        marker = {"size": size, "symbol": symbol, "color": "#ffffff" if hollow else fill}
        ids = np.array([design_id])
        yield _scatter(
            summary,
            units,
            ids,
            mode="markers",
            marker=marker | {"line": {"width": 1.5, "color": edge}},
            name=name,
            legendgroup=name,
            showlegend=position == 0,
            text=_hover(summary, units, ids),
            hovertemplate=f"<b>{_named(name, summary, several)}</b><br>%{{text}}<extra></extra>",
            customdata=[key(position, design_id)],
        )


def _ring(summaries: Sequence[Summary], units: Units, selected: str) -> go.Scatter:
    position, design_id = (int(part) for part in selected.split("-"))
    marker = {"size": 20, "symbol": "circle-open", "color": SELECTED, "line": {"width": 2.5, "color": SELECTED}}
    ids = np.array([design_id])
    return _scatter(summaries[position], units, ids, mode="markers", marker=marker, name="Selected", hoverinfo="skip")


def _quality_range(summaries: Sequence[Summary]) -> list[float | None]:
    """Return the quality axis' ends: all that is drawn, and room for labels below."""
    drawn = [s.run.judged.metrics[s.quality][s.run.comparable] for s in summaries]
    drawn += [s.details.metrics[s.quality][:1] for s in summaries]
    low, high = float(np.concatenate(drawn).min()), float(np.concatenate(drawn).max())
    span = (high - low) or high / 100
    return rounded([low - LABEL_ROOM * span, high + 0.05 * span])


def _decades(summaries: Sequence[Summary]) -> float:
    """Return how many powers of ten the drawn costs span."""
    drawn = np.concatenate([s.run.judged.metrics[s.cost][s.run.comparable] for s in summaries])
    return math.log10(drawn.max() / drawn.min()) if len(drawn) else 0.0


def _named(name: str, summary: Summary, several: bool) -> str:
    return f"{escape(summary.name)}: {name}" if several else name
