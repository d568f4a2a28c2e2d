"""The first rung: a cheap prediction chooses, among many proposed designs, the few that the dear proxy measures.

Costs are exact and nearly free, so only quality is predicted. What is predicted is mapped onto the scale of what was
measured so far, because candidates compete with measured designs. What is left out is not recorded: it may be proposed
again. A resumed search screens only its last batch anew, and keeps what the record holds of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from codesign.accuracy.fitted import FEWEST_ROWS, fit
from codesign.accuracy.fitted_features import shape_features
from codesign.accuracy.memory import Remembering
from codesign.accuracy.proxy import Quality, resolve
from codesign.design import FloatArray, IntArray, ModelShape
from codesign.errors import InputError
from codesign.evaluation import Evaluations, Evaluator
from codesign.front import front_ids

NO_SCREEN = "none"
FITTED = "fitted"
"""Name of the screen that is fitted to what the search itself has measured."""

SCREENS = {
    FITTED: "a surrogate fitted to what the search has measured so far",
    NO_SCREEN: "everything that is proposed is measured",
    "PROXY": "a proxy that is cheaper than the one that measures",
}

FITTED_FROM = 2 * FEWEST_ROWS
"""Measured shapes below which everything proposed is measured."""

FITTED_ROWS = 300
"""Most recent measured shapes that a fit reads: with more it would cost as much as measuring."""

Guess = Callable[[ModelShape, FloatArray, ModelShape], FloatArray | None]
"""(shapes measured, logarithms of their quality, n other shapes) -> (n,) logarithms of quality; None = cannot tell."""


@dataclass(frozen=True)
class Screen:
    """Chooses what is measured."""

    evaluator: Evaluator
    quality: str
    """The metric of the dear proxy."""
    guess: Guess

    def choose(self, past: Evaluations, candidates: IntArray, wanted: int) -> IntArray:
        """Return the positions of the `wanted` most promising of the candidates, in their order.

        Args:
            past: what was measured before.
            candidates: (n, genes).
            wanted: how many; where nothing can be told yet, the first.
        """
        logs = self._predicted(past, candidates)
        if logs is None:
            return np.arange(min(wanted, len(candidates)))
        metrics = {self.quality: np.exp(logs)} | self.evaluator.costs(candidates)
        names = self.evaluator.space.objectives
        objectives = np.log(np.stack([metrics[name] for name in names], axis=1))
        rivals = past.objectives(names)[front_ids(past, names)]
        return promising(objectives, self.evaluator.violation(metrics), rivals, wanted)

    def _predicted(self, past: Evaluations, candidates: IntArray) -> FloatArray | None:
        """(n,) logarithms of quality: measured where that shape was measured before, on whatever accelerator."""
        decode = self.evaluator.space.decode
        memory = Remembering(self.evaluator.proxy.proxy)
        measured, values = decode(past.genomes).shape, past.metrics[self.quality]
        memory.remember(measured, Quality(self.quality, values, past.log_standard_error, past.extrapolated))
        first = memory.first_rows(measured)
        shapes = decode(candidates).shape
        guess = self.guess(measured.take(first), np.log(values[first]), shapes)
        if guess is None:
            return None
        known = memory.recall(shapes)
        return np.where(np.isnan(known), guess, np.log(known))


def make_screen(name: str | None, evaluator: Evaluator, quality: str) -> Screen | None:
    """Return the screen of a name; None for none.

    Args:
        name: "fitted", or the name of a proxy that is cheaper than the one that measures.
        evaluator: of the search.
        quality: the metric of the proxy that measures.

    Raises:
        InputError: an unknown name, or that of the proxy that measures.
        ProxyError: the space varies what the screen cannot see.
    """
    if name is None or name == NO_SCREEN:
        return None
    if name == FITTED:
        return Screen(evaluator, quality, guess_fitted)
    if name == evaluator.proxy.name:
        raise InputError(
            f"screen {name!r}: expected a cheaper proxy than the one that measures, {FITTED} or {NO_SCREEN}"
        )
    try:
        cheap = resolve(name)
    except InputError as error:
        raise InputError(f"screen {name!r}: expected {FITTED}, {NO_SCREEN} or a proxy: {error}") from None
    cheap.check(evaluator.space.family, evaluator.space.choices())
    memory = Remembering(cheap)
    return Screen(evaluator, quality, lambda *shapes: guess_mapped(memory, *shapes))


def guess_fitted(measured: ModelShape, logs: FloatArray, shapes: ModelShape) -> FloatArray | None:
    """Predict with a surrogate fitted to the most recent of the measured shapes."""
    recent = slice(max(0, len(logs) - FITTED_ROWS), None)
    features = shape_features(measured).take(recent)
    if len(features) < FITTED_FROM or not np.ptp(features.values, axis=0).any():
        return None
    guess, _ = fit(features, logs[recent]).predict(shape_features(shapes))
    return guess


def guess_mapped(cheap: Remembering, measured: ModelShape, logs: FloatArray, shapes: ModelShape) -> FloatArray | None:
    """Predict with a cheap proxy, whose logarithm a straight line maps onto the measured ones.

    A proxy that ranks the measured shapes the wrong way round, or all alike, tells nothing.
    """
    x = np.log(cheap.predict(measured).value)
    if len(x) < FITTED_FROM or not np.ptp(x) > 0:
        return None
    slope, level = np.polyfit(x, logs, 1)
    return None if slope <= 0 else np.asarray(level + slope * np.log(cheap.predict(shapes).value))


def promising(objectives: FloatArray, violation: FloatArray, rivals: FloatArray, wanted: int) -> IntArray:
    """Return the positions of the `wanted` best candidates, in their order; see `ranked`."""
    return np.sort(ranked(objectives, violation, rivals)[:wanted])


def ranked(objectives: FloatArray, violation: FloatArray, rivals: FloatArray) -> IntArray:
    """(n,) the positions of candidates, the best first: NSGA-II's ranking (Deb et al. 2002).

    Feasible ones first, by the rank of their non-dominated front among candidates and rivals, within a front by
    crowding distance; then infeasible ones by their violation. Of equals the first.

    Args:
        objectives: (n, objectives) of candidates, lower is better; may be NaN where infeasible.
        violation: (n,) 0 = feasible.
        rivals: (r, objectives) of measured designs that the candidates compete with.
    """
    feasible = np.flatnonzero(violation == 0)
    order: list[int] = []
    if len(feasible):
        merged = np.concatenate([objectives[feasible], rivals])
        for front in NonDominatedSorting().do(merged):
            members = np.sort(front)
            crowding = calc_crowding_distance(merged[members])
            by_crowding = members[np.argsort(-crowding, kind="stable")]
            order += feasible[by_crowding[by_crowding < len(feasible)]].tolist()
    beyond = np.flatnonzero(violation > 0)
    order += beyond[np.argsort(violation[beyond], kind="stable")].tolist()
    return np.array(order, dtype=np.int64)
