"""Colours and the common layout of all figures: one place, so that the page is of one piece.

Hues are told apart with the common colour-vision deficiencies and by lightness in print.
"""

from __future__ import annotations

from typing import Any

INK = "#1c2733"
GREY = "#5b6875"
RULE = "#e3e8ed"
SELECTED = "#c2410c"
BASELINE_BAR = "#8894a0"
PICK = "#7a3e9d"
KNEE = "#0f7b6c"

RUN_COLOURS = ("#1f5fa8", "#0f7b6c", "#8a4fa3", "#a16207")
RUN_TINTS = ("#c3d0de", "#bfdcd7", "#dccbe4", "#e6d8b8")
"""The same hues for designs that are not on the front."""

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

LEVEL_COLOURS = ("#1f5fa8", "#6ea8dc", "#0f7b6c", "#8fc9a8", "#c9b458", "#d9822b", "#8a4fa3")
KIND_COLOURS = ("#1f5fa8", "#7db3e3", "#0f7b6c", "#d9822b", "#b5362c", "#8a4fa3", "#a9b4bf", "#5b6875")


def base_layout() -> dict[str, Any]:
    """Return what every figure's layout starts from."""
    axis = {
        "gridcolor": RULE,
        "linecolor": GREY,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": RULE,
        "automargin": True,
        "title": {"standoff": 12, "font": {"size": 13}},
    }
    return {
        "template": {"layout": {"xaxis": axis, "yaxis": axis}},
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": GREY, "font": {"color": INK, "size": 12}, "align": "left"},
    }
