"""log.jsonl: what the driver of a search has to say about it, with the time, for whoever watches from elsewhere.

It is no part of the record: it may be lost, cut or full of holes, and nothing of the run changes. So a full disk does
not stop the search here, and what cannot be read is passed over. One line stands for each start and end, and one in
EVERY_S seconds for what came between.

While a driver runs it holds a lock on the file, which can be asked for without taking it; that is how `status` knows.
The lock that keeps a second writer out is another one, on evaluations.jsonl.
"""

from __future__ import annotations

import fcntl
import math
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Annotated, Literal, Protocol, TypeVar

import msgspec
import numpy as np

from codesign.design import IntArray
from codesign.journal import LOG as LOG
from codesign.lines import whole_lines
from codesign.run import Run

EVERY_S = 10.0
"""Seconds between two lines about the same search."""

WINDOW_S = 60.0
"""Seconds over which the rate is taken."""

TAIL_BYTES = 1 << 16
"""What is read of the end of a log."""

MOST_TEXT = 2000
"""Characters of a traceback or reason that a line holds."""

Kind = Literal["started", "batch", "failure", "finished", "stopped"]


class Event(msgspec.Struct, frozen=True):
    """One line. Later versions may add keys; readers pass over those that they do not know."""

    time: Annotated[datetime, msgspec.Meta(tz=True)]
    """UTC."""
    event: Kind
    host: str
    pid: int
    evaluations: int = 0
    budget: int = 0
    front: int = 0
    hypervolume: float = 0.0
    failures: int = 0
    evaluations_per_s: float | None = None
    """Over the last WINDOW_S seconds; null where none was made."""
    text: str = ""
    """Why the search ended; of a failure, its id and traceback."""


class State(Protocol):
    """What a watcher of a search is shown (`optimize.loop.Progress`)."""

    @property
    def run(self) -> Run:
        """The run so far."""

    @property
    def finished(self) -> str:
        """Why the search ended; empty while it goes on."""


Seen = TypeVar("Seen", bound=State)


@contextmanager
def logged(directory: Path, watch: Callable[[Seen], None]) -> Iterator[Callable[[Seen], None]]:
    """Keep the log of a search in its directory; yields what the search calls instead of `watch`, which it calls too.

    What ends the search early is written down and goes on.
    """
    with _locked(directory / LOG) as file:
        log = _Log(file)

        def both(state: Seen) -> None:
            log.see(state.run, state.finished)
            watch(state)

        try:
            yield both
        except BaseException as error:
            log.end("stopped", "Ctrl-C" if isinstance(error, KeyboardInterrupt) else str(error) or repr(error))
            raise
        log.end("finished", log.why)


class _Log:
    """Writes events, not more often than is useful."""

    def __init__(self, file: FileIO | None) -> None:
        self._file, self.why = file, ""
        self._run: Run | None = None
        self._written, self._failures, self._told = -math.inf, 0, 0
        self._times: deque[tuple[float, int]] = deque()

    def see(self, run: Run, finished: str) -> None:
        """Take note of a state of the search; costs what is new in it."""
        now, before = time.monotonic(), self._run
        self._failures += failed_ids(run, 0 if before is None else len(before.evaluations)).size
        self._run, self.why = run, finished
        if not self._times or now - self._times[-1][0] >= 1:
            self._times.append((now, len(run.evaluations)))
        while len(self._times) > 1 and self._times[1][0] < now - WINDOW_S:
            self._times.popleft()
        if before is None:
            self._told = self._failures
            self._write(run, "started", "")
        elif now - self._written >= EVERY_S:
            self._write(run, "batch", "")

    def end(self, kind: Kind, text: str) -> None:
        """Say how the search ended; nothing if it never began."""
        if self._run is not None:
            self._write(self._run, kind, text)

    def _write(self, run: Run, kind: Kind, text: str) -> None:
        """Write one event, and before it the last failure, if there is a new one."""
        self._written = time.monotonic()
        if self._failures > self._told:
            self._told, last = self._failures, int(failed_ids(run)[-1])
            self._append(self._event(run, "failure", f"{last}: {run.evaluations.failure[last]}"))
        self._append(self._event(run, kind, text))

    def _event(self, run: Run, kind: Kind, text: str) -> Event:
        since, count = self._times[0]
        made, seconds = len(run.evaluations) - count, time.monotonic() - since
        return Event(
            time=datetime.now(UTC),
            event=kind,
            host=socket.gethostname(),
            pid=os.getpid(),
            evaluations=len(run.evaluations),
            budget=run.manifest.budget,
            front=len(run.front_ids()),
            hypervolume=run.hypervolume(),
            failures=self._failures,
            evaluations_per_s=made / seconds if made else None,
            text=text[:MOST_TEXT],
        )

    def _append(self, event: Event) -> None:
        if self._file is None:
            return
        with suppress(OSError):
            size = os.fstat(self._file.fileno()).st_size
            # A full disk or a killed driver may have left a line half written.
            torn = size > 0 and os.pread(self._file.fileno(), 1, size - 1) != b"\n"
            self._file.write(b"\n" * torn + msgspec.json.encode(event) + b"\n")


def failed_ids(run: Run, start: int = 0) -> IntArray:
    """(k,) ids, from `start` on, of the evaluations that failed."""
    return np.asarray(start + np.flatnonzero(run.evaluations.failure[start:] != ""), dtype=np.int64)


def last_event(directory: Path) -> Event | None:
    """Return the last line of a log that can be read; None if there is no log or no such line in its tail."""
    try:
        with (directory / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            tail = file.read()
    except OSError:
        return None
    for line in reversed(whole_lines(tail)):
        with suppress(ValueError, msgspec.DecodeError):
            return msgspec.json.decode(line, type=Event)
    return None


def has_driver(directory: Path) -> bool | None:
    """Return whether a process holds the lock of a run's log; None where that cannot be asked. No lock is taken.

    The answer covers the machines that share the locks of the file system, which may be this one only.
    """
    try:
        with (directory / LOG).open("rb") as file:
            return bool(_lock_type(fcntl.fcntl(file, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK))) != fcntl.F_UNLCK)
    except (OSError, AttributeError):  # no log, or a system without such locks
        return None


@contextmanager
def _locked(path: Path) -> Iterator[FileIO | None]:
    """Open a log to append to it and, where the system can, hold its lock; None where it cannot be opened."""
    try:
        file = FileIO(path, "a+")
    except OSError:
        yield None
        return
    with file:
        with suppress(OSError, AttributeError):
            # Of the open file, not of the process: opening the log elsewhere in it does not end the lock.
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _lock(fcntl.F_WRLCK))
        yield file


LOCK_FORMAT = "hhqqi"
"""Linux's struct flock of 64 bits: type, whence, start, length (0 = to the end), process."""


def _lock(kind: int) -> bytes:
    return struct.pack(LOCK_FORMAT, kind, os.SEEK_SET, 0, 0, 0)


def _lock_type(answer: bytes) -> int:
    return int(struct.unpack(LOCK_FORMAT, answer)[0])
