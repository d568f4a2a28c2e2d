"""A pool that sends to its workers only what no run has measured before; see `codesign.accuracy.cache`."""

from __future__ import annotations

import numpy as np

from codesign.accuracy.cache import Cached
from codesign.accuracy.protocol import Quality
from codesign.design import ModelShape
from codesign.optimize.pool import Answer, Pool, row_of


class CachedPool:
    """Another pool, whose workers know nothing of the cache: here is looked up what is known, and kept what comes."""

    def __init__(self, pool: Pool, proxy: Cached, metric: str) -> None:
        """Take a pool.

        Args:
            pool: measures; by the same proxy, without its cache.
            proxy: knows the cache.
            metric: of the proxy.
        """
        self._pool, self._proxy, self._metric = pool, proxy, metric
        self._tickets = 0
        self._known: list[tuple[int, Answer]] = []
        self._sent: dict[int, tuple[int, ModelShape]] = {}

    @property
    def size(self) -> int:
        """See `Pool.size`."""
        return self._pool.size

    def submit(self, shape: ModelShape) -> list[int]:
        """See `Pool.submit`."""
        tickets = list(range(self._tickets, self._tickets + len(shape)))
        self._tickets += len(shape)
        found = self._proxy.recall(shape)
        unknown = np.ones(len(shape), dtype=np.bool_) if found is None else np.isnan(found.value)
        if found is not None:
            columns = (found.value, found.log_standard_error, found.extrapolated)
            answers = [Answer(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
            self._known += [(tickets[row], answers[row]) for row in np.flatnonzero(~unknown).tolist()]
        rows = np.flatnonzero(unknown)
        if len(rows):
            sent = zip(self._pool.submit(shape.take(rows)), rows.tolist(), strict=True)
            self._sent |= {ticket: (tickets[row], row_of(shape, row)) for ticket, row in sent}
        return tickets

    def answers(self, block: bool = True) -> list[tuple[int, Answer]]:
        """See `Pool.answers`. What is known waits for nobody."""
        found, self._known = self._known, []
        measured = []
        for ticket, answer in self._pool.answers(block and not found) if self._sent else []:
            own, shape = self._sent.pop(ticket)
            found.append((own, answer))
            if not answer.failure:
                measured.append((shape, _quality(self._metric, answer), answer.seconds))
        if measured:
            self._proxy.remember(measured)
        return found

    def close(self) -> None:
        """See `Pool.close`."""
        self._known.clear()
        self._sent.clear()
        self._pool.close()


def _quality(metric: str, answer: Answer) -> Quality:
    """Return one answer as columns."""
    return Quality(
        metric, np.array([answer.value]), np.array([answer.log_standard_error]), np.array([answer.extrapolated])
    )
