"""What is written into the plot of the front: the quality budgets, the baseline's cost, the gains of the picks."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from codesign.front import QUALITY_BUDGETS
from codesign.report.style import GREY, PICK
from codesign.report.summary import BASELINE, Summary
from codesign.report.units import Unit, budget_name, factor, rounded

LABEL_DROPS = (32, 56)
"""How many pixels the labels of the picks hang below them, the wider budget's first."""

LABEL_ROOM = 0.18
"""Part of the drawn range of quality that is left free below for these labels."""

Units = dict[str, Unit]


def draw_guides(figure: go.Figure, summary: Summary, units: Units) -> None:
    """Draw the budgets' qualities as horizontal lines and the baseline's cost as a vertical one."""
    metrics = summary.run.judged.metrics
    quality, cost = metrics[summary.quality][BASELINE], metrics[summary.cost][BASELINE] / units[summary.cost].factor
    line = {"color": GREY, "width": 1, "dash": "dot"}
    # The outer label goes above its line, the inner one below, so that they stay apart however close the lines are.
    for budget, anchor, shift in zip(sorted(QUALITY_BUDGETS), ("top", "bottom"), (4, -4), strict=True):
        y = rounded([quality * (1 + budget)])[0]
        figure.add_shape(type="line", xref="paper", x0=0, x1=1, y0=y, y1=y, line=line, layer="below")
        font = {"size": 11, "color": GREY}
        figure.add_annotation(
            xref="paper", x=1, y=y, xanchor="left", xshift=4, yanchor=anchor, yshift=shift, font=font,
            text=budget_name(budget), showarrow=False,
        )  # fmt: skip
    if math.isfinite(cost):
        x = rounded([cost])[0]
        figure.add_shape(type="line", yref="paper", y0=0, y1=1, x0=x, x1=x, line=line, layer="below")


def label_picks(figure: go.Figure, summary: Summary, units: Units) -> None:
    """Write the gain at each pick, to its lower left, where no design can be.

    The pick of the tighter budget has the better quality, so it lies lower; its label hangs lower still.
    """
    metrics = summary.run.judged.metrics
    labels: dict[int, list[str]] = {}
    of = "" if summary.cost == "edp_js" else " EDP"
    for gain in sorted(summary.gains, key=lambda gain: -gain.budget):
        if gain.id != BASELINE:
            labels.setdefault(gain.id, []).append(f"<b>{factor(gain.factor)}{of}</b> within {budget_name(gain.budget)}")
    for (design_id, texts), drop in zip(labels.items(), LABEL_DROPS, strict=False):
        x, y = metrics[summary.cost][design_id] / units[summary.cost].factor, metrics[summary.quality][design_id]
        figure.add_annotation(
            x=rounded([math.log10(x)])[0], y=rounded([y])[0], ax=-18, ay=drop, xanchor="right", align="right",
            text="<br>".join(texts), font={"size": 12, "color": PICK}, bgcolor="rgba(255, 255, 255, 0.85)",
            arrowcolor=PICK, arrowwidth=1, arrowhead=0, standoff=9,
        )  # fmt: skip
