"""The charts beside the front: where energy and delay go in two designs, and how the search went.

Imported only where a page is written. The charts of two designs are drawn once, for the design that is selected first;
the page's script then replaces their numbers by those of `design_records`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from codesign.breakdown import KINDS
from codesign.report.style import BASELINE_BAR, KIND_COLOURS, LEVEL_COLOURS, RUN_COLOURS, SELECTED, base_layout
from codesign.report.summary import Summary
from codesign.report.units import Unit, rounded

LEVEL_NAMES = {
    "mac": "MACs",
    "register": "Registers",
    "accumulator": "Accumulator",
    "scratchpad": "Scratchpad",
    "l2": "L2",
    "dram": "DRAM",
    "vector": "Vector unit",
}
"""In the order of ENERGY_LEVELS: outwards from the multipliers."""

LEVEL_LEGEND = tuple(zip(LEVEL_NAMES.values(), LEVEL_COLOURS, strict=True))
KIND_LEGEND = tuple(zip(KINDS, KIND_COLOURS, strict=True))

STACKED = {
    "energy-by-level": ("energy", LEVEL_LEGEND),
    "energy-by-kind": ("energy", KIND_LEGEND),
    "delay-by-kind": ("delay", KIND_LEGEND),
}
"""Chart -> what its bars add up to, and their parts."""

BY_LAYER = {"energy-by-layer": "energy", "delay-by-layer": "delay"}

METRIC_OF = {"energy": "energy_j", "delay": "delay_s"}


def comparison_figures(
    places: Sequence[str], baseline: dict[str, Any], selected: dict[str, Any], units: dict[str, Unit]
) -> dict[str, go.Figure]:
    """Return every chart of two designs by name, from their records; `places` are the layers and what is outside."""
    figures = {}
    for chart, (total, legend) in STACKED.items():
        figures[chart] = _stacked(chart, total, legend, baseline, selected, units[METRIC_OF[total]])
    for chart, total in BY_LAYER.items():
        figures[chart] = _by_layer(chart, places, baseline, selected, units[METRIC_OF[total]])
    return figures


def _stacked(
    chart: str,
    total: str,
    legend: Sequence[tuple[str, str]],
    baseline: dict[str, Any],
    selected: dict[str, Any],
    unit: Unit,
) -> go.Figure:
    """Draw two stacked bars, the baseline above; the totals stand at the axis."""
    figure = go.Figure()
    both = (baseline["charts"][chart], selected["charts"][chart])
    for part, (name, colour) in enumerate(legend):
        figure.add_trace(
            go.Bar(
                x=[values[part] for values, _ in both],
                y=[0, 1],
                orientation="h",
                name=name,
                marker={"color": colour, "line": {"color": "#ffffff", "width": 1}},
                text=[shares[part] for _, shares in both],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                hovertemplate=f"{name}: %{{x:.4g}} {unit.unit} (%{{text}})<extra></extra>",
            )
        )
    figure.update_layout(**base_layout(), height=190, barmode="stack", bargap=0.35, showlegend=False)
    figure.update_layout(margin={"l": 92, "r": 16, "t": 6, "b": 46}, uniformtext={"minsize": 10, "mode": "hide"})
    figure.update_xaxes(title=unit.heading)
    names = [f"Baseline<br>{baseline[total]}", f"Design {selected['id']}<br>{selected[total]}"]
    figure.update_yaxes(tickvals=[0, 1], ticktext=names, range=[1.5, -0.5], ticks="", automargin=False)
    return figure


def _by_layer(
    chart: str, places: Sequence[str], baseline: dict[str, Any], selected: dict[str, Any], unit: Unit
) -> go.Figure:
    """Draw two bars a layer, side by side."""
    figure = go.Figure()
    named = (("Baseline", baseline, BASELINE_BAR), (f"Design {selected['id']}", selected, SELECTED))
    for name, record, colour in named:
        values, shares = record["charts"][chart]
        figure.add_trace(
            go.Bar(
                x=list(places),
                y=values,
                name=name,
                marker={"color": colour},
                text=shares,
                textposition="none",
                hovertemplate=f"%{{fullData.name}}, layer %{{x}}: %{{y:.4g}} {unit.unit} (%{{text}})<extra></extra>",
            )
        )
    figure.update_layout(**base_layout(), height=240, barmode="group", bargap=0.3, bargroupgap=0.05)
    figure.update_layout(
        margin={"l": 56, "r": 16, "t": 6, "b": 46},
        showlegend=False,
    )
    figure.update_xaxes(title="Layer", type="category")
    figure.update_yaxes(title=unit.heading, rangemode="tozero")
    return figure


def convergence_figure(summaries: Sequence[Summary]) -> go.Figure:
    """Draw the hypervolume against the number of evaluations."""
    figure = go.Figure()
    for position, summary in enumerate(summaries):
        curve = summary.convergence
        figure.add_trace(
            go.Scatter(
                x=curve.evaluations.tolist(),
                y=rounded(curve.hypervolume.tolist()),
                mode="lines",
                line={"color": RUN_COLOURS[position % len(RUN_COLOURS)], "width": 2, "shape": "hv"},
                name=escape(summary.name),
                hovertemplate="%{x:,} evaluations<br>hypervolume %{y:.4g}<extra></extra>",
            )
        )
    figure.update_layout(**base_layout(), height=300, margin={"l": 64, "r": 20, "t": 12, "b": 52})
    figure.update_layout(showlegend=len(summaries) > 1, legend={"orientation": "h", "yanchor": "bottom", "y": 1.02})
    figure.update_xaxes(title="Evaluated designs", rangemode="tozero", tickformat=",")
    figure.update_yaxes(title="Hypervolume", rangemode="tozero")
    return figure
