"""What another storage holds of a run, appended to the working copy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

import msgspec

from codesign import journal
from codesign.errors import RunError
from codesign.journal import EVALUATIONS, LOG, MANIFEST, REMEASURED
from codesign.lines import only_writer, whole_lines
from codesign.remote.local_lines import LocalLines
from codesign.remote.segments import Segment, cover, named
from codesign.remote.store import Store

FOLDER = "evaluations"
"""Of the segments of evaluations.jsonl."""

VANISHED = 10
"""Times that what was listed may be gone, merged by its writer, before that counts as damage."""


class BusyError(RunError):
    """The working copy is being written."""


class Incoming:
    """A working copy that is brought up to date."""

    def __init__(self, directory: Path, store: Store, *, writing: bool = False) -> None:
        """Be a reader, or the writer of the working copy, who has its lock already."""
        self.directory, self.store, self._writing = directory, store, writing
        self.lines = LocalLines(directory / EVALUATIONS)

    def pull(self) -> None:
        """Append to the working copy what the storage has more; nothing where another process writes to it.

        Raises:
            RunError: the storage cannot be reached or its record is damaged, or the two are of different searches.
        """
        with suppress(BusyError):
            # First: of no more evaluations than the lines that are read next.
            again, log = self.store.read(REMEASURED), self.store.read(LOG)
            self._pull_manifest()
            self._pull_lines()
            self._pull_if(REMEASURED, again, _extent)
            self._pull_if(LOG, log, lambda text: (len(text),))

    def listed(self) -> dict[Segment, int]:
        """Return the segments on the storage, with their bytes."""
        return {found: size for name, size in self.store.sizes(FOLDER).items() if (found := named(name))}

    def other(self, differs: str) -> RunError:
        """Return the error for two records that are not one."""
        return RunError(
            f"{self.directory}, the working copy of {self.store.url}, {differs} what is there now; to go on with "
            "what is there, move the working copy away; to go on with the copy alone, remove its remote.json"
        )

    def _alone(self) -> AbstractContextManager[object]:
        """Be the only one who writes to the working copy, which a writer is already."""
        if self._writing:
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
            raise self.other("is of another search than")
        with self._alone():
            journal.replace(path, text, "give the command again")

    def _pull_lines(self) -> None:
        """Append the lines that the working copy lacks."""
        torn, vanished = set[Segment](), 0
        while True:
            at = self.lines.update()
            segments = [segment for segment in self.listed() if segment not in torn]
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
            if self.lines.update() != at:  # another reader was faster
                return
            known = self.lines.text(segment.first, at)
            if not text.startswith(known):
                raise self.other(f"has other evaluations before number {at} than")
            try:
                self.lines.append(text[len(known) :])
            except OSError as error:
                raise RunError(f"{self.directory}: cannot be written: {error.strerror}; make room") from error

    def _pull_if(self, name: str, text: bytes | None, extent: Callable[[bytes], tuple[int, ...]]) -> None:
        """Take a file of the storage, if it is of larger extent."""
        path = self.directory / name
        here = path.read_bytes() if path.exists() else b""
        if text is not None and extent(text) > extent(here):
            with self._alone():
                journal.replace(path, text, "give the command again")


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
