"""remeasured.jsonl: the best designs of a finished search, measured again at the full budget of its proxy.

The first line is the plan: how many evaluations the search had, and which designs are measured again. Then comes one
line a design, and last the noise between designs that are neighbours on the resulting front. Only a file with that last
line, whose plan is of as many evaluations as the record now holds, is believed: a search measures all its designs on
the same text, so a few of them on more text would not compare with the rest.
docs/run_format.md is the full description.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from codesign import journal
from codesign.design import FloatArray, IntArray
from codesign.errors import RunError
from codesign.evaluation import Evaluations
from codesign.lines import unsealed, whole_lines
from codesign.record import REMEASURED

RESTORE = "restore the file from a copy, or remove it and give codesign resume to measure again"


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="plan"):
    """The first line."""

    evaluations: int
    """Of the search when it had finished."""
    ids: list[int]
    """What is measured again: the baseline, then the others by id."""


class Design(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="design"):
    """One design at the full budget."""

    id: int
    value: float
    log_standard_error: float | None
    ratio_standard_error: float | None
    """Of the logarithm of quality over the baseline's."""
    extrapolated: bool
    violation: float


class Noise(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="noise"):
    """The last line."""

    front: list[int]
    """Ids by quality, best first."""
    standard_errors: list[float | None]
    """Of the logarithm of the ratio of each design's quality to the next one's; one fewer than ids."""


Fact = Plan | Design | Noise


@dataclass(frozen=True)
class Remeasured:
    """What is in the file."""

    plan: Plan
    designs: tuple[Design, ...] = ()
    noise: Noise | None = None

    @property
    def facts(self) -> list[Fact]:
        """The lines of the file."""
        return [self.plan, *self.designs, *([self.noise] if self.noise else [])]

    @property
    def ids(self) -> IntArray:
        """(k,) ids of what is measured so far."""
        return np.array([design.id for design in self.designs], dtype=np.int64)

    @property
    def ratio_errors(self) -> FloatArray:
        """(k,) standard errors of the logarithm of quality over the baseline's."""
        return np.array([design.ratio_standard_error for design in self.designs], dtype=np.float64)

    def of(self, evaluations: Evaluations) -> bool:
        """Whether this is all of the re-measurement of these evaluations."""
        return self.noise is not None and self.plan.evaluations == len(evaluations)

    def judged(self, evaluations: Evaluations, quality: str) -> Evaluations:
        """Return the evaluations with what the full budget says of quality where it was asked."""
        values = evaluations.metrics[quality].copy()
        error, extrapolated = evaluations.log_standard_error.copy(), evaluations.extrapolated.copy()
        violation = evaluations.violation.copy()
        values[self.ids] = [design.value for design in self.designs]
        error[self.ids] = np.array([design.log_standard_error for design in self.designs], dtype=np.float64)
        extrapolated[self.ids] = [design.extrapolated for design in self.designs]
        violation[self.ids] = [design.violation for design in self.designs]
        return replace(
            evaluations,
            metrics=evaluations.metrics | {quality: values},
            log_standard_error=error,
            extrapolated=extrapolated,
            violation=violation,
        )


def content(directory: Path) -> bytes:
    """Return what the file of a run holds; nothing where there is none.

    Raises:
        RunError: it cannot be read.
    """
    path = directory / REMEASURED
    try:
        return path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}; {RESTORE}") from None


def read(directory: Path, data: bytes, evaluations: int, checksums: bool) -> Remeasured | None:
    """Read what was measured again; None where nothing was. A torn last line is left out.

    Args:
        directory: of the run.
        data: its `content`.
        evaluations: how many the record holds.
        checksums: whether each line ends with one.

    Raises:
        RunError: the file is damaged; names the line.
    """
    path = directory / REMEASURED
    found: Remeasured | None = None
    for number, raw in enumerate(whole_lines(data)):
        where = f"{path}: line {number + 1}"
        try:
            fact: Fact = msgspec.json.decode(unsealed(raw) if checksums else raw, type=Fact)
        except (ValueError, msgspec.DecodeError) as error:
            raise RunError(f"{where} is damaged: {error}; {RESTORE}") from None
        found = _with(found, fact, evaluations, where)
    return found


def append(directory: Path, before: Remeasured, facts: Sequence[Design | Noise]) -> Remeasured:
    """Append facts to the file and return all that is now in it.

    Raises:
        RunError: the disk is full or cannot be written; what was there before is kept.
    """
    journal.append(directory / REMEASURED, facts, f"all evaluations and {len(before.designs)} re-measured designs")
    for fact in facts:
        before = _with(before, fact, before.plan.evaluations, str(directory))
    return before


def write(directory: Path, content: Remeasured) -> None:
    """Replace the file.

    Raises:
        RunError: the disk is full or cannot be written; the old one is kept.
    """
    journal.replace(directory / REMEASURED, journal.text_of(content.facts), f"codesign resume {directory}")


def _with(found: Remeasured | None, fact: Fact, evaluations: int, where: str) -> Remeasured:
    """Return what is known after one more line, or refuse it."""
    if found is None:
        if not isinstance(fact, Plan):
            raise RunError(f"{where}: expected the plan first, got kind {_kind(fact)}; {RESTORE}")
        if fact.evaluations > evaluations:
            raise RunError(f"{where}: expected at most {evaluations} evaluations, got {fact.evaluations}; {RESTORE}")
        if any(not 0 <= id_ < fact.evaluations for id_ in fact.ids):
            raise RunError(f"{where}: expected ids of the record, got {fact.ids}; {RESTORE}")
        return Remeasured(fact)
    if isinstance(fact, Plan) or found.noise is not None:
        raise RunError(f"{where}: expected no line of kind {_kind(fact)} here; {RESTORE}")
    left = set(found.plan.ids) - {design.id for design in found.designs}
    if isinstance(fact, Design):
        if fact.id not in left:
            raise RunError(f"{where}: design {fact.id} is not planned or stands there twice; {RESTORE}")
        return replace(found, designs=(*found.designs, fact))
    if left or not set(fact.front) <= set(found.plan.ids) or len(fact.standard_errors) != max(len(fact.front) - 1, 0):
        raise RunError(f"{where}: expected the noise of a front of the designs above, all measured; {RESTORE}")
    return replace(found, noise=fact)


def _kind(fact: Fact) -> str:
    return str(fact.__struct_config__.tag)
