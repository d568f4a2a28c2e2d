"""From genomes to evaluations through a pool: each distinct shape is measured once, in ask order or as answers come.

Costs are exact and cheap, so they are computed here, a batch at once, while the pool measures. Only the quality of
shapes that nobody knows yet goes to the pool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import numpy as np

from codesign.design import FloatArray, IntArray
from codesign.errors import ProxyError
from codesign.evaluation import Evaluations, Evaluator, joined
from codesign.optimize.pool import Answer, Pool, failed

FAILURES_IN_A_ROW = 20
"""Distinct shapes that fail one after the other before the proxy is taken to be broken."""


@dataclass(frozen=True)
class _Batch:
    """Designs that were submitted together."""

    genomes: IntArray  # (n, genes)
    costs: dict[str, FloatArray]  # metric -> (n,)
    keys: list[bytes]
    """Of each shape."""


class _Place(NamedTuple):
    """One submitted design."""

    position: int
    batch: _Batch
    row: int

    @property
    def key(self) -> bytes:
        return self.batch.keys[self.row]


@dataclass
class Measuring:
    """Designs in, evaluations out.

    Positions count the submitted designs from 0. `ordered` gives designs back in the order of submission whatever order
    the answers come in, so that what a search records does not depend on who was faster.
    """

    evaluator: Evaluator
    quality: str
    """Name of the quality metric."""
    pool: Pool
    ordered: bool = True
    _failed: dict[bytes, Answer] = field(default_factory=dict)
    """Shapes that cannot be measured; values are kept where the evaluator keeps its own."""
    _tickets: dict[int, bytes] = field(default_factory=dict)
    """Of shapes that the pool measures."""
    _line: deque[_Place] = field(default_factory=deque)
    """Designs in order, from the first that was not given back; used if ordered."""
    _waiting: dict[bytes, list[_Place]] = field(default_factory=dict)
    """Designs by the shape whose answer is not there yet."""
    _held: list[_Place] = field(default_factory=list)
    """Failed designs after which no measured one came yet: it may be the proxy that is broken."""
    _ready: list[_Place] = field(default_factory=list)
    """Designs to give back next."""
    _submitted: int = 0
    _given: int = 0
    _judged: set[bytes] = field(default_factory=set)
    """Measured shapes that were counted as a success or a failure."""
    _failures: int = 0
    """Measured shapes that failed since the last one that did not."""

    @property
    def size(self) -> int:
        """Evaluations that can run at once."""
        return self.pool.size

    @property
    def pending(self) -> int:
        """Designs that were submitted and not given back."""
        return self._submitted - self._given

    def remember(self, evaluations: Evaluations) -> None:
        """Take the quality of recorded designs as known, and those that failed as failed: none is measured again."""
        bad = evaluations.failure != ""
        self.evaluator.remember(evaluations.take(np.flatnonzero(~bad)), self.quality)
        rows = np.flatnonzero(bad)
        shape = self.evaluator.space.decode(evaluations.genomes[rows]).shape
        for key, row in zip(self.evaluator.proxy.keys(shape), rows, strict=True):
            self._failed[key] = failed(str(evaluations.failure[row]))
        self._judged.update(self._failed)

    def submit(self, genomes: IntArray) -> None:
        """Take n designs: unknown shapes go to the pool first, then costs are computed while it measures."""
        shape = self.evaluator.space.decode(genomes).shape
        keys = self.evaluator.proxy.keys(shape)
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        new = {row: key for key, row in first.items() if not self._known(key) and key not in self._waiting}
        rows = sorted(new)
        tickets = self.pool.submit(shape.take(np.array(rows, dtype=np.int64))) if rows else []
        self._tickets |= {ticket: new[row] for ticket, row in zip(tickets, rows, strict=True)}
        batch = _Batch(np.asarray(genomes, np.int64), self.evaluator.costs(genomes), keys)
        for row, key in enumerate(keys):
            place = _Place(self._submitted + row, batch, row)
            if self.ordered:
                self._line.append(place)
            elif self._known(key):
                self._arrive(place)
            if not self._known(key):
                self._waiting.setdefault(key, []).append(place)
        self._submitted += len(genomes)

    def measured(self) -> tuple[IntArray, Evaluations]:
        """Wait for designs, and return the positions and evaluations of at least one.

        A failed one is given back when one that did not fail follows, or no other is to come.

        Raises:
            ValueError: nothing is pending, or the pool was closed.
            ProxyError: the last FAILURES_IN_A_ROW shapes that were measured all failed.
            CodesignError: what the pool raises.
        """
        if not self.pending:
            raise ValueError("nothing is pending")
        self._take(self.pool.answers(block=False))  # what is there goes along with what was known
        while not self._next_ready():
            answers = self.pool.answers()
            if not answers:
                raise ValueError(f"the pool has no answers to {len(self._tickets)} shapes; it was closed")
            self._take(answers)
        places, self._ready = self._ready, []
        self._given += len(places)
        positions = np.array([place.position for place in places], dtype=np.int64)
        groups = [list(group) for _, group in groupby(places, key=lambda place: id(place.batch))]
        return positions, joined([self._evaluations(group) for group in groups])

    def in_order(self, genomes: IntArray) -> Iterator[Evaluations]:
        """Evaluate n designs, and yield them in portions as they are there, each the next of the n in their order."""
        self.submit(genomes)
        while self.pending:
            yield self.measured()[1]

    def _known(self, key: bytes) -> bool:
        return key in self.evaluator.proxy.answers or key in self._failed

    def _answer(self, key: bytes) -> Answer:
        return self._failed[key] if key in self._failed else Answer(*self.evaluator.proxy.answers[key])

    def _take(self, answers: list[tuple[int, Answer]]) -> None:
        for ticket, answer in answers:
            self._learn(self._tickets.pop(ticket), answer)

    def _learn(self, key: bytes, answer: Answer) -> None:
        if answer.failure:
            self._failed[key] = answer
        else:
            self.evaluator.proxy.metric[:] = [self.quality]
            self.evaluator.proxy.answers[key] = (answer.value, answer.log_standard_error, answer.extrapolated)
        places = self._waiting.pop(key)
        if not self.ordered:
            for place in places:
                self._arrive(place)

    def _next_ready(self) -> bool:
        """Whether there are designs to give back; in ordered mode, of those up to the first one still unknown."""
        while self._line and self._known(self._line[0].key):
            self._arrive(self._line.popleft())
        if not self._waiting:
            self._release()
        return bool(self._ready)

    def _arrive(self, place: _Place) -> None:
        """Hold a failed design back, and let all go with one that did not fail."""
        self._judge(place.key)
        self._held.append(place)
        if place.key not in self._failed:
            self._release()

    def _release(self) -> None:
        self._ready += self._held
        self._held = []

    def _judge(self, key: bytes) -> None:
        """Count failures in the order in which designs are given back: in ordered mode it is always the same."""
        if key in self._judged:
            return
        self._judged.add(key)
        failure = self._answer(key).failure
        self._failures = self._failures + 1 if failure else 0
        if self._failures >= FAILURES_IN_A_ROW:
            raise ProxyError(
                f"proxy {self.evaluator.proxy.name!r}: the last {FAILURES_IN_A_ROW} shapes all failed; mend it, or "
                f"take out of the search space what it cannot measure; the last failure was:\n{failure}"
            )

    def _evaluations(self, places: list[_Place]) -> Evaluations:
        """Return the evaluations of designs of one batch."""
        batch, rows = places[0].batch, [place.row for place in places]
        answers = [self._answer(place.key) for place in places]
        metrics = {self.quality: np.array([answer.value for answer in answers], dtype=np.float64)}
        metrics |= {name: column[rows] for name, column in batch.costs.items()}
        failure = np.array([answer.failure for answer in answers], dtype=np.object_)
        violation = self.evaluator.violation(metrics)
        return Evaluations(
            genomes=batch.genomes[rows],
            metrics=metrics,
            log_standard_error=np.array([answer.log_standard_error for answer in answers], dtype=np.float64),
            extrapolated=np.array([answer.extrapolated for answer in answers], dtype=np.bool_),
            # Also where quality is no objective: nothing is known of a design that cannot be measured.
            violation=np.where(failure == "", violation, np.maximum(violation, 1.0)),
            failure=failure,
        )
