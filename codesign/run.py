"""The record of one search on disk; it is log, checkpoint and result at once.

    RUN/run.json            what was searched: both input files verbatim, their hashes, proxy, algorithm, seed, budget
    RUN/evaluations.jsonl   what was found (see `record`)

Nothing in either file depends on the clock, so two runs of the same search are byte for byte equal.
docs/run_format.md is the full description.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from codesign import record
from codesign.accuracy.proxy import FunctionProxy, Proxy, resolve
from codesign.cost.estimate import cost_metrics, delay_ratios
from codesign.cost.prepare import Fidelity
from codesign.cost.technology import Technology, check
from codesign.design import ModelShape
from codesign.errors import InputError, ProxyError, RunError
from codesign.evaluation import Evaluations
from codesign.files import Document, convert, parse
from codesign.front import Gain, front_ids, gains, hypervolume, knee
from codesign.space import SearchSpace
from codesign.space_file import ScenarioFile, in_scenario, parse_space

if TYPE_CHECKING:
    import pandas

MANIFEST = "run.json"
TEMPORARY = MANIFEST + ".new"
"""run.json while it is written."""


class InputText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One input file, verbatim."""

    name: str
    sha256: str
    text: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of run.json."""

    format: Literal[1] = 1
    codesign_version: str
    versions: dict[str, str]
    """Of Python and of the libraries that a record depends on."""
    space: InputText
    cost_model: InputText
    scenario: InputText | None = None
    """The file that replaced the space's own scenario, if any."""
    proxy: str
    quality: str
    """The proxy's metric."""
    fidelity: Fidelity
    """Of time."""
    algorithm: str
    population: Annotated[int, Meta(ge=2)]
    seed: Annotated[int, Meta(ge=0)]
    budget: Annotated[int, Meta(ge=1)]


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
        """The accuracy proxy of the run, found again by its name.

        A user's own need not be at hand to read a run: where it is not found, the errors that it gave are compared as
        independent, and only a prediction is refused.
        """
        try:
            return resolve(self.manifest.proxy)
        except ProxyError as error:
            return FunctionProxy(self.manifest.proxy, partial(_refuse, error))

    @property
    def delay_ratios(self) -> tuple[float, float] | None:
        """10th and 90th percentile of measured over calibrated cycles; None under ideal time."""
        return delay_ratios(self.technology, self.manifest.fidelity)

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
        record.append(self.directory, evaluations, start=len(self.evaluations))
        return replace(self, evaluations=record.join(self.evaluations, evaluations))


def check_comparable(runs: Sequence[Run]) -> None:
    """Refuse runs whose figures cannot stand in one table or plot.

    Raises:
        InputError: no run, or runs that differ in what COMPARED names.
    """
    if not runs:
        raise InputError("expected at least one run, got none")
    first = runs[0]
    for run in runs[1:]:
        for what, own, others in zip(COMPARED, _compared(run), _compared(first), strict=True):
            if own != others:
                raise InputError(
                    f"{run.directory}: {what}: expected {_brief(others)} as in {first.directory}, got {_brief(own)}; "
                    "figures of these runs do not compare"
                )


COMPARED = (
    "objectives",
    "proxy",
    "quality metric",
    "cost model",
    "fidelity",
    "scenario",
    "family",
    "EDP of the baseline",
)


def _compared(run: Run) -> tuple[Any, ...]:
    manifest, edp = run.manifest, run.evaluations.metrics["edp_js"]
    return (
        run.space.objectives,
        manifest.proxy,
        manifest.quality,
        InputText(name=manifest.cost_model.name, sha256=manifest.cost_model.sha256, text=""),
        manifest.fidelity,
        run.space.scenario,
        run.space.family,
        float(edp[0]) if len(edp) else None,
    )


