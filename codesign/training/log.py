"""What happened in a training: one JSON object a line, only ever appended.

A line has a `kind`: "ngram" (see `ngram_line`), "step", "evaluation", "resumed", "stopped", "finished". After a kill,
steps that were done again stand there twice; the later lines count. Numbers that are not finite, as of a network that
has diverged, are null.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import Any

import msgspec

from codesign.lines import only_writer, whole_lines
from codesign.training.checkpoint import last_good, newest
from codesign.training.errors import TrainingError

LOG = "log.jsonl"


class Log:
    """The open log of a training directory."""

    def __init__(self, directory: Path, file: BufferedRandom) -> None:
        self._directory, self._file = directory, file

    def write(self, kind: str, **fields: Any) -> None:
        """Append a line and hand it to the system.

        Raises:
            TrainingError: the disk is full or cannot be written.
        """
        try:
            self._file.write(msgspec.json.encode({"kind": kind, **fields}) + b"\n")
            self._file.flush()
        except OSError as error:
            what = f"{self._directory / LOG}: cannot be written: {error.strerror or error}"
            raise TrainingError(f"{what}; {last_good(newest(self._directory))}; make room, then --resume") from error


@contextmanager
def writing(directory: Path) -> Iterator[Log]:
    """Be the only training in a directory; on entry, cut off a torn last line.

    Raises:
        TrainingError: another process trains there, or the log cannot be written.
    """
    busy = f"{directory}: another process is training here; wait for it or stop it"
    with only_writer(directory / LOG, TrainingError, busy, create=True) as file:
        yield Log(directory, file)


def read_log(directory: Path) -> list[dict[str, Any]]:
    """Return the lines of a log in the order of steps, those that a resumption did again only once.

    Raises:
        TrainingError: no log, or a damaged line (a torn last one is left out).
    """
    path = directory / LOG
    lines: list[dict[str, Any]] = []
    try:
        data = path.read_bytes()
        for raw in whole_lines(data):
            line = msgspec.json.decode(raw, type=dict[str, Any])
            if line["kind"] == "resumed":
                lines = [earlier for earlier in lines if earlier["step"] <= line["step"]]
            lines.append(line)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, KeyError) as error:
        raise TrainingError(f"{path}: {raw[:80]!r} is damaged: {error}; restore the file from a copy") from None
    return lines
