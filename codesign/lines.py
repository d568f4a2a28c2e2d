"""Files of lines that only grow: what follows the last line end was being written when the process was stopped.

Readers leave it out, and the next writer, of which there is one at a time, cuts it off.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path

from codesign.errors import CodesignError


def whole_length(data: bytes) -> int:
    """Return the length of the data up to and including the last line end."""
    return data.rfind(b"\n") + 1


def whole_lines(data: bytes) -> list[bytes]:
    """Return the lines of the data that have their end."""
    return data[: whole_length(data)].splitlines()


@contextmanager
def only_writer(path: Path, error: type[CodesignError], busy: str, *, create: bool) -> Iterator[BufferedRandom]:
    """Be the only process that writes to a file; on entry, cut off a torn last line.

    Args:
        path: the file.
        error: what is raised.
        busy: the message where another process writes.
        create: make the file if it is not there, and write at its end.

    Raises:
        CodesignError: of type `error`: another process writes to it, or it cannot be written.
    """
    try:
        file = path.open("a+b" if create else "r+b")
    except OSError as problem:
        raise error(f"{path}: cannot be written: {problem.strerror}") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            cut_torn_tail(file)
        except BlockingIOError:
            raise error(busy) from None
        except OSError as problem:
            raise error(f"{path}: cannot be written: {problem.strerror}") from None
        yield file
    finally:
        with suppress(OSError):  # what could not be flushed was told where it was written
            file.close()


def cut_torn_tail(file: BufferedRandom) -> None:
    """Remove what follows the last line end of an open file.

    Raises:
        OSError: it cannot be read or written.
    """
    file.seek(0)
    data = file.read()
    if len(data) > whole_length(data):
        file.truncate(whole_length(data))
