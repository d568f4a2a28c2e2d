"""Files of answers that several processes read and write, and that may be damaged."""

from __future__ import annotations

import errno
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from codesign.accuracy.answers import Answer, AnswerFile, Header, Key, header_of

HEADER = Header("own", "1234", {})
ANSWERS: dict[Key, Answer] = {bytes([i]) * 32: ("loss", i / 7, i / 70, i % 2 == 0) for i in range(1, 6)}

WRITER = """
import sys
from pathlib import Path
from codesign.accuracy.answers import AnswerFile, Header
file = AnswerFile(Path(sys.argv[1]), Header("own", "1234", {}))
for i in range(100):
    file.add({bytes([int(sys.argv[2]), i]) * 16: ("loss", i / 3, 0.1, False)})
"""


def of(path: Path) -> AnswerFile:
    """The file as another process sees it that has read nothing yet."""
    return AnswerFile(path, HEADER)


def test_what_is_added_is_found_by_others_to_the_last_bit(tmp_path: Path) -> None:
    """Values and errors read back as the same doubles, NaN included; unknown keys are not there."""
    path, unknown = tmp_path / "deep" / "a.jsonl", b"x" * 32
    reader = of(path)
    assert reader.find([unknown]) == {}
    of(path).add(ANSWERS)
    assert reader.find([unknown, *ANSWERS]) == ANSWERS  # it had read the file before
    of(path).add({unknown: ("", math.nan, math.nan, False)})
    metric, value, error, extrapolated = reader.find([unknown])[unknown]
    assert (metric, extrapolated) == ("", False)
    assert math.isnan(value)
    assert math.isnan(error)
    assert header_of(path) == HEADER


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """Three processes append a hundred portions each; all answers are there, and one header."""
    path = tmp_path / "a.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, str(i)]) for i in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(of(path).find([bytes([i, j]) * 16 for i in range(3) for j in range(100)])) == 300
    assert len(path.read_bytes().splitlines()) == 301


@pytest.mark.parametrize("cut", [1, 20, 150])
def test_a_torn_line_costs_one_answer(tmp_path: Path, cut: int) -> None:
    """After a write that was cut off anywhere, the other answers are found, and so is what is added later."""
    path = tmp_path / "a.jsonl"
    of(path).add(ANSWERS)
    path.write_bytes(path.read_bytes()[:-cut])
    first, *rest = ANSWERS.items()
    last = rest.pop()
    assert of(path).find(list(ANSWERS)) == dict([first, *rest])
    of(path).add(dict([last]))
    assert of(path).find(list(ANSWERS)) == ANSWERS


def test_a_damaged_line_is_not_believed(tmp_path: Path) -> None:
    """A changed digit, a line of another kind and bytes that are no text are skipped."""
    path = tmp_path / "a.jsonl"
    of(path).add(ANSWERS)
    lines = path.read_bytes().splitlines()
    lines[2] = lines[2].replace(b'"value":0.', b'"value":1.')
    path.write_bytes(b"\n".join([b"\xff\x00", *lines, b"{}", b'{"kind":"later"}', b""]))
    assert of(path).find(list(ANSWERS)) == {key: ANSWERS[key] for i, key in enumerate(ANSWERS) if i != 1}


@pytest.mark.parametrize("written", [-1, 30])
def test_a_full_disk_is_told_once_and_leaves_the_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Whether nothing or half a portion could be written: one warning, the old answers on disk, the new in memory."""
    path, (first, *rest) = tmp_path / "a.jsonl", ANSWERS.items()
    of(path).add(dict([first]))
    before, file, write = path.read_bytes(), of(path), os.write

    def full(handle: int, data: bytes) -> int:
        if written < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[:written])

    monkeypatch.setattr(os, "write", full)
    with pytest.warns(UserWarning, match=r"a.jsonl: cannot be written: No space left.*--cache none"):
        file.add(dict(rest[:1]))
    file.add(dict(rest[1:]))  # no second warning, which would be an error
    assert path.read_bytes() == before
    assert file.find(list(ANSWERS)) == ANSWERS


def test_a_place_that_cannot_be_written_is_told_and_read_as_empty(tmp_path: Path) -> None:
    """A directory that is a file stops nobody."""
    (tmp_path / "file").write_text("")
    file = of(tmp_path / "file" / "a.jsonl")
    assert file.find(list(ANSWERS)) == {}
    with pytest.warns(UserWarning, match="cannot be written"):
        file.add(ANSWERS)
    assert file.find(list(ANSWERS)) == ANSWERS
