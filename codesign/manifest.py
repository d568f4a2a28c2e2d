"""run.json: what was searched, both input files verbatim. docs/run_format.md is the full description."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from codesign import journal
from codesign.cost.prepare import Fidelity
from codesign.errors import RunError
from codesign.files import Document, convert

MANIFEST = "run.json"
TEMPORARY = journal.temporary_of(Path(MANIFEST)).name
"""run.json while it is written."""


class InputText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One input file, verbatim."""

    name: str
    sha256: str
    text: str


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The run whose designs and qualities another one took over."""

    name: str
    sha256: str
    """Of its evaluations.jsonl."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of run.json."""

    format: Literal[1, 2] = 2
    """2: lines of evaluations.jsonl say when they were asked for."""
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
    screen: str | None = None
    """The cheap proxy that chooses what the other one measures, if any."""
    fidelity: Fidelity
    """Of time."""
    algorithm: str
    population: Annotated[int, Meta(ge=2)]
    seed: Annotated[int, Meta(ge=0)]
    budget: Annotated[int, Meta(ge=1)]
    recosted_from: Source | None = None
    """Where the designs come from, if they were not searched under this cost model."""


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


LIBRARIES = ("moocore", "numba", "numpy", "pymoo")


def input_text(document: Document[Any]) -> InputText:
    """Return an input file as the record keeps it."""
    return InputText(name=document.name, sha256=sha256(document.text), text=document.text)


def sha256(text: str) -> str:
    """Return the hash by which an input text is known."""
    return hashlib.sha256(text.encode()).hexdigest()


def brief(value: Any) -> str:
    """Return an entry of a manifest as messages name it."""
    return f"{value.name} ({value.sha256[:8]})" if isinstance(value, InputText) else str(value)