def create(directory: Path, manifest: Manifest) -> Run:
    """Start a run in a new directory, or in one that an earlier start left before anything was recorded.

    Raises:
        RunError: the directory holds something already, or cannot be written.
    """
    if directory.exists() and not directory.is_dir():
        raise RunError(f"{directory}: expected a new directory for the run; it is a file")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _refuse_occupied(directory, manifest)
        (directory / record.EVALUATIONS).touch()
        with record.writing(directory):
            _refuse_occupied(directory, manifest)  # again: another process may have been faster
            write_manifest(directory, manifest)
    except OSError as error:
        raise RunError(f"{directory}: cannot be written: {error.strerror}") from error
    return open_run(directory)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write run.json so that it is always either the old or the new one.

    Raises:
        RunError: the disk is full or cannot be written; the old one is kept.
    """
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    temporary = directory / TEMPORARY
    try:
        with temporary.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(directory / MANIFEST)
    except OSError as error:
        with suppress(OSError):  # it may never have been there
            temporary.unlink()
        raise RunError(
            f"{directory / MANIFEST}: cannot be written: {error.strerror}; make room, then give the same command again"
        ) from error


def open_run(directory: str | Path) -> Run:
    """Read a run. A torn last line is left out.

    Raises:
        RunError: no run there, or its record is damaged.
    """
    directory = Path(directory)
    manifest = _read_manifest(directory)
    for role in ("space", "cost_model", "scenario"):
        text: InputText | None = getattr(manifest, role)
        if text is not None and sha256(text.text) != text.sha256:
            raise RunError(
                f"{directory / MANIFEST}: {role}.text was changed after the search began; "
                "undo the change, or start a new run with the changed file"
            )
    origin = f"{directory / MANIFEST}: "
    space = parse_space(manifest.space.text, manifest.space.name, origin + "space").content
    if manifest.scenario is not None:
        other = parse(manifest.scenario.text, manifest.scenario.name, origin + "scenario", ScenarioFile)
        space = in_scenario(space, other)
    model = parse(manifest.cost_model.text, manifest.cost_model.name, origin + "cost_model", Technology)
    technology = check(model).content
    evaluations = record.read(directory, space, [manifest.quality, *cost_metrics(technology)])
    return Run(directory, manifest, space, technology, evaluations)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that the path of a search depends on."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in LIBRARIES}


LIBRARIES = ("moocore", "numba", "numpy", "pymoo")


def input_text(document: Document[Any]) -> InputText:
    """Return an input file as the record keeps it."""
    return InputText(name=document.name, sha256=sha256(document.text), text=document.text)


def _refuse(error: ProxyError, _: ModelShape) -> None:
    raise error


def sha256(text: str) -> str:
    """Return the hash by which an input text is known."""
    return hashlib.sha256(text.encode()).hexdigest()


def _read_manifest(directory: Path) -> Manifest:
    path = directory / MANIFEST
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        raise RunError(
            f"{directory}: no run here (no {MANIFEST}); make one with: codesign search SPACE COST --run {directory}"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from None
    return convert(raw, str(path), Manifest)


def _refuse_occupied(directory: Path, manifest: Manifest) -> None:
    """Refuse a directory that holds more than what a start leaves that was stopped before run.json was whole."""
    if (directory / MANIFEST).exists():
        raise RunError(_explain_occupied(directory, manifest))
    for path in directory.iterdir():
        abandoned = path.name == TEMPORARY or (path.name == record.EVALUATIONS and not path.stat().st_size)
        if not abandoned:
            raise RunError(f"{directory}: expected a new or empty directory for the run; it holds {path.name}")


def _explain_occupied(directory: Path, wanted: Manifest) -> str:
    there = _read_manifest(directory)
    differences = [
        f"{field} {_brief(getattr(there, field))} instead of {_brief(getattr(wanted, field))}"
        for field in ("space", "cost_model", "scenario", "proxy", "fidelity", "algorithm", "population", "seed")
        if getattr(there, field) != getattr(wanted, field)
    ]
    if differences:
        return f"{directory}: already holds another run: {'; '.join(differences)}; give a new directory with --run"
    more = f" --budget {wanted.budget}" if wanted.budget > there.budget else ""
    return f"{directory}: already holds this very run; continue it with: codesign resume {directory}{more}"


def _brief(value: Any) -> str:
    return f"{value.name} ({value.sha256[:8]})" if isinstance(value, InputText) else str(value)
