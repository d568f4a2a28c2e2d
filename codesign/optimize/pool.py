"""Where quality is measured: a pool takes shapes and gives back an answer to each, in whatever order they come.

An evaluation that raises is tried again; one that raises ATTEMPTS times is answered with its traceback, so that one bad
shape does not end a search. `InProcess` measures here; `ray_pool.RayPool` on the workers of a cluster.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections import deque
from dataclasses import dataclass
from os import cpu_count
from typing import Protocol

import numpy as np

from codesign.accuracy.proxy import Proxy, is_law, is_supernet
from codesign.design import ModelShape
from codesign.optimize.portions import Pace

ATTEMPTS = 3
"""How often an evaluation may fail before that is its answer."""

SHAPES_A_CORE = 4
"""Measured at once at least, where each core measures one: few cores are idle while the last shapes are measured."""

LONGEST_FAILURE = 10_000
"""Characters of a traceback that are kept, the last ones: what was raised stands at the end."""


@dataclass(frozen=True)
class Answer:
    """What a proxy said of one shape."""

    value: float
    """NaN if it failed."""
    log_standard_error: float
    """NaN if it failed, or if the proxy gives none."""
    extrapolated: bool
    failure: str = ""
    """The traceback of the last attempt; empty if there is a value."""
    seconds: float = np.nan
    """That measuring took, shared evenly among the shapes asked for together; NaN if it failed, or was known."""


class Pool(Protocol):
    """Measures shapes. Tickets are numbers 0, 1, 2, ... in the order of submission."""

    @property
    def size(self) -> int:
        """Evaluations that can run at once."""

    def submit(self, shape: ModelShape) -> list[int]:
        """Take n shapes to measure, and return a ticket for each."""

    def answers(self, block: bool = True) -> list[tuple[int, Answer]]:
        """Return the answers that have come since the last call, each ticket once, in any order.

        Args:
            block: wait for at least one, if any is to come.
        """

    def close(self) -> None:
        """Stop; what was submitted and not answered is forgotten."""


class InProcess:
    """Measures in this process, when it is asked for answers: a batch in portions, and alone what fails in one.

    What is answered is recorded and cached, so an interruption loses a portion, see `Pace`. How a batch is cut depends
    on the clock, and what a proxy says of a shape must not depend on the cut. The last bits of some equations do
    (products of matrices round by the number of rows), so laws are never cut: each batch is one question. A supernet
    measures each shape by itself, on all cores, and is asked for SHAPES_A_CORE for each at least. Others begin with one
    shape; where one takes microseconds, whole batches are soon one question.

    A portion in which a shape fails is measured twice, if the proxy raises at its end.
    """

    size = 1

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._pace = Pace(fewest(proxy.name))
        self._waiting = deque[tuple[list[int], ModelShape]]()
        self._tickets = 0

    def submit(self, shape: ModelShape) -> list[int]:
        """See `Pool.submit`."""
        tickets = list(range(self._tickets, self._tickets + len(shape)))
        self._tickets += len(shape)
        if tickets:
            self._waiting.append((tickets, shape))
        return tickets

    def answers(
        self,
        block: bool = True,  # noqa: ARG002 - the protocol's; nothing is measured while nobody asks
    ) -> list[tuple[int, Answer]]:
        """Measure one portion of a batch that was submitted, or if that fails its first shape.

        The shapes after a failed one are measured by the next calls, so that the caller can stop after some failures.
        """
        while self._waiting:
            tickets, shape = self._portion()
            found = attempt(self._proxy, shape)
            if len(shape) == 1:
                for _ in range(ATTEMPTS - 1):
                    found = attempt(self._proxy, shape) if found[0].failure else found
            elif found[0].failure:
                self._waiting.extendleft(reversed([([tickets[row]], row_of(shape, row)) for row in range(len(shape))]))
                continue
            if not found[0].failure:
                self._pace.took(found[0].seconds * len(found), len(found))
            return list(zip(tickets, found, strict=True))
        return []

    def close(self) -> None:
        """See `Pool.close`."""
        self._waiting.clear()

    def _portion(self) -> tuple[list[int], ModelShape]:
        """Take the first shapes that wait, of one batch."""
        tickets, shape = self._waiting.popleft()
        count = self._pace.size
        if count < len(tickets):
            self._waiting.appendleft((tickets[count:], shape.take(slice(count, None))))
        return tickets[:count], shape.take(slice(count))


def fewest(proxy: str) -> int:
    """Return how many shapes a proxy of this name is asked for at once, at least; see `InProcess`."""
    if is_law(proxy):
        return sys.maxsize
    return SHAPES_A_CORE * (cpu_count() or 1) if is_supernet(proxy) else 1


def row_of(shape: ModelShape, row: int) -> ModelShape:
    """Return one of n shapes."""
    return shape.take(slice(row, row + 1))


def attempt(proxy: Proxy, shape: ModelShape) -> list[Answer]:
    """Ask a proxy once about n shapes; if it raises, all n answers are failures.

    The traceback begins in this function, so it reads the same wherever a pool calls it.
    """
    try:
        start = time.perf_counter()
        quality = proxy.predict(shape)
        each = (time.perf_counter() - start) / len(shape)
        columns = (quality.value, quality.log_standard_error, quality.extrapolated)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [Answer(value, error, beyond, "", each) for value, error, beyond in rows]
    except Exception as error:  # a user's proxy may raise anything
        return [failed(explained(error))] * len(shape)


def failed(reason: str) -> Answer:
    """Return the answer of a shape that cannot be measured."""
    return Answer(np.nan, np.nan, False, reason)


def explained(error: BaseException) -> str:
    """Return an error with its traceback, cut to LONGEST_FAILURE."""
    return "".join(traceback.format_exception(error)).strip()[-LONGEST_FAILURE:]
