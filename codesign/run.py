"""The record of one search on disk; it is log, checkpoint and result at once.

    RUN/run.json            what was searched: both input files verbatim, their hashes, proxy, algorithm, seed, budget
    RUN/evaluations.jsonl   one evaluated design a line, in the order in which the algorithm asked for them

Lines are only ever appended, a batch at a time, and flushed to the disk before the algorithm learns of them. Nothing in
either file depends on the clock, so two runs of the same search are byte for byte equal. A last line torn by a crash is
dropped; any other damage is refused. docs/run_format.md is the full description.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from codesign.accuracy.proxy import Proxy, resolve
from codesign.cost.technology import Technology, check
from codesign.errors import RunError
from codesign.evaluation import Evaluations
from codesign.files import Document, convert, parse
from codesign.front import Gain, front_ids, gains, hypervolume, knee
from codesign.space import SearchSpace
from codesign.space_file import parse_space

if TYPE_CHECKING:
    import pandas

MANIFEST = "run.json"
EVALUATIONS = "evaluations.jsonl"


class InputText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One input file, verbatim."""

    name: str
    sha256: str
    text: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of run.json."""

    format: Literal[1] = 1
    codesign_version: str
    space: InputText
    cost_model: InputText
    proxy: str
    quality: str
    """The proxy's metric."""
    algorithm: str
    population: int
    seed: int
    budget: int


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of evaluations.jsonl; null where a number does not exist."""

    id: int
    genome: list[int]
    metrics: dict[str, float | None]
    log_standard_error: float | None
    extrapolated: bool
    violation: float


@dataclass(frozen=True)
class Run:
    """A run and everything evaluated in it so far."""

    directory: Path
    manifest: Manifest
    space: SearchSpace
    technology: Technology
    evaluations: Evaluations

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.directory.name

    @property
    def proxy(self) -> Proxy:
        """The accuracy proxy of the run, found again by its name."""
        return resolve(self.manifest.proxy)

    def front_ids(self) -> Any:
        """(k,) ids of the front, sorted by the first objective."""
        return front_ids(self.evaluations, self.space.objectives)

    def front(self) -> pandas.DataFrame:
        """Return the front as a table: a row a design (index: id), metrics, model and accelerator as columns."""
        from codesign.tables import design_table

        return design_table(self, self.front_ids())

    def knee(self) -> int:
        """Return the id of the front's knee."""
        return knee(self.evaluations, self.space.objectives, self.front_ids())

    def gains(self) -> list[Gain]:
        """Return the EDP gains over the baseline within the two quality budgets."""
        return gains(self.evaluations, self.space, self.proxy, self.manifest.quality)

    def hypervolume(self) -> float:
        """Return the hypervolume of all evaluations, in logarithms of the objectives."""
        return hypervolume(self.evaluations, self.space.objectives)

    def extend(self, evaluations: Evaluations) -> Run:
        """Append a batch to the record and return the longer run.

        Raises:
            RunError: the disk is full or cannot be written; what was there before is kept.
        """
        start = len(self.evaluations)
        text = b"".join(_encode(line) + b"\n" for line in _lines(evaluations, start))
        path = self.directory / EVALUATIONS
        try:
            with path.open("ab") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunError(
                f"{path}: cannot be written: {error.strerror}; {start} evaluations are kept; "
                f"make room, then: codesign resume {self.directory}"
            ) from error
        return replace(self, evaluations=join(self.evaluations, evaluations))


def create(directory: Path, manifest: Manifest) -> Run:
    """Start a run in a new directory.

    Raises:
        RunError: the directory holds something already, or cannot be written.
    """
    if (directory / MANIFEST).exists():
        raise RunError(_explain_occupied(directory, manifest))
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise RunError(f"{directory}: expected a new or empty directory for the run; it holds other files")
        (directory / EVALUATIONS).touch()
        write_manifest(directory, manifest)
    except OSError as error:
        raise RunError(f"{directory}: cannot be written: {error.strerror}") from error
    return open_run(directory)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write run.json so that it is always either the old or the new one."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    temporary = directory / (MANIFEST + ".new")
    with temporary.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(directory / MANIFEST)


