"""Objects that together are one file of lines, on a storage where nothing can be appended.

A segment holds the lines [first, end) of the file and is written once. Its name says which lines they are and their
CRC-32, so what is torn is told from what is whole, and equal segments have equal names. Segments may overlap.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

PATTERN = re.compile(r"(\d{12})-(\d{12})-([0-9a-f]{8})\.jsonl")


@dataclass(frozen=True, order=True)
class Segment:
    """What the name of a segment says."""

    first: int
    end: int
    crc: int

    @property
    def name(self) -> str:
        """Of the object."""
        return f"{self.first:012d}-{self.end:012d}-{self.crc:08x}.jsonl"

    @property
    def lines(self) -> int:
        """How many it holds."""
        return self.end - self.first

    def fits(self, text: bytes) -> bool:
        """Whether an object with this name holds all that it should."""
        return zlib.crc32(text) == self.crc and text.count(b"\n") == self.lines


def segment_of(first: int, text: bytes) -> Segment:
    """Return the segment that holds whole lines, of which the first has this number."""
    return Segment(first, first + text.count(b"\n"), zlib.crc32(text))


def named(name: str) -> Segment | None:
    """Return the segment of an object's name; None if it is none."""
    found = PATTERN.fullmatch(name)
    return Segment(int(found[1]), int(found[2]), int(found[3], 16)) if found else None


def cover(segments: Iterable[Segment], start: int) -> list[Segment]:
    """Return as few segments as hold all lines from `start` on, in order, up to the first line that none holds."""
    ordered, found = sorted(segments), list[Segment]()
    best: Segment | None = None
    for segment in ordered:
        if segment.first > start:
            if best is None or best.end < segment.first:
                break
            found.append(best)
            start, best = best.end, None
        if segment.end > start and (best is None or segment.end > best.end):
            best = segment
    return found if best is None else [*found, best]


def crowds(sizes: list[int], most: int) -> list[slice]:
    """Return which neighbours to merge into one of at most `most` bytes; those that stay alone are not named."""
    found, start, total = list[slice](), 0, 0
    for place, size in enumerate([*sizes, most + 1]):
        if total + size > most:
            if place - start > 1:
                found.append(slice(start, place))
            start, total = place, 0
        total += size
    return found
