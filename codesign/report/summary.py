"""Everything the page says about one run, computed once: what is drawn and written is taken from here."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.breakdown import Breakdown, break_down
from codesign.cost.estimate import estimate
from codesign.design import BoolArray, Design, FloatArray, IntArray
from codesign.errors import RunError
from codesign.evaluation import Evaluations
from codesign.front import Z95, Gain, hypervolume, interval, reference_point
from codesign.report.units import Unit, budget_name, choose_unit
from codesign.run import Run
from codesign.ties import Ties

MOST_SHOWN = 300
"""Designs of one front that carry breakdowns; a longer front is thinned evenly."""

MOST_CHECKPOINTS = 200
"""Points of the convergence curve."""

SAME = 1e-6
"""Largest relative difference between a recorded and a recomputed cost that is rounding."""

BASELINE = 0
"""Every search evaluates the baseline of its space first."""


@dataclass(frozen=True)
class Details:
    """k designs of one run: the baseline, then the shown part of the front and the picks."""

    ids: IntArray  # (k,)
    design: Design
    metrics: dict[str, FloatArray]  # name -> (k,)
    quality_low: FloatArray  # (k,) 95 % interval of the quality; NaN where the proxy gives no error
    quality_high: FloatArray  # (k,)
    change: FloatArray  # (k,) relative change of the quality against the baseline
    change_low: FloatArray  # (k,)
    change_high: FloatArray  # (k,)
    extrapolated: BoolArray  # (k,)
    breakdown: Breakdown

    def row(self, design_id: int) -> int:
        """Return the position of a design by its id."""
        return int(np.flatnonzero(self.ids == design_id)[0])


@dataclass(frozen=True)
class Convergence:
    """Hypervolume of what had been evaluated at each checkpoint."""

    evaluations: IntArray  # (c,)
    hypervolume: FloatArray  # (c,)
    reference: FloatArray  # (objectives,) in the metrics' own units


@dataclass(frozen=True)
class Summary:
    """One run as the page tells it."""

    run: Run
    name: str
    """Tells the run from others on the page."""
    front: IntArray  # (f,) ids, by quality
    shown: IntArray  # (s,) the part of the front that carries breakdowns
    knee: int | None
    gains: list[Gain]
    """Empty where nothing is feasible."""
    ties: Ties
    details: Details
    convergence: Convergence
    recost_difference: float
    """Largest relative difference between recorded and recomputed costs of the designs in `details`."""

    @property
    def quality(self) -> str:
        """Name of the proxy's metric."""
        return self.run.manifest.quality

    @property
    def cost(self) -> str:
        """Name of the cost that the front is drawn against: EDP, or the first cost among the objectives."""
        costs = [name for name in self.run.space.objectives if name != self.quality]
        return "edp_js" if "edp_js" in costs or not costs else costs[0]

    @property
    def picks(self) -> dict[int, list[str]]:
        """Return the named designs of the front: id -> why."""
        named: dict[int, list[str]] = {}
        for gain in self.gains:
            if gain.id != BASELINE:
                named.setdefault(gain.id, []).append(f"best within {budget_name(gain.budget)}")
        if self.knee is not None:
            named.setdefault(self.knee, []).append("knee")
        return named

    @property
    def descriptions(self) -> tuple[str, str]:
        """Descriptions of search space and cost model, as their files give them."""
        space = tomllib.loads(self.run.manifest.space.text)
        return str(space["description"]), self.run.technology.description


def summarise(run: Run, name: str | None = None) -> Summary:
    """Compute what the page shows of one run, under a name if its own is not enough.

    Raises:
        RunError: nothing has been evaluated yet.
    """
    if not len(run.evaluations):
        raise RunError(f"{run.directory}: nothing to report yet; continue the search: codesign resume {run.directory}")
    front = run.front_ids()
    front = front[np.argsort(run.judged.metrics[run.manifest.quality][front], kind="stable")]
    gains = run.gains() if len(front) else []
    knee = run.knee() if len(front) else None
    named = {gain.id for gain in gains} | ({knee} if knee is not None else set())
    shown = thin(front, MOST_SHOWN, named)
    extra = [pick for pick in sorted(named) if pick not in shown and pick != BASELINE]
    ids = np.array([BASELINE, *extra, *shown[shown != BASELINE]], dtype=np.int64)
    details, difference = _details(run, ids)
    return Summary(run, name or run.name, front, shown, knee, gains, run.ties(), details, _convergence(run), difference)


def units_of(summaries: Sequence[Summary]) -> dict[str, Unit]:
    """Choose the unit of each metric from all fronts and baselines on the page."""
    names = summaries[0].run.evaluations.metrics
    shown = {name: np.concatenate([summary.details.metrics[name] for summary in summaries]) for name in names}
    return {name: choose_unit(name, values) for name, values in shown.items()}


def thin(ids: IntArray, most: int, keep: set[int]) -> IntArray:
    """Return at most `most` ids in their order, evenly spaced, both ends included, and those of `keep` besides."""
    if len(ids) <= most:
        return ids
    even = np.zeros(len(ids), dtype=np.bool_)
    even[np.linspace(0, len(ids) - 1, most).round().astype(np.int64)] = True
    return np.asarray(ids[even | np.isin(ids, list(keep))])


def _details(run: Run, ids: IntArray) -> tuple[Details, float]:
    record, quality = run.judged, run.manifest.quality
    design = run.space.decode(record.genomes[ids])
    cost = estimate(design, run.space.scenario, run.technology, run.manifest.fidelity)
    metrics = {name: column[ids] for name, column in record.metrics.items()}
    error, ratio_error = record.log_standard_error, run.ratio_errors(ids)
    low, high = interval(metrics[quality], error[ids])
    change = np.log(metrics[quality] / metrics[quality][0])
    details = Details(
        ids=ids,
        design=design,
        metrics=metrics,
        quality_low=low,
        quality_high=high,
        change=np.expm1(change),
        change_low=np.expm1(change - Z95 * ratio_error),
        change_high=np.expm1(change + Z95 * ratio_error),
        extrapolated=record.extrapolated[ids],
        breakdown=break_down(cost),
    )
    return details, _largest_difference(metrics, cost.metrics())


def _largest_difference(recorded: dict[str, FloatArray], recomputed: dict[str, FloatArray]) -> float:
    """Return the largest relative difference; infinite where a cost is known on one side only."""
    largest = 0.0
    for name, values in recomputed.items():
        if not np.array_equal(np.isnan(values), np.isnan(recorded[name])):
            return float("inf")
        largest = max(largest, float(np.nan_to_num(np.abs(values / recorded[name] - 1.0)).max()))
    return largest


def _convergence(run: Run) -> Convergence:
    total, objectives = len(run.evaluations), run.space.objectives
    counts = np.unique(np.linspace(1, total, min(total, MOST_CHECKPOINTS)).round().astype(np.int64))
    volumes = [hypervolume(_first(run.evaluations, int(count)), objectives) for count in counts]
    reference = reference_point(run.evaluations, objectives)
    return Convergence(counts, np.array(volumes), np.exp(reference))


def _first(evaluations: Evaluations, count: int) -> Evaluations:
    """Return the evaluations as they were after the first `count`."""
    return replace(
        evaluations,
        genomes=evaluations.genomes[:count],
        metrics={name: column[:count] for name, column in evaluations.metrics.items()},
        log_standard_error=evaluations.log_standard_error[:count],
        extrapolated=evaluations.extrapolated[:count],
        violation=evaluations.violation[:count],
    )
