"""run.json: what was searched, both input files verbatim. docs/run_format.md is the full description."""

from __future__ import annotations

import hashlib
import platform
import zlib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from codesign import journal
from codesign.cost.prepare import Fidelity
from codesign.cost.technology import Technology, check
from codesign.errors import RunError
from codesign.files import Document, convert, parse
from codesign.journal import MANIFEST as MANIFEST
from codesign.members import inside
from codesign.space import SearchSpace
from codesign.space_file import ScenarioFile, in_scenario, parse_space

TEMPORARY = journal.temporary_of(Path(MANIFEST)).name
"""run.json while it is written."""


FORMAT: Final = 2
"""Of the runs that this version writes."""

DECIDING = (
    *("space", "cost_model", "scenario", "proxy", "quality", "screen", "fidelity", "algorithm", "population", "seed"),
    *("batch", "order", "warm_start"),
)
"""Entries of run.json that decide what a search asks for; they stay as they were when it began."""


class InputText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One input file, verbatim."""

    name: str
    sha256: str
    text: str


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a search ends before its budget is used; see `optimize.plateau`."""

    patience: Annotated[int, Meta(ge=1)]
    """Evaluations over which the hypervolume has to grow."""
    plateau: Annotated[float, Meta(ge=0)]
    """Share by which it has to grow at least."""


class WarmStart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Designs of earlier runs that were asked for right after the baseline."""

    runs: list[str]
    """Names of their directories."""
    genomes: list[list[int]]
    """In this run's space."""
    left_out: int
    """Designs that would have been taken too, but that this space cannot express."""

    def text(self) -> str:
        """Return what was taken, as people read it."""
        others = f"; {self.left_out} others cannot be expressed in this space" if self.left_out else ""
        return f"{len(self.genomes)} designs of {', '.join(self.runs)}{others}"


class Fork(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The run of which this one is the continuation under other code."""

    name: str
    evaluations: int
    """Taken over from it."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The run whose designs and qualities another one took over."""

    name: str
    sha256: str
    """Of its evaluations.jsonl."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of run.json."""

    format: Literal[1, 2] = FORMAT
    """2: lines have checksums, and those of evaluations.jsonl say when they were asked for."""
    codesign_version: str
    versions: dict[str, str]
    """Of Python and of the libraries that a record depends on."""
    sources: dict[str, str] = {}
    """sha256 of the parts of this package that decide what is asked and measured; empty in older runs."""
    forked_from: Fork | None = None
    space: InputText
    cost_model: InputText
    scenario: InputText | None = None
    """The file that replaced the space's own scenario, if any."""
    proxy: str
    quality: str
    """The proxy's metric."""
    screen: str | None = None
    """The cheap proxy that chooses what the other one measures, if any."""
    fidelity: Fidelity
    """Of time."""
    algorithm: str
    population: Annotated[int, Meta(ge=2)]
    seed: Annotated[int, Meta(ge=0)]
    budget: Annotated[int, Meta(ge=1)]
    batch: Annotated[int, Meta(ge=1)] | None = None
    """Designs asked for at once; None = as many as the algorithm likes."""
    order: Literal["ordered", "async"] = "ordered"
    """Whether designs are recorded and told in the order of asking, or as their qualities come."""
    stop: Stop | None = None
    warm_start: WarmStart | None = None
    recosted_from: Source | None = None
    """Where the designs come from, if they were not searched under this cost model."""

    search_crc32: str = ""
    """`crc32` when the search began; empty in older runs."""

    def crc32(self) -> str:
        """Return the checksum of the entries that decide what is asked for, eight hexadecimal digits."""
        return f"{zlib.crc32(msgspec.json.encode([getattr(self, name) for name in DECIDING])):08x}"

    def changed(self, **fields: Any) -> Manifest:
        """Return the manifest with some fields replaced."""
        return msgspec.structs.replace(self, **fields)

    @property
    def checksums(self) -> bool:
        """Whether the lines of the run end with one."""
        return self.format > 1


def read_manifest(directory: Path) -> Manifest:
    """Read what was searched.

    Raises:
        RunError: no run there, or its run.json cannot be read.
        InputError: it has other keys or values than a manifest.
    """
    path = directory / MANIFEST
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except FileNotFoundError:
        if several := inside(directory):
            names = ", ".join(path.name for path in several)
            raise RunError(
                f"{directory}: expected one run, got those of several seeds: {names}; name one: {several[0]}"
            ) from None
        raise RunError(
            f"{directory}: no run here (no {MANIFEST}); make one with: codesign search SPACE COST --run {directory}"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from None
    return convert(raw, str(path), Manifest)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write run.json so that it is always either the old or the new one.

    Raises:
        RunError: the disk is full or cannot be written; the old one is kept.
    """
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    journal.replace(directory / MANIFEST, text, "give the same command again")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that the path of a search depends on."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in LIBRARIES}


LIBRARIES = ("moocore", "numba", "numpy", "optuna", "pymoo", "scipy")


@cache
def sources() -> dict[str, str]:
    """Return the sha256 of each of PARTS as it is installed now."""
    package = Path(__file__).parent
    found = {}
    for part, patterns in PARTS.items():
        digest = hashlib.sha256()
        for path in sorted(path for pattern in patterns for path in package.glob(pattern)):
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
        found[part] = digest.hexdigest()
    return found


PARTS = {
    "accuracy": ("accuracy/*.py", "elastic/*.py", "scoring/*.py", "text/*.py", "training/*.py"),
    "cost": ("cost/*.py", "operations.py", "parameters.py", "workload.py"),
    "judging": ("evaluation.py", "front.py", "ties.py"),
    "optimize": ("optimize/*.py",),
    "space": ("design*.py", "genes.py", "layer_fields.py", "space*.py"),
}
"""Sources that decide what a search asks and measures."""


def input_text(document: Document[Any]) -> InputText:
    """Return an input file as the record keeps it."""
    return InputText(name=document.name, sha256=sha256(document.text), text=document.text)


def sha256(text: str) -> str:
    """Return the hash by which an input text is known."""
    return hashlib.sha256(text.encode()).hexdigest()


def brief(value: Any) -> str:
    """Return an entry of a manifest as messages name it."""
    return f"{value.name} ({value.sha256[:8]})" if isinstance(value, InputText) else str(value)


def recorded_inputs(directory: Path, manifest: Manifest) -> tuple[SearchSpace, Technology]:
    """Return the space, in the scenario of the search, and the cost model of a run.

    Raises:
        RunError: a text was changed after the search began.
    """
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
    return space, check(model).content
