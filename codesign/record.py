"""evaluations.jsonl: one evaluated design a line, in the order in which the algorithm asked for them.

Lines are only ever appended, a batch at a time, by one writer, and flushed to the disk before the algorithm learns of
them. A last line torn by a crash is dropped; any other damage is refused. docs/run_format.md is the full description.
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
from codesign.lines import only_writer, whole_lines
from codesign.space import SearchSpace

EVALUATIONS = "evaluations.jsonl"
REMEASURED = "remeasured.jsonl"
"""See `remeasured`."""


UNKNOWN = -1


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of evaluations.jsonl; null where a number does not exist."""

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

    def joined(self, more: Asks) -> Asks:
        """Return these asks and more."""
        return Asks(np.concatenate([self.after, more.after]), np.concatenate([self.order, more.order]))


def one_batch(start: int, count: int) -> Asks:
    """Return the asks of a batch of `count` designs whose first id is `start`, all of the earlier ones told."""
    return Asks(np.full(count, start, dtype=np.int64), np.arange(start, start + count, dtype=np.int64))


def read(directory: Path, space: SearchSpace, names: list[str]) -> tuple[Evaluations, Asks]:
    """Read the evaluations of a run, with metrics of these names, and their asks. A torn last line is left out.

    Raises:
        RunError: no such file, or it is damaged; names the line.
    """
    path = directory / EVALUATIONS
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}; restore the file from a copy") from None
    lines = []
    for number, raw in enumerate(whole_lines(data)):
        try:
            line = msgspec.json.decode(raw, type=Line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RunError(f"{path}: line {number + 1} is damaged: {error}; restore the file from a copy") from None
        _check_line(f"{path}: line {number + 1}", line, number, space, names)
        lines.append(line)
    return _columns(lines, space, names), _asks(lines)


def append(directory: Path, evaluations: Evaluations, asks: Asks, start: int) -> None:
    """Append evaluations whose first id is `start`, and flush them to the disk.

    Raises:
        RunError: the disk is full or cannot be written; what was there before is kept.
    """
    journal.append(directory / EVALUATIONS, _lines(evaluations, asks, start), f"{start} evaluations")


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Be the only writer of a run; on entry, cut off torn last lines.

    Raises:
        RunError: another process writes to it, or it cannot be written.
    """
    busy = f"{directory}: another process is writing to this run; wait for it or stop it"
    again = directory / REMEASURED
    with only_writer(directory / EVALUATIONS, RunError, busy, create=False):
        if again.exists():
            with only_writer(again, RunError, busy, create=False):
                pass  # its torn tail is gone
        yield


def _check_line(where: str, line: Line, number: int, space: SearchSpace, names: list[str]) -> None:
    if line.id != number:
        raise RunError(f"{where}: expected id {number}, got {line.id}; lines were lost or moved")
    if list(line.metrics) != names:
        raise RunError(f"{where}: expected the metrics {', '.join(names)}, got {', '.join(line.metrics) or 'none'}")
    if len(line.genome) != len(space.genes):
        raise RunError(f"{where}: expected a genome of {len(space.genes)} genes, got {len(line.genome)}")
    for gene, position in zip(space.genes, line.genome, strict=True):
        if not 0 <= position < len(gene.values):
            raise RunError(f"{where}: gene {gene.name}: expected 0..{len(gene.values) - 1}, got {position}")


def _columns(lines: list[Line], space: SearchSpace, names: list[str]) -> Evaluations:
    return Evaluations(
        genomes=np.array([line.genome for line in lines], dtype=np.int64).reshape(len(lines), len(space.genes)),
        metrics={name: np.array([line.metrics[name] for line in lines], dtype=np.float64) for name in names},
        log_standard_error=np.array([line.log_standard_error for line in lines], dtype=np.float64),
        extrapolated=np.array([line.extrapolated for line in lines], dtype=np.bool_),
        violation=np.array([line.violation for line in lines], dtype=np.float64),
        failure=np.array([line.failure for line in lines], dtype=np.object_),
    )


def _asks(lines: list[Line]) -> Asks:
    after = np.array([line.after for line in lines], dtype=np.int64)
    order = np.array([line.id if line.order is None else line.order for line in lines], dtype=np.int64)
    return Asks(after, order)


def _lines(evaluations: Evaluations, asks: Asks, start: int) -> Iterator[Line]:
    for row in range(len(evaluations)):
        order = int(asks.order[row])
        yield Line(
            id=start + row,
            genome=evaluations.genomes[row].tolist(),
            metrics={name: float(column[row]) for name, column in evaluations.metrics.items()},
            log_standard_error=float(evaluations.log_standard_error[row]),
            extrapolated=bool(evaluations.extrapolated[row]),
            violation=float(evaluations.violation[row]),
            after=int(asks.after[row]),
            order=None if order == start + row else order,
            failure=str(evaluations.failure[row]),
        )
