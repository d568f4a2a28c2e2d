"""Files of a run that only grow, a line a fact: appended in one write, flushed, and read up to the last whole line.

What follows the last line end was being written when the process or the machine stopped: readers leave it out, and the
next writer cuts it off. A file that is replaced is always whole, the old or the new one.
"""

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


def whole_length(data: bytes) -> int:
    """Return the length of the data up to and including the last line end."""
    return data.rfind(b"\n") + 1


def whole_lines(data: bytes) -> list[bytes]:
    """Return the lines of the data that have their end."""
    return data[: whole_length(data)].splitlines()


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


def cut_torn_tail(path: Path) -> None:
    """Remove what follows the last line end; a file that is not there stays so.

    Raises:
        OSError: it cannot be read or written.
    """
    if path.exists():
        with path.open("r+b") as file:
            data = file.read()
            if len(data) > whole_length(data):
                file.truncate(whole_length(data))
