"""One driver and many workers as a discrete-event simulation: what limits a search, and from how many workers on.

The driver is one thread. It looks which portions are done, takes their answers, records and learns, asks for new
designs and costs them, and sends portions to the workers that are free; meanwhile these wait. A worker measures its
portion and waits for the next. Deaths, networks that saturate, and the memory of the driver are left out.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign.optimize.portions import PORTION_SECONDS, portion_size

Size = Callable[[float, int, int], int]
"""(seconds of an evaluation, evaluations that wait, workers) -> evaluations of a portion."""


@dataclass(frozen=True)
class Overheads:
    """Seconds of the driver, as measured."""

    send: float
    """To send a portion."""
    receive: float
    """To take its answers."""
    look: float
    """To look which calls are done, for each call that is open."""
    travel: float
    """From the end of a portion on a worker until the driver can see it, and from sending one until it begins."""
    ask: float
    """To ask for a design and to learn from it: before it can be sent."""
    cost: float
    """To cost a design and record it: while the workers measure."""


@dataclass(frozen=True)
class Load:
    """What a cluster works on."""

    workers: int
    seconds: float
    """Of an evaluation on a worker."""
    evaluations: int
    batch: int | None = None
    """Evaluations asked for at once, all told before the next are asked; None = new ones are asked as others end."""
    spread: float = 0.0
    """Standard deviation of the logarithm of an evaluation's seconds."""


@dataclass(frozen=True)
class Outcome:
    """How it went."""

    elapsed: float
    """Seconds."""
    busy: float
    """Share of its time that the driver worked."""
    efficiency: float
    """Time that the workers measured over the time that they were there."""
    throughput: float
    """Evaluations a second."""


def one_each(_seconds: float, _waiting: int, _workers: int) -> int:
    """Send one evaluation at a time, as a pool without portions does."""
    return 1


def tenth_of_a_second(seconds: float, waiting: int, workers: int) -> int:
    """Send what takes PORTION_SECONDS, however many workers there are."""
    return max(1, min(int(PORTION_SECONDS / seconds), waiting // (2 * workers)))


class Simulation:
    """The state of one simulated search."""

    def __init__(self, load: Load, overheads: Overheads, size: Size = portion_size, seed: int = 0) -> None:
        self._load, self._overheads, self._size = load, overheads, size
        self._rng = np.random.default_rng(seed)
        self._now = self._worked = self._measured = 0.0
        self._open: list[tuple[float, int]] = []
        """When a portion is back, and its evaluations."""
        self._idle = load.workers
        self._unasked = load.evaluations
        self._waiting = self._pending = 0

    def run(self) -> Outcome:
        """Simulate until all evaluations are told."""
        load = self._load
        self._ask()
        while self._open:
            self._now = max(self._now, self._open[0][0])
            self._work(self._overheads.look * len(self._open))
            self._take()
            self._ask()
        available = load.workers * self._now
        return Outcome(self._now, self._worked / self._now, self._measured / available, load.evaluations / self._now)

    def _work(self, seconds: float) -> None:
        self._now += seconds
        self._worked += seconds

    def _ask(self) -> None:
        """Ask for a batch when all of the last is told, without batches for as many as keep portions full; send it."""
        load = self._load
        if load.batch is None:
            wanted = DEPTH * load.workers * max(1, self._size(load.seconds, 2 * load.workers * 10**9, load.workers))
            count = min(self._unasked, wanted - self._pending)
        else:
            count = 0 if self._pending else min(self._unasked, load.batch)
        self._unasked -= count
        self._pending += count
        self._waiting += count
        self._work(count * self._overheads.ask)
        self._feed()
        self._work(count * self._overheads.cost)

    def _feed(self) -> None:
        while self._idle and self._waiting:
            count = min(self._size(self._load.seconds, self._waiting, self._load.workers), self._waiting)
            self._work(self._overheads.send)
            seconds = self._seconds(count)
            self._measured += seconds
            heapq.heappush(self._open, (self._now + seconds + self._overheads.travel, count))
            self._idle -= 1
            self._waiting -= count

    def _take(self) -> None:
        """Take the answers of what is done by now; what ends in the meantime is seen at the next look."""
        seen = self._now
        while self._open and self._open[0][0] <= seen:
            _, count = heapq.heappop(self._open)
            self._work(self._overheads.receive)
            self._pending -= count
            self._idle += 1

    def _seconds(self, count: int) -> float:
        """Draw what a portion takes: a sum of log-normal times of the given mean, as a normal one where it is long."""
        seconds, spread = self._load.seconds, self._load.spread
        if not spread:
            return count * seconds
        if count > MANY:
            deviation = seconds * np.sqrt(np.expm1(spread**2) * count)
            return float(max(self._rng.normal(count * seconds, deviation), 0.0))
        return float(seconds * self._rng.lognormal(-(spread**2) / 2, spread, count).sum())


DEPTH = 4
"""Portions a worker that are asked for ahead, where there are no batches: half of them may be in flight."""

MANY = 100
"""Evaluations from which a sum of their times counts as normal."""
