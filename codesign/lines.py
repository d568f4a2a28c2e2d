"""Files of lines that only grow: what follows the last line end was being written when the process was stopped.

Readers leave it out, and the next writer, of which there is one at a time, cuts it off. A line that must be right to
the last bit ends with its checksum; it stays a JSON object, whose last key is `crc32`.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path

from codesign.errors import CodesignError

BLOCK = 1 << 19
"""Bytes that are read at once; lines that are read so are decoded soon, while they are in the processor's caches."""

SEAL = b',"crc32":"%08x"}'
"""End of a line with a checksum: of the bytes of the object without this key, as zlib.crc32 gives it."""

SEAL_BYTES = len(SEAL % 0)


def sealed(text: bytes) -> bytes:
    """Return a JSON object of at least one key with its checksum as the last one."""
    return text[:-1] + SEAL % zlib.crc32(text)


def unsealed(line: bytes) -> bytes:
    """Return the JSON object of a line without its checksum.

    Raises:
        ValueError: the checksum is another, or there is none; says so.
    """
    text, seal = line[:-SEAL_BYTES] + b"}", line[-SEAL_BYTES:]
    expected = SEAL % zlib.crc32(text)
    if seal == expected:
        return text
    if seal[:10] != SEAL[:10]:
        raise ValueError('expected "crc32" as the last key, got none')
    raise ValueError(f"its checksum does not fit: expected {_shown(expected)}, got {_shown(seal)}")


def _shown(seal: bytes) -> str:
    """Return the digits of a seal for a message; what was damaged may be no text."""
    return ascii(seal[10:18].decode("latin-1"))


def whole_length(data: bytes) -> int:
    """Return the length of the data up to and including the last line end."""
    return data.rfind(b"\n") + 1


def whole_lines(data: bytes) -> list[bytes]:
    """Return the lines of the data that have their end, which is a line feed and nothing else."""
    return data[: whole_length(data)].split(b"\n")[:-1]


def whole_blocks(path: Path, start: int = 0) -> Iterator[bytes]:
    """Yield a file from byte `start`, where a line begins, in blocks of whole lines; a torn last line is left out.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        file.seek(start)
        begun: list[bytes] = []
        while data := file.read(BLOCK):
            if length := whole_length(data):
                yield b"".join([*begun, data[:length]])
                begun = []
            begun.append(data[length:])


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
    """Remove what follows the last line end of an open file, and stand at its end. Only the tail is read.

    Raises:
        OSError: it cannot be read or written.
    """
    size = file.seek(0, os.SEEK_END)
    end = size
    while end:
        start = max(0, end - BLOCK)
        file.seek(start)
        length = whole_length(file.read(end - start))
        end = start + length
        if length:
            break
    if end < size:
        file.truncate(end)
    file.seek(0, os.SEEK_END)
