"""The last rung: when a search has ended, its best designs are measured again at the full budget of its proxy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from codesign import remeasured
from codesign.accuracy.protocol import Proxy, Quality, full_rung
from codesign.design import BoolArray, FloatArray, IntArray
from codesign.errors import ProxyError
from codesign.evaluation import Evaluations, Evaluator
from codesign.front import front_ids
from codesign.remeasured import Design, Noise, Plan, Remeasured
from codesign.run import Run
from codesign.ties import TIE, by_quality, neighbour_errors

NEAR_SHARE = 0.25
"""Designs behind the front that are measured again, as a share of the front: at most so many."""

BATCH = 4
"""Designs measured between two writes to the disk."""

BASELINE = 0


def complete(run: Run, evaluator: Evaluator, watch: Callable[[Run], None]) -> Run:
    """Measure what the full budget has not been spent on yet, and return the run with it.

    What an earlier, shorter search has measured again is taken over; the file ends as that of an undisturbed search.

    Args:
        run: finished.
        evaluator: of the search.
        watch: called with the run after each batch.

    Raises:
        ProxyError: the dearer rung fails, or measures something else.
        RunError: the disk is full or cannot be written; what was measured is kept.
    """
    dearer = full_rung(evaluator.proxy)
    if dearer is None or run.full is not None or not len(run.evaluations):
        return run
    run = _planned(run, evaluator.proxy)
    found = _content(run)
    known = set(found.ids.tolist())
    missing = [id_ for id_ in found.plan.ids if id_ not in known]
    watch(run)
    for start in range(0, len(missing), BATCH):
        batch = np.array(missing[start : start + BATCH], dtype=np.int64)
        found = remeasured.append(run.directory, found, _measured(run, evaluator, dearer, batch))
        run = replace(run, again=found)
        watch(run)
    in_order = tuple(sorted(found.designs, key=lambda design: design.id))
    if in_order != found.designs:
        found = replace(found, designs=in_order)
        remeasured.write(run.directory, found)
    return replace(run, again=remeasured.append(run.directory, found, [_noise(run, dearer, found)]))


def planned_ids(evaluations: Evaluations, objectives: tuple[str, ...], quality: str, error: Error) -> list[int]:
    """Return the ids to measure again: the baseline, the front, and designs that noise may have put behind it.

    A design is behind the front by its excess: the logarithm of its quality over the best quality among designs that
    cost no more in any objective. Of the designs of least excess, at most NEAR_SHARE times as many as the front has,
    those count whose excess is below two standard errors of it. Designs of equal quality are not behind by noise, and
    where quality is no objective no noise is in the front.
    """
    front = front_ids(evaluations, objectives)
    if quality not in objectives or not len(front):
        return sorted({BASELINE, *front.tolist()})
    rows = np.flatnonzero(evaluations.feasible)
    leader, excess = _behind(evaluations, objectives, quality, front, rows)
    order = np.argsort(excess, kind="stable")
    closest = [row for row in order.tolist() if excess[row] > 0][: int(NEAR_SHARE * len(front))]
    near = [int(rows[row]) for row in closest if excess[row] < TIE * error(int(rows[row]), int(leader[row]))]
    return sorted({BASELINE, *front.tolist(), *near})


Error = Callable[[int, int], float]
"""Standard error of the logarithm of the ratio of the qualities of two designs, by their ids; NaN = unknown."""


def _behind(
    evaluations: Evaluations, objectives: tuple[str, ...], quality: str, front: IntArray, rows: IntArray
) -> tuple[IntArray, FloatArray]:
    """(n,) the best front design that costs no more than each design, and by how much its quality is better."""
    logs = np.log(evaluations.metrics[quality])
    costs = [evaluations.metrics[name] for name in objectives if name != quality]
    cheaper: BoolArray = np.ones((len(rows), len(front)), dtype=np.bool_)
    for cost in costs:
        cheaper &= cost[front][None, :] <= cost[rows][:, None]
    best = np.where(cheaper, logs[front], np.inf)
    return np.asarray(front[best.argmin(axis=1)]), np.asarray(logs[rows] - best.min(axis=1))


def _planned(run: Run, proxy: Proxy) -> Run:
    """Return the run with a plan on the disk for what is evaluated now."""
    if run.again is not None and run.again.plan.evaluations == len(run.evaluations):
        return run
    shapes, errors = run.space.decode(run.evaluations.genomes).shape, run.evaluations.log_standard_error

    def error(one: int, two: int) -> float:
        pair = (errors[[one]], errors[[two]])
        return float(proxy.compare(shapes.take(np.array([one])), shapes.take(np.array([two])), pair)[0])

    ids = planned_ids(run.evaluations, run.space.objectives, run.manifest.quality, error)
    taken_over = tuple(design for design in (run.again.designs if run.again else ()) if design.id in set(ids))
    content = Remeasured(Plan(evaluations=len(run.evaluations), ids=ids), taken_over)
    remeasured.write(run.directory, content)
    return replace(run, again=content)


def _content(run: Run) -> Remeasured:
    assert run.again is not None
    return run.again


def _measured(run: Run, evaluator: Evaluator, dearer: Proxy, ids: IntArray) -> list[Design]:
    """Return designs at the full budget; a limit of quality relative to the baseline's is taken at that budget too."""
    shapes, baseline = run.space.decode(run.evaluations.genomes[ids]).shape, run.space.baseline.shape
    quality, of_baseline = _asked(run, dearer, ids), dearer.predict(baseline)
    ratio = dearer.compare(shapes, baseline, (quality.log_standard_error, of_baseline.log_standard_error))
    metrics = {name: column[ids] for name, column in run.evaluations.metrics.items()} | {quality.metric: quality.value}
    violation = evaluator.with_baseline_quality(quality.metric, float(of_baseline.value[0])).violation(metrics)
    columns = (ids, quality.value, quality.log_standard_error, ratio, quality.extrapolated, violation)
    return [Design(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _asked(run: Run, dearer: Proxy, ids: IntArray) -> Quality:
    try:
        quality = dearer.predict(run.space.decode(run.evaluations.genomes[ids]).shape)
    except ProxyError as error:
        raise ProxyError(
            f"{error}; all evaluations are kept; once the proxy is mended: codesign resume {run.directory}"
        ) from error
    if quality.metric != run.manifest.quality:
        raise ProxyError(
            f"proxy {dearer.name!r} at full budget: expected the metric {run.manifest.quality}, got {quality.metric}"
        )
    return quality


def _noise(run: Run, dearer: Proxy, found: Remeasured) -> Noise:
    """Return the noise between neighbours on the front of what was measured again."""
    quality, again = run.manifest.quality, np.zeros(len(run.evaluations), dtype=np.bool_)
    again[found.ids] = True
    judged = found.judged(run.evaluations, quality)
    front = by_quality(judged, quality, front_ids(judged, run.space.objectives, again))
    return Noise(front.tolist(), neighbour_errors(judged, run.space, dearer, front).tolist())
