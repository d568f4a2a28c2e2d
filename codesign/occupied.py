"""Whether a directory can take a run, or more of the run that it holds."""

from __future__ import annotations

from pathlib import Path

from codesign.errors import RunError
from codesign.manifest import DECIDING, FORMAT, MANIFEST, TEMPORARY, Manifest, brief, read_manifest
from codesign.record import EVALUATIONS
from codesign.remote.copies import ORIGIN, check_stored, shown


def check_continuable(directory: Path, manifest: Manifest) -> None:
    """Refuse to append to a run of an older format.

    Raises:
        RunError: it is of one.
    """
    if manifest.format != FORMAT:
        raise RunError(
            f"{directory}: expected a run of format {FORMAT}, got format {manifest.format}, written by codesign "
            f"{manifest.codesign_version} or older; its front can be read, but it cannot be continued: search anew, "
            f"or begin with what it found: codesign search SPACE COST --warm-start {directory}"
        )


def refuse_taken(directory: Path, manifest: Manifest) -> None:
    """Refuse a place that cannot take a new run; nothing is made there.

    Raises:
        RunError: it is a file, holds something, or cannot be read.
    """
    try:
        if directory.is_dir():
            refuse_occupied(directory, manifest)
        elif directory.exists():
            raise RunError(f"{directory}: expected a new directory for the run; it is a file")
    except OSError as error:
        raise RunError(f"{directory}: cannot be read: {error.strerror}") from error


def refuse_occupied(directory: Path, manifest: Manifest) -> None:
    """Refuse a directory that holds more than what a start leaves that was stopped before run.json was whole.

    Raises:
        RunError: it holds something else; names it, or says how the run there differs, or that its storage lost it.
        OSError: it cannot be read.
    """
    if (directory / MANIFEST).exists():
        check_stored(directory)
        raise RunError(_explain_occupied(directory, manifest))
    if name := held(directory):
        raise RunError(f"{directory}: expected a new or empty directory for the run; it holds {name}")


def held(directory: Path) -> str:
    """Return the name of something in a directory that no start left which was stopped too early; empty if none is.

    Raises:
        OSError: it cannot be read.
    """
    for path in sorted(directory.iterdir()):
        abandoned = path.name in (TEMPORARY, ORIGIN) or (path.name == EVALUATIONS and not path.stat().st_size)
        if not abandoned:
            return path.name
    return ""


def _explain_occupied(directory: Path, wanted: Manifest) -> str:
    there, place = read_manifest(directory), shown(directory)
    differences = [
        f"{field} {brief(getattr(there, field))} instead of {brief(getattr(wanted, field))}"
        for field in (*DECIDING, "stop")
        if getattr(there, field) != getattr(wanted, field)
    ]
    if differences:
        return f"{place}: already holds another run: {'; '.join(differences)}; give a new directory with --run"
    more = f" --budget {wanted.budget}" if wanted.budget > there.budget else ""
    return f"{place}: already holds this very run; continue it with: codesign resume {place}{more}"
