"""Files of lines in pieces: found by their names, covered with few, merged without loss."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codesign.remote.local_lines import LocalLines
from codesign.remote.segments import Segment, cover, crowds, named, segment_of

BOUNDS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=12)


@given(BOUNDS, st.integers(0, 40))
def test_a_cover_reaches_as_far_as_the_segments_do(bounds: list[tuple[int, int]], start: int) -> None:
    """A cover goes from `start` to the first line that no segment holds, without gaps, and none of it can be spared."""
    segments = [Segment(first, first + lines, 0) for first, lines in bounds]
    held = {line for segment in segments for line in range(segment.first, segment.end)}
    found, at = cover(segments, start), start
    for segment in found:
        assert segment.first <= at < segment.end
        at = segment.end
    assert at == start + next(k for k in range(100) if start + k not in held)
    for left_out in found:
        lines = {line for one in found if one is not left_out for line in range(one.first, one.end)}
        assert not set(range(start, at)) <= lines


def test_a_name_says_what_an_object_holds() -> None:
    """Names are read back; an object that is cut, longer or of another content does not fit its name."""
    text = b"one\ntwo\nthree\n"
    segment = segment_of(7, text)
    assert (segment.first, segment.end) == (7, 10)
    assert named(segment.name) == segment
    assert named("0-1-2.jsonl") is None
    assert named(segment.name + ".part") is None
    assert segment.fits(text)
    assert not any(segment.fits(other) for other in (b"", text[:-1], text[:4], text + b"\n", text.upper()))


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 100))
def test_crowds_are_as_large_as_allowed(sizes: list[int], most: int) -> None:
    """No crowd is of one or of too many bytes, and after merging no two neighbours would fit together."""
    groups = crowds(sizes, most)
    assert all(group.stop - group.start > 1 and sum(sizes[group]) <= most for group in groups)
    for group in reversed(groups):
        sizes[group] = [sum(sizes[group])]
    assert all(one + other > most for one, other in itertools.pairwise(sizes))


def test_lines_are_found_by_number_while_a_file_grows(tmp_path: Path) -> None:
    """Any range of lines is read back; a torn last line counts once it is whole; pieces are as long as allowed."""
    path, rng = tmp_path / "lines", np.random.default_rng(0)
    lines, known = [], LocalLines(path)
    assert known.update() == 0
    for _ in range(20):
        new = [b"x" * int(rng.integers(0, 30)) + b"\n" for _ in range(int(rng.integers(0, 9)))]
        lines += new
        path.write_bytes(b"".join(lines) + b"torn")
        assert known.update() == len(lines)
        first, end = sorted(rng.integers(0, len(lines) + 1, 2).tolist())
        assert known.text(first, end) == b"".join(lines[first:end])
        pieces = known.pieces(first, end, 40)
        assert b"".join(known.text(*piece) for piece in pieces) == known.text(first, end)
        assert all(known.size(*piece) <= 40 or piece[1] - piece[0] == 1 for piece in pieces)
