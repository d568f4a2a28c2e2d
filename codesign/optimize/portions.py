"""How many shapes are measured at once: what a worker is sent next, and what a process that measures itself takes.

A worker's portion should take about PORTION_SECONDS: much longer than sending it takes, and short enough that little is
lost with a worker and results come soon. Where there are so many workers that one driver could not feed them all in
that time, it is longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from codesign.design import ModelShape

PORTION_SECONDS = 0.1

DRIVER_SECONDS = 0.001
"""What sending a portion and taking its answers costs the driver, about; `codesign bench scaling` measures it."""

DRIVER_SHARE = 0.5
"""Of its time that the driver may spend on that."""

OWN_SECONDS = 1.0
"""What a portion takes in the process of the search: what an interruption may lose, and much longer than recording."""

GROWTH = 8
"""Times as many shapes as before, at most: the first may have been quicker than others."""

LATEST = 0.3
"""Weight of the latest portion in the running mean of the seconds that a shape takes."""


@dataclass
class Item:
    """One shape to measure."""

    ticket: int
    batch: ModelShape
    """The submitted shapes of which it is one."""
    row: int
    attempts: int = 0
    """That failed, or that ended with their worker."""


class Portions:
    """The shapes that wait for a worker."""

    def __init__(self) -> None:
        self._waiting = deque[Item]()
        self._suspects = deque[Item]()
        self._seconds_each = float("nan")

    def __len__(self) -> int:
        return len(self._waiting) + len(self._suspects)

    @property
    def seconds_each(self) -> float:
        """Mean time that a worker takes for a shape; NaN before anything was measured."""
        return self._seconds_each

    def add(self, items: Iterable[Item]) -> None:
        """Take new shapes."""
        self._waiting.extend(items)

    def suspect(self, items: Iterable[Item]) -> None:
        """Take shapes back that failed, or whose worker died: each is measured alone, so that the culprit is found."""
        self._suspects.extend(items)

    def next(self, workers: int) -> list[Item]:
        """Return what one of so many workers is to measure now; nothing if nothing waits.

        One shape until the time of a shape is known; never more than an equal share of half of what waits, so that all
        workers end together.
        """
        if self._suspects:
            return [self._suspects.popleft()]
        count = min(self.size(workers), len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    def size(self, workers: int) -> int:
        """Return how many shapes a portion has."""
        return 1 if np.isnan(self._seconds_each) else portion_size(self._seconds_each, len(self._waiting), workers)

    def took(self, seconds: float, count: int) -> None:
        """Learn from a portion of `count` shapes what one takes."""
        each = seconds / count
        known = not np.isnan(self._seconds_each)
        self._seconds_each = LATEST * each + (1 - LATEST) * self._seconds_each if known else each

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()
        self._suspects.clear()


class Pace:
    """How many shapes the process of a search measures at once: a few at first, then OWN_SECONDS of work."""

    def __init__(self, least: int) -> None:
        """Begin with the least number that is ever measured at once."""
        self._least = self.size = least
        self._shortest = float("inf")

    def took(self, seconds: float, count: int) -> None:
        """Learn from a portion of `count` shapes how many the next should have.

        Where one is the least, a portion may take twice as long as the shortest so far: a proxy to which many shapes
        are no more work than one is soon asked for many, however long that takes; if a shape takes a minute, for two.
        """
        if count < self.size and seconds < OWN_SECONDS:
            return  # the short end of a batch says little
        self._shortest = min(self._shortest, seconds)
        target = max(OWN_SECONDS, 2 * self._shortest) if self._least == 1 else OWN_SECONDS
        fit = int(target * count / max(seconds, 1e-9))
        self.size = max(self._least, min(fit, GROWTH * self.size))


def portion_size(seconds_each: float, waiting: int, workers: int) -> int:
    """Return how many shapes of so many that wait one of so many workers is sent, if each takes so long; at least 1."""
    target = max(PORTION_SECONDS, workers * DRIVER_SECONDS / DRIVER_SHARE)
    fit = int(min(target / max(seconds_each, 1e-9), 1e9))
    return max(1, min(fit, waiting // (2 * workers)))


def pieces(items: list[Item]) -> list[ModelShape]:
    """Return the shapes of items, in their order, those of one batch together."""
    groups = [list(group) for _, group in groupby(items, key=lambda item: id(item.batch))]
    return [group[0].batch.take(np.array([item.row for item in group], dtype=np.int64)) for group in groups]
