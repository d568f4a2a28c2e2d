"""All evaluations of a run while they grow: what is appended costs its own length, in the columns and for the front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.design import IntArray
from codesign.evaluation import COLUMNS, Evaluations
from codesign.front import front_of
from codesign.record import Asks

Columns = Mapping[str, npt.NDArray[Any]]


class Archive:
    """Evaluations and their asks, in the order of the record.

    What was handed out stays as it is: rows are written behind it, in room that is doubled when it is used up.
    """

    def __init__(self, evaluations: Evaluations, asks: Asks) -> None:
        self.evaluations, self.asks = evaluations, asks
        self._room: dict[str, npt.NDArray[Any]] = dict(_flat(evaluations, asks))
        self._front: IntArray = np.empty(0, dtype=np.int64)
        self._seen = 0

    def add(self, evaluations: Evaluations, asks: Asks, ahead: int = 0) -> None:
        """Append evaluations; afterwards `evaluations` and `asks` are the longer columns.

        Where it is known that about so many more lie `ahead`, larger room has place for them too.
        """
        start, end = len(self.evaluations), len(self.evaluations) + len(evaluations)
        for name, rows in _flat(evaluations, asks).items():
            if end > len(self._room[name]):
                self._room[name] = _larger(self._room[name][:start], end + ahead)
            self._room[name][start:end] = rows
        flat = {name: column[:end] for name, column in self._room.items()}
        metrics = {name: flat[f"{METRIC}{name}"] for name in self.evaluations.metrics}
        self.evaluations = Evaluations(metrics=metrics, **{name: flat[name] for name in COLUMNS})
        self.asks = Asks(flat["after"], flat["order"])

    def front_ids(self, objectives: tuple[str, ...]) -> IntArray:
        """(k,) ids of the front of all evaluations, sorted by the first objective.

        Only what came since the last call is compared, with the front of what was there: what that dominated stays so.

        Args:
            objectives: names of metrics, the same at each call.
        """
        new = self._seen + np.flatnonzero(self.evaluations.violation[self._seen :] == 0)
        among = np.sort(np.concatenate([self._front, new]))  # of equal designs the first stays
        self._front, self._seen = front_of(self.evaluations, objectives, among), len(self.evaluations)
        return self._front.copy()


METRIC = "metric "
"""Before the names of metrics among the columns of an archive."""


def _flat(evaluations: Evaluations, asks: Asks) -> Columns:
    metrics = {f"{METRIC}{name}": column for name, column in evaluations.metrics.items()}
    return metrics | {name: getattr(evaluations, name) for name in COLUMNS} | {"after": asks.after, "order": asks.order}


def _larger(rows: npt.NDArray[Any], least: int) -> npt.NDArray[Any]:
    """Return room for at least so many rows that begins with these."""
    room = np.empty((max(least, 2 * len(rows)), *rows.shape[1:]), dtype=rows.dtype)
    room[: len(rows)] = rows
    return room
