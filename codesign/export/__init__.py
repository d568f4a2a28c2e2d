"""Hand a chosen design, or a whole run, to other tools: one module a format, all behind one function.

An exporter only renders; `export` checks and writes for all of them. Nothing is written before every format has been
rendered, and no file that differs is ever overwritten.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from codesign.design import Design
from codesign.errors import InputError, unknown_name
from codesign.export import design_json, huggingface, optuna_journal
from codesign.export.context import ExportContext, Exporter, Files, RunExporter

__all__ = ["EXPORTERS", "RUN_EXPORTERS", "ExportContext", "Exporter", "RunExporter", "export", "known_formats", "write"]

EXPORTERS: dict[str, Exporter] = {
    "json": design_json.render,
    "huggingface": huggingface.render,
}
"""Of one design."""

RUN_EXPORTERS: dict[str, RunExporter] = {"optuna": optuna_journal.render}
"""Of all designs of a run."""


def known_formats() -> dict[str, Exporter | RunExporter]:
    """Return all exporters by the names of their formats."""
    return EXPORTERS | RUN_EXPORTERS


def export(names: Sequence[str], design: Design, context: ExportContext, directory: Path) -> list[Path]:
    """Write one design (n = 1) in each of the named formats into `directory` and return its files.

    Raises:
        CodesignError: unknown format, a design that a format cannot express, or see `write`.
    """
    if not names:
        raise InputError(f"no export format given; known: {', '.join(sorted(known_formats()))}")
    for name in names:
        if name not in EXPORTERS:
            raise unknown_name("export format", name, known_formats())
    if len(design) != 1:
        raise InputError(f"export: expected one design, got {len(design)}; pick one of the front")
    return write([EXPORTERS[name](design, context) for name in names], directory)


def write(parts: Sequence[Files], directory: Path) -> list[Path]:
    """Write rendered files into `directory` and return their paths.

    A file that is there already with the same content is left alone, so exporting twice changes nothing.

    Raises:
        InputError: a file of other content in the way, or a directory that cannot be written. The directory is then as
            it was before.
    """
    rendered = {directory / path: text for files in parts for path, text in files.items()}
    try:
        missing = {path: text for path, text in rendered.items() if not _is_there(path, text)}
        _write(missing, directory)
    except OSError as error:
        raise InputError(f"{directory}: the export cannot be written: {error}") from None
    return list(rendered)


def _is_there(path: Path, content: bytes) -> bool:
    """Return whether the file exists with this content; refuse any other file."""
    if not path.exists():
        return False
    if not path.is_file() or path.read_bytes() != content:
        raise InputError(f"{path}: a file of other content is in the way; remove it or choose another directory")
    return True


def _write(files: dict[Path, bytes], directory: Path) -> None:
    """Write all files or none: to a directory beside them first, then renamed into place."""
    created: list[Path] = []
    try:
        _make(directory, created)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=directory) as stage:
            staged = {path: Path(stage) / str(i) for i, path in enumerate(files)}
            for path, content in files.items():
                staged[path].write_bytes(content)
            for path, source in staged.items():
                _make(path.parent, created)
                source.rename(path)
                created.append(path)
    except BaseException:
        for path in reversed(created):
            (path.rmdir if path.is_dir() else path.unlink)()
        raise


def _make(directory: Path, created: list[Path]) -> None:
    """Make a directory and its missing parents; append those made to `created`, outermost first."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir()
        created.append(path)
