"""Figures of `codesign bench search`: how hypervolume grows with measured shapes, and what half of the runs attain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import moocore
import numpy as np

from codesign.bench.search_ways import BASELINES, CONTROLS, OURS, SEQUENTIAL, Trace
from codesign.design import FloatArray
from codesign.front import dominated_volume

if TYPE_CHECKING:
    from codesign.bench.search import Outcome

STEPS = 40
"""Budgets at which a curve is drawn."""

LEAST_MISSING = 1e-6
"""Share below which a curve leaves the figure: nothing is missing."""

ATTAINED = (OURS, "nsga2", "optuna:tpe", "pymoo_mixed", "random", "hardware_first", "nsga2_shapes")
"""Ways whose median attainment surface is drawn; all of them would hide each other."""


def write_plots(outcome: Outcome, directory: Path) -> None:
    """Write anytime.png and attainment.png."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    _draw_curves(axes, outcome)
    figure.savefig(directory / "anytime.png", dpi=120)
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    _draw_attainment(axes, outcome)
    figure.savefig(directory / "attainment.png", dpi=120)


def _draw_curves(axes: Any, outcome: Outcome) -> None:
    """Share of the exact hypervolume that is still missing: mean and range over seeds."""
    budgets = np.unique(np.geomspace(8, outcome.budgets[-1], STEPS).astype(int))
    styles, least = _styles(outcome), 1.0
    for way, traces in outcome.traces.items():
        missing = np.array([[1 - _share(trace, budget, outcome) for budget in budgets] for trace in traces])
        least = min(least, float(missing.mean(axis=0).min()) / 2)
        axes.plot(budgets, missing.mean(axis=0), label=way, **styles[way])
        colour = styles[way]["color"]
        axes.fill_between(budgets, missing.min(axis=0), missing.max(axis=0), color=colour, alpha=0.12, lw=0)
    axes.set(xscale="log", yscale="log", xlabel="distinct shapes measured", ylim=(max(LEAST_MISSING, least), 1))
    known = "exact" if outcome.truth.exact else "best known"
    axes.set_ylabel(f"share of the {known} front's hypervolume that is missing")
    axes.axhline(0.01, color="grey", ls=":", lw=1)
    axes.legend(fontsize=8, ncols=2)


def _styles(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Return the line of each way: ours black on top, sequential ways dashed, baselines dotted, controls both."""
    styles = {}
    for number, way in enumerate(way for way in outcome.traces if way != OURS):
        dashes = "--" if way in SEQUENTIAL else ":" if way in BASELINES else "-." if way in CONTROLS else "-"
        styles[way] = {"color": f"C{number}", "ls": dashes, "lw": 1.2}
    return styles | {OURS: {"color": "black", "lw": 1.8, "zorder": 3}}


def _share(trace: Trace, budget: int, outcome: Outcome) -> float:
    return dominated_volume(trace.front(budget), outcome.truth.reference) / outcome.truth.hypervolume


def _draw_attainment(axes: Any, outcome: Outcome) -> None:
    """What half of the runs dominate at the largest budget (median empirical attainment surface), and the truth."""
    names, styles = outcome.truth.space.objectives, _styles(outcome)
    name = "exact front" if outcome.truth.exact else "best known front"
    _step(axes, outcome.truth.front, name, color="black", lw=5, alpha=0.2)
    for way in (way for way in ATTAINED if way in outcome.traces):
        fronts = [trace.front(outcome.budgets[-1]) for trace in outcome.traces[way]]
        if not all(map(len, fronts)):
            continue  # too few shapes for a design within the limits
        sets = np.repeat(np.arange(len(fronts)), [len(front) for front in fronts])
        surface = moocore.eaf(np.concatenate(fronts), sets, percentiles=[50])[:, :2]
        _step(axes, surface, way, **styles[way])
    axes.set(xscale="log", yscale="log", xlabel=names[0], ylabel=names[1])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.legend(fontsize=8)


def _step(axes: Any, front: FloatArray, label: str, **style: Any) -> None:
    """Draw the border of what a set of logarithms of two objectives dominates."""
    points = np.exp(front[np.argsort(front[:, 0])])
    axes.step(points[:, 0], points[:, 1], where="post", label=label, **style)
