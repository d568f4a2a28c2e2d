"""evaluations.jsonl: one evaluated design a line, in the order in which the algorithm asked for them.

Lines are only ever appended, a batch at a time, by one writer, and flushed to the disk before the algorithm learns of
them. A last line torn by a crash is dropped; any other damage is refused. docs/run_format.md is the full description.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from codesign import journal
from codesign.errors import RunError
from codesign.evaluation import Evaluations
from codesign.lines import only_writer, whole_lines
from codesign.space import SearchSpace

EVALUATIONS = "evaluations.jsonl"
REMEASURED = "remeasured.jsonl"
"""See `remeasured`."""


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of evaluations.jsonl; null where a number does not exist."""

    id: int
    genome: list[int]
    metrics: dict[str, float | None]
    log_standard_error: float | None
    extrapolated: bool
    violation: float


def read(directory: Path, space: SearchSpace, names: list[str]) -> Evaluations:
    """Read the evaluations of a run, with metrics of these names. A torn last line is left out.

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
    return _columns(lines, space, names)


def append(directory: Path, evaluations: Evaluations, start: int) -> None:
    """Append a batch whose first id is `start`, and flush it to the disk.

    Raises:
        RunError: the disk is full or cannot be written; what was there before is kept.
    """
    journal.append(directory / EVALUATIONS, _lines(evaluations, start), f"{start} evaluations")


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


def join(first: Evaluations, second: Evaluations) -> Evaluations:
    """Return the evaluations of both, in order."""
    return Evaluations(
        genomes=np.concatenate([first.genomes, second.genomes]),
        metrics={name: np.concatenate([column, second.metrics[name]]) for name, column in first.metrics.items()},
        log_standard_error=np.concatenate([first.log_standard_error, second.log_standard_error]),
        extrapolated=np.concatenate([first.extrapolated, second.extrapolated]),
        violation=np.concatenate([first.violation, second.violation]),
    )


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
    )


def _lines(evaluations: Evaluations, start: int) -> Iterator[Line]:
    for row in range(len(evaluations)):
        yield Line(
            id=start + row,
            genome=evaluations.genomes[row].tolist(),
            metrics={name: float(column[row]) for name, column in evaluations.metrics.items()},
            log_standard_error=float(evaluations.log_standard_error[row]),
            extrapolated=bool(evaluations.extrapolated[row]),
            violation=float(evaluations.violation[row]),
        )