def open_run(directory: Path) -> Run:
    """Read a run. A torn last line is left out.

    Raises:
        RunError: no run there, or its record is damaged.
    """
    manifest = _read_manifest(directory)
    for role in ("space", "cost_model"):
        text: InputText = getattr(manifest, role)
        if sha256(text.text) != text.sha256:
            raise RunError(
                f"{directory / MANIFEST}: {role}.text was changed after the search began; "
                "undo the change, or start a new run with the changed file"
            )
    origin = f"{directory / MANIFEST}: "
    space = parse_space(manifest.space.text, manifest.space.name, origin + "space").content
    model = parse(manifest.cost_model.text, manifest.cost_model.name, origin + "cost_model", Technology)
    evaluations = _columns(_read_lines(directory / EVALUATIONS), space)
    return Run(directory, manifest, space, check(model).content, evaluations)


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Be the only writer of a run; on entry, cut off a torn last line.

    Raises:
        RunError: another process writes to it.
    """
    path = directory / EVALUATIONS
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{directory}: another process is writing to this run; wait for it or stop it") from None
        file.truncate(_whole_length(path.read_bytes()))
        yield


def input_text(document: Document[Any]) -> InputText:
    """Return an input file as the record keeps it."""
    return InputText(name=document.name, sha256=sha256(document.text), text=document.text)


def sha256(text: str) -> str:
    """Return the hash by which an input text is known."""
    return hashlib.sha256(text.encode()).hexdigest()


def join(first: Evaluations, second: Evaluations) -> Evaluations:
    """Return the evaluations of both, in order."""
    if not len(first):
        return second
    return Evaluations(
        genomes=np.concatenate([first.genomes, second.genomes]),
        metrics={name: np.concatenate([column, second.metrics[name]]) for name, column in first.metrics.items()},
        log_standard_error=np.concatenate([first.log_standard_error, second.log_standard_error]),
        extrapolated=np.concatenate([first.extrapolated, second.extrapolated]),
        violation=np.concatenate([first.violation, second.violation]),
    )


def _read_manifest(directory: Path) -> Manifest:
    path = directory / MANIFEST
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{directory}: no run here (no {MANIFEST}); runs are made by codesign search") from None
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from None
    return convert(raw, str(path), Manifest)


def _explain_occupied(directory: Path, wanted: Manifest) -> str:
    there = _read_manifest(directory)
    differences = [
        f"{field} {_brief(getattr(there, field))} instead of {_brief(getattr(wanted, field))}"
        for field in ("space", "cost_model", "proxy", "algorithm", "population", "seed")
        if getattr(there, field) != getattr(wanted, field)
    ]
    if differences:
        return f"{directory}: already holds another run: {'; '.join(differences)}; give a new directory with --run"
    return f"{directory}: already holds this very run; continue it with: codesign resume {directory}"


def _brief(value: Any) -> str:
    return f"{value.name} ({value.sha256[:8]})" if isinstance(value, InputText) else repr(value)


def _whole_length(data: bytes) -> int:
    """Return the length of the data up to and including the last line end."""
    return data.rfind(b"\n") + 1


def _read_lines(path: Path) -> list[Line]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None
    lines = []
    for number, raw in enumerate(data[: _whole_length(data)].splitlines()):
        try:
            line = msgspec.json.decode(raw, type=Line)
        except msgspec.DecodeError as error:
            raise RunError(f"{path}: line {number + 1} is damaged: {error}; restore the file from a copy") from None
        if line.id != number:
            raise RunError(f"{path}: line {number + 1}: expected id {number}, got {line.id}; lines were lost or moved")
        lines.append(line)
    return lines


def _columns(lines: list[Line], space: SearchSpace) -> Evaluations:
    names = list(lines[0].metrics) if lines else []
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


_encode = msgspec.json.Encoder().encode  # writes NaN as null
