"""Pareto fronts: the designs that no other design of the same run beats in every objective. Lower is better."""

from __future__ import annotations

from dataclasses import dataclass

import moocore
import numpy as np

from codesign.design import BoolArray, FloatArray, IntArray
from codesign.errors import InputError
from codesign.evaluation import Evaluations

Z95 = 1.959963984540054
"""Half width of a 95 % interval in standard errors."""

QUALITY_BUDGETS = (0.0045, 0.045)
"""Allowed relative loss of quality: the survey's +0.1 and +1.0 perplexity at 22.4 (Kim et al. 2023, Sec. 6.4.2)."""

REFERENCE_FACTOR = 2.0
"""The hypervolume's reference point is this many times the baseline, in every objective."""


def front_ids(evaluations: Evaluations, objectives: tuple[str, ...], among: BoolArray | None = None) -> IntArray:
    """Return the ids of the feasible non-dominated designs, sorted by the first objective; of equals the first.

    Args:
        evaluations: n designs.
        objectives: names of metrics.
        among: (n,) the designs that count; all if absent.
    """
    feasible = evaluations.feasible if among is None else evaluations.feasible & among
    return front_of(evaluations, objectives, np.flatnonzero(feasible))


def front_of(evaluations: Evaluations, objectives: tuple[str, ...], ids: IntArray) -> IntArray:
    """Return those of (k,) ids, of feasible designs, that none of the others dominates, sorted by the first objective.

    Of equal designs the one that comes first in `ids` stays.
    """
    if not len(ids):
        return ids
    values = evaluations.objectives(objectives, ids)
    kept = non_dominated(values)
    order = np.lexsort(values[kept].T[::-1])
    return np.asarray(ids[kept][order], dtype=np.int64)


def non_dominated(values: FloatArray) -> BoolArray:
    """(n,) True for rows of (n, objectives) that no other row beats; of equal rows the first."""
    return np.asarray(moocore.is_nondominated(values, keep_weakly=False), dtype=np.bool_)


def dominated_volume(values: FloatArray, reference: FloatArray) -> float:
    """Return the hypervolume of (n, objectives) points; what is worse than (objectives,) the reference adds nothing."""
    return float(moocore.hypervolume(values, ref=reference))


def reference_point(evaluations: Evaluations, objectives: tuple[str, ...]) -> FloatArray:
    """(objectives,) logarithms of REFERENCE_FACTOR times the baseline (id 0), from which the hypervolume is measured.

    It is the same for all searches of a space under one cost model and proxy, so their hypervolumes compare.
    """
    return np.asarray(evaluations.objectives(objectives, slice(0, 1))[0] + np.log(REFERENCE_FACTOR))


def hypervolume(evaluations: Evaluations, objectives: tuple[str, ...], among: BoolArray | None = None) -> float:
    """Return the hypervolume of all feasible designs in logarithms of the objectives; 0 before any is feasible.

    Where `among` is given, only its designs count.

    Designs worse than the reference point in any objective add nothing.
    """
    return front_volume(evaluations, objectives, front_ids(evaluations, objectives, among))


def front_volume(evaluations: Evaluations, objectives: tuple[str, ...], ids: IntArray) -> float:
    """Return the hypervolume of the designs (k,) ids in logarithms of the objectives; 0 if there are none."""
    if not len(ids):
        return 0.0
    return dominated_volume(evaluations.objectives(objectives, ids), reference_point(evaluations, objectives))


def knee(evaluations: Evaluations, objectives: tuple[str, ...], ids: IntArray) -> int:
    """Return the id of the front's knee: the design farthest below the plane through the front's extremes.

    Objectives are logarithms scaled to 0..1 on the front, where that distance is largest where their sum is least
    (Das 1999's normal-boundary construction).

    Raises:
        InputError: the front is empty.
    """
    if not len(ids):
        raise InputError(f"no knee: none of the {len(evaluations)} designs evaluated is feasible")
    values = evaluations.objectives(objectives, ids)
    low, high = values.min(axis=0), values.max(axis=0)
    scaled = (values - low) / np.where(high > low, high - low, 1.0)
    return int(ids[scaled.sum(axis=1).argmin()])


def interval(value: FloatArray, log_standard_error: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the 95 % interval of a positive quantity whose logarithm has this standard error."""
    spread = np.exp(Z95 * log_standard_error)
    return value / spread, value * spread


@dataclass(frozen=True)
class Gain:
    """How much EDP the search saved within a quality budget."""

    budget: float
    """Allowed relative loss against the baseline."""
    id: int
    """The design of least EDP whose quality is within the budget; the baseline if none is better."""
    factor: float
    """Baseline's EDP / design's EDP."""
    change: float
    """Relative change of quality, as the proxy says."""
    change_low: float
    change_high: float
    """95 % interval of that change; NaN where the proxy gives no error."""
    factor_low: float
    """The gain that survives if only designs count whose change is within the budget at the upper end."""
    factor_high: float
    """The same at the lower end."""


def gains(evaluations: Evaluations, choices: IntArray, ratio_error: FloatArray, quality: str) -> list[Gain]:
    """Return the EDP gain over the baseline (id 0) at each of QUALITY_BUDGETS.

    The baseline is always a choice, within its own limits or not, so a factor is never below 1.

    Args:
        evaluations: of one run; the baseline has id 0.
        choices: (c,) ids that may be chosen, the baseline first.
        ratio_error: (c,) standard errors of the logarithm of quality over the baseline's; NaN where there is none.
        quality: the proxy's metric.
    """
    edp = evaluations.metrics["edp_js"]
    value = evaluations.metrics[quality]
    log_ratio = np.log(value[choices] / value[0])
    error = np.array(ratio_error)
    error[0] *= 0.0  # the baseline against itself; NaN stays NaN
    order = np.lexsort((value[choices], edp[choices]))  # least EDP first, of equals the better quality
    return [_gain(budget, choices, edp, log_ratio, error, order) for budget in QUALITY_BUDGETS]


def _gain(
    budget: float, choices: IntArray, edp: FloatArray, log_ratio: FloatArray, error: FloatArray, order: IntArray
) -> Gain:
    """Return the gain within one budget.

    Args:
        budget: allowed relative loss.
        choices: (c,) ids, the baseline first.
        edp: (n,) of all evaluations.
        log_ratio: (c,) logarithm of quality over the baseline's.
        error: (c,) its standard error.
        order: (c,) positions in `choices`, best first.
    """

    def best(ratio: FloatArray) -> int:
        """Position of the first choice within the budget; the baseline always is."""
        return int(order[(ratio <= np.log1p(budget))[order].argmax()])

    def factor(position: int) -> float:
        return float(edp[0] / edp[choices[position]])

    pick = best(log_ratio)
    known = not np.isnan(error).any()
    return Gain(
        budget=budget,
        id=int(choices[pick]),
        factor=factor(pick),
        change=float(np.expm1(log_ratio[pick])),
        change_low=float(np.expm1(log_ratio[pick] - Z95 * error[pick])),
        change_high=float(np.expm1(log_ratio[pick] + Z95 * error[pick])),
        factor_low=factor(best(log_ratio + Z95 * error)) if known else float("nan"),
        factor_high=factor(best(log_ratio - Z95 * error)) if known else float("nan"),
    )
