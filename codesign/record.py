"""evaluations.jsonl: one evaluated design a line, in the order in which the algorithm asked for them.

Lines are only ever appended, a batch at a time, by one writer, and flushed to the disk before the algorithm learns of
them. Each ends with its checksum. A last line torn by a crash is dropped; any other damage is refused. `record_columns`
reads them. docs/run_format.md is the full description.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from codesign import journal
from codesign.design import IntArray
from codesign.errors import RunError
from codesign.evaluation import Evaluations
from codesign.journal import EVALUATIONS as EVALUATIONS
from codesign.journal import REMEASURED as REMEASURED
from codesign.lines import only_writer
from codesign.remote.copies import mirrored

UNKNOWN = -1


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of evaluations.jsonl, its checksum aside; null where a number does not exist."""

    id: int
    genome: list[int]
    metrics: dict[str, float | None]
    log_standard_error: float | None
    extrapolated: bool
    violation: float
    after: int = UNKNOWN
    """How many evaluations the algorithm had been told when it asked for this one; absent in runs of format 1."""
    order: int | None = None
    """Position in the order of asking; absent where it is the id."""
    failure: str = ""
    """Why the quality could not be found; absent where it was."""


@dataclass(frozen=True)
class Asks:
    """When the n designs of a record were asked for. Designs of one batch have the same `after`."""

    after: IntArray  # (n,) evaluations that the algorithm had been told by then; UNKNOWN in runs of format 1
    order: IntArray  # (n,) position in the order of asking

    def __len__(self) -> int:
        return len(self.after)

    def take(self, rows: slice) -> Asks:
        """Return the asks at `rows`."""
        return Asks(self.after[rows], self.order[rows])


def one_batch(start: int, count: int) -> Asks:
    """Return the asks of a batch of `count` designs whose first id is `start`, all of the earlier ones told."""
    return Asks(np.full(count, start, dtype=np.int64), np.arange(start, start + count, dtype=np.int64))


def append(directory: Path, evaluations: Evaluations, asks: Asks, start: int) -> None:
    """Append evaluations whose first id is `start`, and flush them to the disk.

    Raises:
        RunError: the disk is full or cannot be written; what was there before is kept.
    """
    journal.append(directory / EVALUATIONS, _lines(evaluations, asks, start), f"{start} evaluations")


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Be the only writer of a run; on entry, cut off torn last lines.

    If the directory is the working copy of a run on another storage, both are equal on entry, and whatever is written
    is there too before its writer goes on.

    Raises:
        RunError: another process writes to it, or it cannot be written.
    """
    busy = f"{directory}: another process is writing to this run; wait for it or stop it"
    again = directory / REMEASURED
    with only_writer(directory / EVALUATIONS, RunError, busy, create=False):
        if again.exists():
            with only_writer(again, RunError, busy, create=False):
                pass  # its torn tail is gone
        with mirrored(directory):
            yield


def _lines(evaluations: Evaluations, asks: Asks, start: int) -> Iterator[Line]:
    names = list(evaluations.metrics)
    metrics = zip(*(column.tolist() for column in evaluations.metrics.values()), strict=True)
    columns = (
        evaluations.genomes,
        evaluations.log_standard_error,
        evaluations.extrapolated,
        evaluations.violation,
        asks.after,
        asks.order,
        evaluations.failure,
    )
    rows = zip(metrics, *(column.tolist() for column in columns), strict=True)
    for id_, (values, genome, error, extrapolated, violation, after, order, failure) in enumerate(rows, start):
        yield Line(
            id=id_,
            genome=genome,
            metrics=dict(zip(names, values, strict=True)),
            log_standard_error=error,
            extrapolated=extrapolated,
            violation=violation,
            after=after,
            order=None if order == id_ else order,
            failure=failure,
        )
