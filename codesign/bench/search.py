"""Whether the search is better than what people would otherwise use: `codesign bench search`.

On a space whose every shape is measured, so that the exact front is known (or on a large one, whose best known front
stands for it), each way of searching is run from the same
seeds with the same number of distinct measured shapes. Indicators are of the unbounded archive: hypervolume as a share
of the exact front's, IGD+ and additive epsilon to the exact front, all in logarithms of the objectives. Intervals are
percentile bootstrap intervals of the mean over seeds; gains are of pairs with the same seed.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import moocore
import numpy as np

from codesign import terminal
from codesign.accuracy.proxy import resolve
from codesign.accuracy.table import write_table
from codesign.bench.search_truth import Truth, all_shapes, best_known, evaluator_of, whole_truth
from codesign.bench.search_ways import BASELINES, CONTROLS, OURS, SEQUENTIAL, Trace, search
from codesign.design import FloatArray
from codesign.front import dominated_volume
from codesign.space_file import read_space

SPACE, COST_MODEL = "sotu_grid", "gemmini_40nm"

MEASURED_BY = "supernet"
"""What measures every shape of the space."""

OTHERS = ("nsga2", "sms_emoa", "age_moea2")
"""Ours too, with operators made for these genomes."""

WAYS = (OURS, *BASELINES, *OTHERS, *SEQUENTIAL, *CONTROLS)

SHARES = (0.0025, 0.005, 0.01, 0.02)
"""Budgets, as shares of the distinct shapes of the space."""

BUDGETS = (50, 100, 200, 400)
"""The same where the space is too large to enumerate."""

LONG_SEED, LONG_RUN = 1_000, 2_000
"""Seed and measured shapes of the long search that stands for the truth there."""

SEEDS = 10

DRAWS = 10_000
"""Bootstrap samples."""

INDICATORS = ("hypervolume_share", "igd_plus", "epsilon")


@dataclass(frozen=True)
class Outcome:
    """What was compared."""

    truth: Truth
    budgets: tuple[int, ...]
    traces: dict[str, list[Trace]]
    """By way, then by seed."""


def run(
    space: str = SPACE, seeds: int = SEEDS, ways: tuple[str, ...] = WAYS, figures_to: Path | None = None
) -> list[dict[str, Any]]:
    """Return a figure of the truth, one a way and budget, and write tables and plots if asked.

    Raises:
        InputError: an unknown way, or more accelerators than are all looked at.
    """
    outcome = compare(space, seeds, ways)
    figures = [truth_figure(outcome.truth), *judged(outcome)]
    if figures_to is not None:
        from codesign.bench.search_plots import write_plots

        figures_to.mkdir(parents=True, exist_ok=True)
        write_plots(outcome, figures_to)
    return figures


def compare(space: str, seeds: int, ways: tuple[str, ...]) -> Outcome:
    """Search a space in all ways, from all seeds, on all cores.

    Where the space is too large to enumerate, budgets are BUDGETS, and the truth is what all of these searches and a
    long one of ours found together.
    """
    evaluator = evaluator_of(space, COST_MODEL, resolve(read_space(space).content.proxy))
    truth = whole_truth(evaluator) if len(evaluator.space.enumerate_shapes()) else None
    shares = SHARES if truth else ()
    budgets = tuple(dict.fromkeys(max(2, round(share * truth.shapes)) for share in shares if truth)) or BUDGETS
    jobs = [(way, seed, budgets[-1]) for way, seed in product(ways, range(seeds))]
    jobs += [] if truth else [(OURS, LONG_SEED, LONG_RUN)]
    # Spawned: a process that is forked after torch has computed waits for threads that it does not have.
    with ProcessPoolExecutor(os.cpu_count() or 1, get_context("spawn"), _one_thread) as pool:
        running = pool.map(_search, *zip(*((space, *job) for job in jobs), strict=True))
        found = list(terminal.with_bar(running, "searching", len(jobs)))
    traces = {
        way: [trace for (one, seed, _), trace in zip(jobs, found, strict=True) if one == way and seed != LONG_SEED]
        for way in ways
    }
    known = truth or best_known(evaluator, [trace.points for trace in found])
    return Outcome(known, budgets, traces)


def _one_thread() -> None:
    """Let torch, which is imported after this, compute in one thread: there is a process for each core."""
    os.environ["OMP_NUM_THREADS"] = "1"


def _search(space: str, way: str, seed: int, budget: int) -> Trace:
    evaluator = evaluator_of(space, COST_MODEL, resolve(read_space(space).content.proxy))
    quality = evaluator.proxy.predict(evaluator.space.baseline.shape).metric
    return search(way, evaluator, quality, seed, budget)


def truth_figure(truth: Truth) -> dict[str, Any]:
    """Return what is known of the whole space."""
    return {
        "space": truth.space.name,
        "shapes": truth.shapes,
        "designs": truth.designs,
        "exact": truth.exact,
        "front": len(truth.front),
        "hypervolume": truth.hypervolume,
    }


def judged(outcome: Outcome) -> list[dict[str, Any]]:
    """Return a figure a way and budget: means over seeds with their intervals, and our paired gain over it."""
    figures = []
    scores = {
        (way, budget): np.array([indicators(trace.front(budget), outcome.truth) for trace in traces])
        for way, traces in outcome.traces.items()
        for budget in outcome.budgets
    }
    for (way, budget), values in scores.items():
        used = np.mean([trace.used(budget) for trace in outcome.traces[way]])
        figure: dict[str, Any] = {"way": way, "budget": budget, "measured_shapes": float(used), "seeds": len(values)}
        for place, name in enumerate(INDICATORS):
            low, high = interval(values[:, place])
            figure |= {name: float(values[:, place].mean()), f"{name}_low": low, f"{name}_high": high}
        if OURS in outcome.traces and way != OURS:
            gain = scores[OURS, budget][:, 0] - values[:, 0]
            low, high = interval(gain)
            figure |= {"our_gain": float(gain.mean()), "our_gain_low": low, "our_gain_high": high}
        figures.append(figure)
    return figures


def indicators(front: FloatArray, truth: Truth) -> tuple[float, float, float]:
    """Return hypervolume over the exact front's, IGD+ and additive epsilon to it; inf where nothing was found."""
    if not len(front):
        return 0.0, np.inf, np.inf
    share = dominated_volume(front, truth.reference) / truth.hypervolume
    igd = float(moocore.igd_plus(front, ref=truth.front))
    return share, igd, float(moocore.epsilon_additive(front, ref=truth.front))


def interval(values: FloatArray) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean of (n,) values (Efron 1979); infinite where one is."""
    if not np.isfinite(values).all():
        return np.inf, np.inf
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), size=(DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def measure(space: str, path: Path) -> list[dict[str, Any]]:
    """Measure every shape of a space and write the table that `measured:FILE` looks up; half an hour of two cores.

    Raises:
        InputError: the space is too large to enumerate.
    """
    content = read_space(space).content
    shape = content.decode(all_shapes(content)).shape
    found = resolve(MEASURED_BY).predict(shape)
    write_table(path, shape, found, f"codesign bench search --space {space} --measure-to FILE")
    return [{"space": space, "proxy": MEASURED_BY, "shapes": len(shape), "bytes": path.stat().st_size}]
