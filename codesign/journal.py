"""Files of a run: appended a line a fact in one write and flushed (see `lines`), or replaced as a whole.

Every portion that is appended is waited for until the disk has it, once; and so is the name of a file that was made or
replaced, which stands in its directory.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from codesign.errors import RunError
from codesign.lines import sealed

MANIFEST = "run.json"
EVALUATIONS = "evaluations.jsonl"
REMEASURED = "remeasured.jsonl"
LOG = "log.jsonl"
"""The files of a run; see `manifest`, `record`, `remeasured`, `run_log`."""

Follower = Callable[[Path], None]

_FOLLOWERS: dict[Path, Follower] = {}
"""Of each directory that is copied elsewhere while it is written."""

encode = msgspec.json.Encoder().encode
"""Writes NaN as null."""


def text_of(facts: Iterable[Any]) -> bytes:
    """Return facts as lines, each with its checksum."""
    return b"".join(sealed(encode(fact)) + b"\n" for fact in facts)


@contextmanager
def followed(directory: Path, follower: Follower) -> Iterator[None]:
    """Have a function called with each file of a directory that was written, before its writer goes on.

    What the function raises, the writer raises.
    """
    _FOLLOWERS[directory] = follower
    try:
        yield
    finally:
        del _FOLLOWERS[directory]


def _tell_follower(path: Path) -> None:
    if follower := _FOLLOWERS.get(path.parent):
        follower(path)


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
    _tell_follower(path)


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
        settle(path.parent)
    except OSError as error:
        with suppress(OSError):  # it may never have been there
            temporary.unlink()
        raise RunError(f"{path}: cannot be written: {error.strerror}; make room, then {again}") from error
    _tell_follower(path)


NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)
"""What file systems answer that keep no names of their own, or where a directory can only be entered."""


def settle(directory: Path) -> None:
    """Wait until the names in a directory are on the disk, where the file system knows such a thing.

    Raises:
        OSError: the disk failed.
    """
    try:
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def temporary_of(path: Path) -> Path:
    """Return where a file is while it is written."""
    return path.with_name(path.name + ".new")
