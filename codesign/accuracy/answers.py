"""Answers of proxies on disk, shared by all runs: one file of lines for each proxy identity, which only grows.

Several processes may read and write a file at once: a portion is appended under a lock and in one write; what others
have appended is read when something is missed. A line that is torn or damaged is skipped: it costs a measurement, no
more. For the same reason nothing here stops a search: a disk that is full or cannot be written is told once.
"""

from __future__ import annotations

import fcntl
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from codesign.lines import sealed, unsealed, whole_blocks

SUFFIX = ".jsonl"

Key = bytes
"""SHA-256 of what was asked."""


class Header(msgspec.Struct, frozen=True, tag_field="kind", tag="proxy"):
    """The first line of a file; for people, and for `codesign cache`."""

    name: str
    """Of the proxy that made the file; another of the same identity may add to it."""
    identity: str
    versions: dict[str, str]


class Line(msgspec.Struct, frozen=True, tag_field="kind", tag="answer"):
    """One answer."""

    key: str
    metric: str
    value: float | None
    """None where only an error was asked for, see `Proxy.compare`."""
    log_standard_error: float | None
    """None = NaN: the proxy gives none."""
    extrapolated: bool


Answer = tuple[str, float, float, bool]
"""Metric, value, log standard error, extrapolated."""

_decode = msgspec.json.Decoder(Line | Header).decode
_encode = msgspec.json.Encoder().encode


@dataclass
class AnswerFile:
    """The answers of one proxy identity; read when the first is asked for."""

    path: Path
    header: Header
    known: dict[Key, Answer] = field(default_factory=dict)
    _read_to: int = 0
    """Bytes of the file that are in `known`."""
    _told: bool = False

    def find(self, keys: Sequence[Key]) -> dict[Key, Answer]:
        """Return those of the answers that are known to any process."""
        if any(key not in self.known for key in keys):
            self._refresh()
        return {key: self.known[key] for key in keys if key in self.known}

    def add(self, answers: dict[Key, Answer]) -> None:
        """Keep answers; those that are there already are left alone."""
        new = {key: answer for key, answer in answers.items() if key not in self.known}
        self.known |= new
        if not new or self._told:
            return
        lines = [Line(key.hex(), *answer) for key, answer in new.items()]
        try:
            _append(self.path, self.header, lines)
        except OSError as error:
            self._told = True
            warnings.warn(
                f"{self.path}: cannot be written: {error.strerror}; the search goes on and its record is whole, but "
                "other runs will measure again what this one measures; make room, or give --cache DIR or --cache none",
                stacklevel=2,
            )

    def _refresh(self) -> None:
        """Read what was appended since the last time. What cannot be read is not known."""
        try:
            for block in whole_blocks(self.path, self._read_to):
                self._read_to += len(block)
                self.known.update(_answers(block))
        except OSError:
            return


def _answers(block: bytes) -> Iterator[tuple[Key, Answer]]:
    """Yield the answers in whole lines; what is no answer is skipped."""
    for raw in block.split(b"\n"):
        try:
            line = _decode(unsealed(raw))
            if isinstance(line, Line):
                value, error = (float("nan") if x is None else x for x in (line.value, line.log_standard_error))
                yield bytes.fromhex(line.key), (line.metric, value, error, line.extrapolated)
        except (ValueError, msgspec.DecodeError):  # torn, damaged, or of a later version
            continue


def _append(path: Path, header: Header, lines: Sequence[Line]) -> None:
    """Append lines in one write; the file is as it was if there is no room.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        text = b"".join(sealed(_encode(line)) + b"\n" for line in lines)
        if not size:
            text = sealed(_encode(header)) + b"\n" + text
        elif os.pread(handle, 1, size - 1) != b"\n":  # torn by a process that was stopped
            text = b"\n" + text
        try:
            if os.write(handle, text) < len(text):
                raise OSError(28, os.strerror(28))
        except OSError:
            os.ftruncate(handle, size)
            raise
    finally:
        os.close(handle)


def header_of(path: Path) -> Header | None:
    """Return the first line of a file of answers; None where it is none."""
    try:
        with path.open("rb") as file:
            line = _decode(unsealed(file.readline().rstrip(b"\n")))
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    return line if isinstance(line, Header) else None


@dataclass(frozen=True)
class Kept:
    """What is in one file."""

    path: Path
    header: Header
    answers: int
    """Whole lines besides the first; comparisons count too."""
    bytes: int


def kept_in(directory: Path) -> list[Kept]:
    """Return the files of answers in a directory, by their names; other files are left out.

    Raises:
        OSError: one cannot be read.
    """
    found = []
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        if header := header_of(path):
            lines = sum(block.count(b"\n") for block in whole_blocks(path))
            found.append(Kept(path, header, lines - 1, path.stat().st_size))
    return found
