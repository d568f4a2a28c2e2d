"""The figure of the study: rank correlations of all proxies with their intervals, and one proxy beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from codesign.bench.study_guesses import Guess
    from codesign.bench.study_judge import Truth

SIZE_INCHES = (12.0, 6.5)
DOTS = 110

SHOWN = "supernet"
"""Of the proxies whose name begins so, the best is shown beside the truth; the best of all where there is none."""

GLOBAL, INSIDE = "#4c72b0", "#dd8452"


def write_plot(path: Path, truth: Truth, guesses: Sequence[Guess], rows: Sequence[dict[str, Any]]) -> None:
    """Write the figure as PNG.

    Args:
        path: of the file.
        truth: of the networks.
        guesses: what the proxies said.
        rows: of `study_judge.judged`, best first, among others.

    Raises:
        InputError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("the figure of the study needs matplotlib: python -m pip install matplotlib") from None
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    judged = [row for row in rows if row["table"] == "proxy" and "spearman" in row]
    _correlations(left, judged)
    measuring = [row["proxy"] for row in judged if row["proxy"].startswith(SHOWN)] or [judged[0]["proxy"]]
    shown = next(guess for guess in guesses if guess.name == measuring[0])
    _scatter(right, truth, shown)
    try:
        figure.savefig(path, dpi=DOTS, metadata={"Software": None})
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def _correlations(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """One line a proxy: tau over all networks and inside strata of size, each with its 95 % interval."""
    places = np.arange(len(rows))[::-1].astype(float)
    for key, colour, label, up in (
        ("kendall_tau", GLOBAL, "all networks", 0.15),
        ("kendall_tau_in_strata", INSIDE, "inside quarters of size", -0.15),
    ):
        middle, low, high = (np.array([row[name] for row in rows]) for name in (key, f"{key}_low", f"{key}_high"))
        axes.hlines(places + up, low, high, color=colour, alpha=0.5)
        axes.plot(middle, places + up, "o", color=colour, label=label, markersize=4)
    axes.set_yticks(places, [row["proxy"] for row in rows], fontsize=8)
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_xlabel("Kendall's tau with the loss of networks trained on their own (95 % interval)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8)


def _scatter(axes: Axes, truth: Truth, guess: Guess) -> None:
    """One dot a network: what the proxy said, what the training gave, and the size."""
    dots = axes.scatter(guess.values, truth.loss, c=np.log10(truth.size), cmap="viridis", s=18)
    axes.errorbar(guess.values, truth.loss, yerr=truth.error, fmt="none", ecolor="grey", alpha=0.5)
    axes.set_xlabel(f"{guess.name}")
    axes.set_ylabel("loss of the network trained on its own, nats a token")
    axes.figure.colorbar(dots, ax=axes, label="log10 of non-embedding parameters")
