"""Files of a run: appended a line a fact in one write and flushed (see `lines`), or replaced as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from codesign.errors import RunError

encode = msgspec.json.Encoder().encode
"""Writes NaN as null."""


def text_of(facts: Iterable[Any]) -> bytes:
    """Return facts as lines."""
    return b"".join(encode(fact) + b"\n" for fact in facts)


def append(path: Path, facts: Iterable[Any], kept: str) -> None:
    """Append facts, a line each, and flush them to the disk.

    Args:
        path: the file, in the directory of its run.
        facts: structs.
        kept: what an error says is safe, such as "60 evaluations".

    Raises:
        RunError: the disk is full or cannot be written; what was there before is kept.
    """
    text = text_of(facts)
    try:
        with path.open("ab") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written: {error.strerror}; {kept} are kept; "
            f"make room, then: codesign resume {path.parent}"
        ) from error


def replace(path: Path, text: bytes, again: str) -> None:
    """Write a file so that it is always either the old or the new one.

    Args:
        path: the file.
        text: all of it.
        again: what an error says to do once there is room.

    Raises:
        RunError: the disk is full or cannot be written; the old one is kept.
    """
    temporary = temporary_of(path)
    try:
        with temporary.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # it may never have been there
            temporary.unlink()
        raise RunError(f"{path}: cannot be written: {error.strerror}; make room, then {again}") from error


def temporary_of(path: Path) -> Path:
    """Return where a file is while it is written."""
    return path.with_name(path.name + ".new")
