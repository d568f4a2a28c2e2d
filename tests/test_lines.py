"""Files of lines: one writer, and no torn line survives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.errors import RunError
from codesign.lines import only_writer, whole_length, whole_lines


@given(lines=st.lists(st.binary(max_size=9).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b""))), torn=st.binary())
def test_what_follows_the_last_line_end_is_left_out(lines: list[bytes], torn: bytes) -> None:
    """Whole lines are read as they were written, whatever was begun after them."""
    torn = torn.replace(b"\n", b"")
    text = b"".join(line + b"\n" for line in lines)
    assert whole_length(text + torn) == len(text)
    assert whole_lines(text + torn) == lines


def test_the_next_writer_cuts_a_torn_line(tmp_path: Path) -> None:
    """What it appends stands on a line of its own; whole lines stay."""
    path = tmp_path / "facts.jsonl"
    path.write_bytes(b"one\ntw")
    with only_writer(path, RunError, "busy", create=True) as file:
        file.write(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


def test_there_is_one_writer_at_a_time(tmp_path: Path) -> None:
    """A second one is refused with the message given, and may write once the first has ended."""
    path = tmp_path / "facts.jsonl"
    with only_writer(path, RunError, "busy", create=True), pytest.raises(RunError, match="busy"):  # noqa: SIM117
        with only_writer(path, RunError, "busy", create=True):
            pass
    with only_writer(path, RunError, "busy", create=True) as file:
        file.write(b"one\n")


def test_a_file_that_must_be_there_is_not_made(tmp_path: Path) -> None:
    """Where it is missing, the error names it."""
    path = tmp_path / "none.jsonl"
    with (
        pytest.raises(RunError, match=r"none\.jsonl: cannot be written"),
        only_writer(path, RunError, "", create=False),
    ):
        pass
    assert not path.exists()
