"""The lines of a file that only grows, found by their numbers."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np

from codesign.design import IntArray
from codesign.lines import whole_blocks


class LocalLines:
    """A file of lines, and where each ends; a torn last line is left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ends: IntArray = np.zeros(1, dtype=np.int64)
        self._count = 0

    def update(self) -> int:
        """Return how many lines there are now; reads what is new. A file that is not there has none.

        Raises:
            OSError: it cannot be read.
        """
        if not self.path.exists():
            return 0
        place = int(self._ends[self._count])
        for block in whole_blocks(self.path, place):
            ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n")) + place + 1
            self._reserve(len(ends))
            self._ends[self._count + 1 : self._count + 1 + len(ends)] = ends
            self._count += len(ends)
            place += len(block)
        return self._count

    def text(self, first: int, end: int) -> bytes:
        """Return the lines [first, end).

        Raises:
            OSError: it cannot be read.
        """
        with self.path.open("rb") as file:
            file.seek(int(self._ends[first]))
            return file.read(self.size(first, end))

    def size(self, first: int, end: int) -> int:
        """Return the bytes of the lines [first, end)."""
        return int(self._ends[end] - self._ends[first])

    def pieces(self, first: int, end: int, most: int) -> list[tuple[int, int]]:
        """Return [first, end) in pieces of at most `most` bytes, or of one line."""
        bounds = [first]
        while bounds[-1] < end:
            limit = int(self._ends[bounds[-1]]) + most
            last = int(np.searchsorted(self._ends[: end + 1], limit, side="right")) - 1
            bounds.append(max(last, bounds[-1] + 1))
        return list(pairwise(bounds))

    def append(self, text: bytes) -> None:
        """Append whole lines, and flush them to the disk.

        Raises:
            OSError: the disk is full or cannot be written.
        """
        with self.path.open("ab") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def _reserve(self, more: int) -> None:
        needed = self._count + more + 1
        if needed > len(self._ends):
            grown = np.zeros(max(needed, 2 * len(self._ends)), dtype=np.int64)
            grown[: self._count + 1] = self._ends[: self._count + 1]
            self._ends = grown
