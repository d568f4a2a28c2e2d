"""Stopping when the front no longer grows: the rule, its evidence, and how it is said.

After each whole batch the hypervolume of the front is compared with that of the front as it was `patience` evaluations
ago. Both follow from the record, so the evidence is not written down: it is computed again from run.json's rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.design import IntArray
from codesign.evaluation import Evaluations
from codesign.front import dominated_volume, front_ids, reference_point
from codesign.manifest import Stop
from codesign.run import Run
from codesign.run_log import last_event


@dataclass(frozen=True)
class Evidence:
    """The two ends of a plateau."""

    since: int
    """Evaluations at its beginning."""
    until: int
    """Evaluations at its end."""
    volume_then: float
    """Hypervolume of the front of the first `since` evaluations."""
    volume_now: float
    """Hypervolume of the front of the first `until` evaluations."""

    def text(self) -> str:
        """Return it as people read it."""
        growth = self.volume_now / self.volume_then - 1.0
        return (
            f"hypervolume grew by {growth:.3%}, from {self.volume_then:.6g} at {self.since} evaluations "
            f"to {self.volume_now:.6g} at {self.until}"
        )


class Volume:
    """The hypervolume of a growing front; what has left the front is not looked at again."""

    def __init__(self, objectives: tuple[str, ...]) -> None:
        self._objectives = objectives
        self._front: IntArray = np.zeros(0, dtype=np.int64)
        self._count = 0

    def at(self, evaluations: Evaluations, count: int) -> float:
        """Return the hypervolume of the first `count` evaluations, no fewer than were asked about before."""
        rows = np.concatenate([self._front, np.arange(self._count, count)])
        part = evaluations.take(rows)
        self._front, self._count = np.sort(rows[front_ids(part, self._objectives)]), count
        if not len(self._front):
            return 0.0
        values = evaluations.take(self._front).objectives(self._objectives)
        return dominated_volume(values, reference_point(evaluations.take(slice(0, 1)), self._objectives))


class Plateau:
    """Watches for a plateau while a search goes on."""

    def __init__(self, stop: Stop, objectives: tuple[str, ...]) -> None:
        self._stop = stop
        self._now, self._then = Volume(objectives), Volume(objectives)

    def evidence(self, evaluations: Evaluations) -> Evidence | None:
        """Return why a search that has made these evaluations should stop; None if it should not.

        Before any design is feasible there is no front, and so no plateau.
        """
        until = len(evaluations)
        since = until - self._stop.patience
        if since < 1:
            return None
        then, now = self._then.at(evaluations, since), self._now.at(evaluations, until)
        if then <= 0.0 or now - then >= self._stop.plateau * then:
            return None
        return Evidence(since, until, then, now)


def stopped(run: Run) -> str:
    """Return why a search was stopped before its budget was used, with the evidence; empty if it was not.

    Where nothing says whether it was stopped or interrupted, the text says so.
    """
    stop, done = run.manifest.stop, len(run.evaluations)
    if stop is None or not done or done >= run.manifest.budget:
        return ""
    whole = _whole(run)
    found = None if whole is False else Plateau(stop, run.space.objectives).evidence(run.evaluations)
    if found is None:
        return ""
    return said(found, stop) if whole else f"interrupted, or {said(found, stop)}"


def _whole(run: Run) -> bool | None:
    """Return whether the rule was asked after the last evaluation; None where nothing says.

    The record does not hold how many designs a batch was to have: an algorithm may ask for whole groups. The log does.
    """
    done, event = len(run.evaluations), last_event(run.directory)
    if run.manifest.order == "async" or (event and event.event == "finished" and event.evaluations == done):
        return True
    return False if done - int(run.asks.after.max()) < (run.manifest.batch or 1) else None


def said(evidence: Evidence, stop: Stop) -> str:
    """Return a reason to stop, with the options that gave it."""
    return f"stopped: {evidence.text()} (patience {stop.patience}, plateau {stop.plateau:g})"
