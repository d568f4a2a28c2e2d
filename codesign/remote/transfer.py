"""The record of a run in a working copy and on another storage: each is made to hold what the other has more.

run.json, remeasured.jsonl and log.jsonl are objects of these names; evaluations.jsonl is a folder of segments. One
is written before any that it replaces is removed, so at every moment what is there is the record up to some line.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import msgspec

from codesign import journal
from codesign.errors import RunError
from codesign.journal import EVALUATIONS, LOG, MANIFEST, REMEASURED
from codesign.lines import only_writer, whole_lines
from codesign.remote.local_lines import LocalLines
from codesign.remote.segments import Segment, cover, crowds, named, segment_of
from codesign.remote.store import Store

FOLDER = "evaluations"

LARGEST = 1 << 26
"""Bytes of a segment, unless one line has more."""

CROWD = 32
"""Neighbours of about one size that are merged while a search goes on."""

LOG_S = 30.0
"""Seconds between two copies of the log."""

VANISHED = 10
"""Times that what was listed may be gone, merged by its writer, before that counts as damage."""


class BusyError(RunError):
    """The working copy is being written."""


class Transfer:
    """A working copy and its storage."""

    def __init__(self, directory: Path, store: Store) -> None:
        self.directory, self.store = directory, store
        self._lines = LocalLines(directory / EVALUATIONS)
        self._check: Callable[[], None] | None = None
        """Raises where this process may not write; None for a reader."""
        self._there: list[Segment] = []
        """Segments that together hold what is on the storage, in order."""
        self._levels: list[int] = []
        """How often each was merged."""
        self._log_copied = -LOG_S

    def pull(self) -> None:
        """Append to the working copy what the storage has more; nothing where the working copy is being written.

        Raises:
            RunError: the storage cannot be reached or its record is damaged, or the two are of different searches.
        """
        with suppress(BusyError):
            self._pull()

    def begin(self, check: Callable[[], None]) -> None:
        """Make both equal, as their only writer.

        Args:
            check: called before each write; raises where this process may not write any more.

        Raises:
            RunError: as in `pull`.
        """
        self._check = check
        self._pull()
        listed = self._listed()
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
            RunError: the storage cannot be reached; says what is kept.
        """
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
            self.store.write(LOG, (self.directory / LOG).read_bytes(), attempts=1)

    def _pull(self) -> None:
        # First: of no more evaluations than the lines that are read next.
        again, log = self.store.read(REMEASURED), self.store.read(LOG)
        self._pull_manifest()
        self._pull_lines()
        self._pull_if(REMEASURED, again, _extent)
        self._pull_if(LOG, log, lambda text: (len(text),))

    def _alone(self) -> AbstractContextManager[object]:
        """Be the only one who writes to the working copy, which a writer is already."""
        if self._check is not None:
            return nullcontext()
        busy = f"{self.directory}: is being written"
        return only_writer(self.directory / EVALUATIONS, BusyError, busy, create=True)

    def _pull_manifest(self) -> None:
        """Take the manifest of the storage, whose budget may have been raised."""
        text, path = self.store.read(MANIFEST), self.directory / MANIFEST
        here = path.read_bytes() if path.exists() else None
        if text is None or text == here:
            return
        try:
            there = _search(text)
        except msgspec.DecodeError as error:
            if here is not None:  # torn; the writer copies it again
                return
            raise RunError(f"{self.store.url}/{MANIFEST}: cannot be read: {error}; restore it from a copy") from None
        if here is not None and there != _search(here):
            raise RunError(self._other("is of another search than"))
        with self._alone():
            journal.replace(path, text, "give the command again")

    def _pull_lines(self) -> None:
        """Append the lines that the working copy lacks."""
        torn, vanished = set[Segment](), 0
        while True:
            at = self._lines.update()
            segments = [segment for segment in self._listed() if segment not in torn]
            missing = cover(segments, at)
            if not missing:
                break
            text = self.store.read(f"{FOLDER}/{missing[0].name}")
            if text is None and vanished < VANISHED:
                vanished += 1
            elif text is None or not missing[0].fits(text):
                torn.add(missing[0])
            else:
                self._append(missing[0], text, at)
        if any(segment.end > at for segment in segments):
            raise RunError(f"{self.store.url}/{FOLDER}: evaluation {at} is in no object; restore it from a copy")

    def _append(self, segment: Segment, text: bytes, at: int) -> None:
        with self._alone():
            if self._lines.update() != at:  # another reader was faster
                return
            known = self._lines.text(segment.first, at)
            if not text.startswith(known):
                raise RunError(self._other(f"has other evaluations before number {at} than"))
            try:
                self._lines.append(text[len(known) :])
            except OSError as error:
                raise RunError(f"{self.directory}: cannot be written: {error.strerror}; make room") from error

    def _pull_if(self, name: str, text: bytes | None, extent: Callable[[bytes], tuple[int, ...]]) -> None:
        """Take a file of the storage, if it is of larger extent."""
        path = self.directory / name
        here = path.read_bytes() if path.exists() else b""
        if text is not None and extent(text) > extent(here):
            with self._alone():
                journal.replace(path, text, "give the command again")

    def _listed(self) -> dict[Segment, int]:
        """Return what is on the storage, with its bytes."""
        return {found: size for name, size in self.store.sizes(FOLDER).items() if (found := named(name))}

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
            raise RunError(self._other(f"has other evaluations in {segment.first} to {segment.end - 1} than"))
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
            self.store.remove(f"{FOLDER}/{segment.name}")

    def _write(self, name: str, text: bytes) -> None:
        assert self._check is not None, "a reader writes nothing to the storage"
        self._check()
        self.store.write(name, text)

    def _other(self, differs: str) -> str:
        return (
            f"{self.directory}, the working copy of {self.store.url}, {differs} what is there now; to go on with "
            "that, move the working copy away; to keep both, continue the copy from another place"
        )


def _search(manifest: bytes) -> dict[str, object]:
    """Return a manifest without what may be changed while the search stays the same."""
    found = msgspec.json.decode(manifest, type=dict[str, object])
    return {name: value for name, value in found.items() if name not in ("budget", "stop")}


def _extent(again: bytes) -> tuple[int, int]:
    """Return of how many evaluations a re-measurement is, and how many lines of it there are."""
    lines = whole_lines(again)
    with suppress(msgspec.DecodeError, ValueError, KeyError, TypeError):
        return int(msgspec.json.decode(lines[0])["evaluations"]) if lines else -1, len(lines)
    return -1, 0
