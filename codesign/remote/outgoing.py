"""What a search has written to its working copy, copied to another storage.

run.json, remeasured.jsonl and log.jsonl are objects of these names; evaluations.jsonl is a folder of segments. One
is written before any that it replaces is removed, so at every moment what is there is the record up to some line.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from codesign.errors import RunError
from codesign.journal import EVALUATIONS, LOG, MANIFEST, REMEASURED
from codesign.remote.incoming import FOLDER, Incoming
from codesign.remote.segments import Segment, cover, crowds, segment_of
from codesign.remote.store import Store

LARGEST = 1 << 26
"""Bytes of a segment, unless one line has more."""

CROWD = 32
"""Neighbours of about one size that are merged while a search goes on."""

LOG_S = 30.0
"""Seconds between two copies of the log."""


class Outgoing:
    """The only writer of a run on another storage."""

    def __init__(self, directory: Path, store: Store, check: Callable[[], None]) -> None:
        """Be the writer as long as `check`, which is called before each write, does not raise."""
        self.directory, self.store, self._check = directory, store, check
        self._incoming = Incoming(directory, store, writing=True)
        self._lines = self._incoming.lines
        self._there: list[Segment] = []
        """Segments that together hold what is on the storage, in order."""
        self._levels: list[int] = []
        """How often each was merged."""
        self._log_copied = -LOG_S

    def begin(self) -> None:
        """Make storage and working copy equal.

        Raises:
            RunError: the storage cannot be reached or its record is damaged, or the two are of different searches.
        """
        self._incoming.pull()
        listed = self._incoming.listed()
        if not (self.directory / MANIFEST).exists():
            if listed:
                raise RunError(f"{self.store.url}: holds {FOLDER}/ but no {MANIFEST}; give another URL, or restore it")
            return
        self._push_whole(MANIFEST)
        self._push_lines(listed)
        if (self.directory / REMEASURED).exists():
            self._push_whole(REMEASURED)

    def push(self, path: Path) -> None:
        """Copy what was written to a file of the working copy; see `journal.followed`.

        Raises:
            RunError: another process writes to the run, or the storage cannot be reached; says what is kept.
        """
        self._check()
        try:
            if path.name == EVALUATIONS:
                self._push_portion()
            else:
                self._push_whole(path.name)
        except RunError as error:
            raise RunError(
                f"{error}; all is kept in {self.directory}; to go on from there: codesign resume {self.store.url}"
            ) from error
        if time.monotonic() - self._log_copied > LOG_S:
            self.push_log()

    def push_log(self) -> None:
        """Copy the log, which may fail."""
        self._log_copied = time.monotonic()
        with suppress(OSError, RunError):
            self._check()
            self.store.write(LOG, (self.directory / LOG).read_bytes(), attempts=1)

    def _push_whole(self, name: str) -> None:
        text = (self.directory / name).read_bytes()
        if self.store.read(name) != text:
            self._write(name, text)

    def _push_lines(self, listed: dict[Segment, int]) -> None:
        """Copy what the storage lacks, merge what is small, and remove what is of no use any more."""
        count = self._lines.update()
        good = [segment for segment in listed if segment.end <= count and self._same(segment, listed[segment])]
        self._there = []
        while (at := self._end()) < count:
            found = cover(good, at)
            starts = [segment.first for segment in good if segment.first > at]
            self._there += found or [
                self._copied(*piece) for piece in self._lines.pieces(at, min([count, *starts]), LARGEST)
            ]
        sizes = [self._lines.size(segment.first, segment.end) for segment in self._there]
        for group in reversed(crowds(sizes, LARGEST)):
            self._there[group] = [self._copied(self._there[group][0].first, self._there[group][-1].end)]
        self._levels = [-1 - place for place in range(len(self._there))]  # no two alike: these are merged
        self._remove(listed.keys() - set(self._there))

    def _same(self, segment: Segment, size: int) -> bool:
        """Whether a segment is there in full and holds the lines of the working copy.

        Raises:
            RunError: it holds others.
        """
        if segment.fits(self._lines.text(segment.first, segment.end)):
            return size == self._lines.size(segment.first, segment.end)
        text = self.store.read(f"{FOLDER}/{segment.name}")
        if text is not None and segment.fits(text):
            raise self._incoming.other(f"has other evaluations in {segment.first} to {segment.end - 1} than")
        return False

    def _push_portion(self) -> None:
        """Copy the lines that are new, and merge the last segments where there are many of one size."""
        count = self._lines.update()
        for piece in self._lines.pieces(self._end(), count, LARGEST):
            self._there.append(self._copied(*piece))
            self._levels.append(0)
        while len(self._levels) >= CROWD and len(set(self._levels[-CROWD:])) == 1:
            last = self._there[-CROWD:]
            if self._lines.size(last[0].first, last[-1].end) > LARGEST:
                break
            self._there[-CROWD:] = [self._copied(last[0].first, last[-1].end)]
            self._levels[-CROWD:] = [self._levels[-1] + 1]
            self._remove(set(last))

    def _end(self) -> int:
        return self._there[-1].end if self._there else 0

    def _copied(self, first: int, end: int) -> Segment:
        text = self._lines.text(first, end)
        segment = segment_of(first, text)
        self._write(f"{FOLDER}/{segment.name}", text)
        return segment

    def _remove(self, segments: set[Segment]) -> None:
        for segment in sorted(segments):
            self._check()
            self.store.remove(f"{FOLDER}/{segment.name}")

    def _write(self, name: str, text: bytes) -> None:
        self._check()
        self.store.write(name, text)
