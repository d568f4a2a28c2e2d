"""The log beside a record: it says how a search goes, and can neither stop it nor change it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import msgspec
import pytest

import codesign
from codesign import run_log
from codesign.optimize.loop import Progress
from codesign.record import one_batch
from codesign.run import Run, open_run
from codesign.run_log import Event, has_driver, last_event, logged
from tests.optimize.searches import record_of, small_search


def events(directory: Path) -> list[Event]:
    """All lines of a log; each must be one."""
    return [msgspec.json.decode(line, type=Event) for line in (directory / "log.jsonl").read_bytes().splitlines()]


@dataclass(frozen=True)
class State:
    """What a search shows."""

    run: Run
    finished: str = ""


def failing(run: Run, text: str) -> Run:
    """The run with one more evaluation, which failed."""
    one = run.evaluations.take(slice(0, 1))
    start = len(run.evaluations)
    return run.longer(replace(one, failure=one.failure + text, violation=one.violation + 1), one_batch(start, 1))


def test_a_start_and_an_end_are_written(tmp_path: Path) -> None:
    """A short search leaves two lines; the last says what the record says, who wrote it, and when."""
    run = small_search(tmp_path / "run")
    started, finished = events(tmp_path / "run")
    assert (started.event, started.evaluations, started.evaluations_per_s) == ("started", 0, None)
    assert (finished.event, finished.text) == ("finished", "budget used")
    assert (finished.evaluations, finished.budget, finished.failures) == (60, 60, 0)
    assert (finished.front, finished.hypervolume) == (len(run.front_ids()), run.hypervolume())
    assert finished.evaluations_per_s is not None
    assert finished.evaluations_per_s > 0
    assert (finished.host, finished.pid) == (socket.gethostname(), os.getpid())
    assert timedelta(0) <= datetime.now(UTC) - finished.time < timedelta(minutes=5)
    assert last_event(tmp_path / "run") == finished


def test_what_comes_between_is_not_written_more_often_than_asked(tmp_path: Path) -> None:
    """With no pause between lines each batch has one; otherwise none of a short search has."""
    with mock.patch.object(run_log, "EVERY_S", 0.0):
        small_search(tmp_path / "each")
    assert [event.evaluations for event in events(tmp_path / "each") if event.event == "batch"] == [20, 40, 60]
    assert record_of(tmp_path / "each") == record_of(small_search(tmp_path / "seldom").directory)
    assert [event.event for event in events(tmp_path / "seldom")] == ["started", "finished"]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyboardInterrupt(), "Ctrl-C"),
        (OSError(5, "the disk is gone"), "[Errno 5] the disk is gone"),
        (ValueError(), "ValueError()"),
    ],
)
def test_a_search_that_is_stopped_says_why(error: BaseException, text: str, tmp_path: Path) -> None:
    """What ends a search early is the last line of the log, and still reaches the caller."""

    def stop(state: Progress) -> None:
        if len(state.run.evaluations) == 40:
            raise error

    with pytest.raises(type(error)):
        small_search(tmp_path / "run", watch=stop)
    last = events(tmp_path / "run")[-1]
    assert (last.event, last.evaluations) == ("stopped", 40)
    assert last.text == text


def test_failures_are_told_once_with_their_traceback(tmp_path: Path) -> None:
    """New failures come with the last traceback, cut to a length; those of the record before the start do not."""
    run = failing(small_search(tmp_path / "run"), "told by an earlier driver")
    (tmp_path / "run" / "log.jsonl").unlink()
    with logged(tmp_path / "run", lambda _: None) as seen:
        seen(State(run))
        run = failing(failing(run, "first"), "Traceback\n" + "x" * 9999)
        seen(State(run))
        seen(State(run, "budget used"))
    started, failure, finished = events(tmp_path / "run")
    assert (started.event, started.failures) == ("started", 1)
    assert (failure.event, failure.failures) == ("failure", 3)
    assert failure.text.startswith("62: Traceback\nxxx")
    assert len(failure.text) == run_log.MOST_TEXT
    assert (finished.event, finished.failures, finished.evaluations) == ("finished", 3, 63)


def test_a_full_disk_does_not_stop_the_search(tmp_path: Path) -> None:
    """A log that cannot be written, or not even opened, changes nothing of the run."""
    directory = small_search(tmp_path / "run", budget=20).directory
    (directory / "log.jsonl").unlink()
    (directory / "log.jsonl").symlink_to("/dev/full")
    codesign.resume(directory, budget=40)
    (directory / "log.jsonl").unlink()
    (directory / "log.jsonl").mkdir()
    codesign.resume(directory, budget=60)
    assert has_driver(directory) is None
    assert last_event(directory) is None
    assert record_of(directory) == record_of(small_search(tmp_path / "undisturbed").directory)


def test_half_a_line_is_passed_over(tmp_path: Path) -> None:
    """What a killed driver left half written stands alone, and the lines before and after it are read."""
    directory = small_search(tmp_path / "run", budget=40).directory
    before = last_event(directory)
    with (directory / "log.jsonl").open("ab") as file:
        file.write(b'{"time":"2026')
    assert last_event(directory) == before
    codesign.resume(directory, budget=60)
    lines = (directory / "log.jsonl").read_bytes().splitlines()
    assert lines[2] == b'{"time":"2026'
    assert [msgspec.json.decode(line, type=Event).event for line in lines[3:]] == ["started", "finished"]
    (directory / "log.jsonl").write_bytes(b"\0\xff{}\n[]\n")
    assert last_event(directory) is None


def test_only_the_end_of_a_log_is_read(tmp_path: Path) -> None:
    """The last line is found whatever stands before it, and however long that is."""
    directory = small_search(tmp_path / "run").directory
    log = (directory / "log.jsonl").read_bytes()
    (directory / "log.jsonl").write_bytes(b"x" * (2 * run_log.TAIL_BYTES) + b"\n" + log)
    assert last_event(directory) == msgspec.json.decode(log.splitlines()[-1], type=Event)


def test_a_driver_is_seen_without_taking_its_lock(tmp_path: Path) -> None:
    """While a search runs its log is locked, however often it is asked and opened; afterwards it is not."""
    answers = []

    def ask(state: Progress) -> None:
        answers.append(has_driver(state.run.directory))
        open_run(state.run.directory)
        last_event(state.run.directory)

    small_search(tmp_path / "run", watch=ask)
    assert answers == [True] * len(answers)
    assert len(answers) >= 4
    assert has_driver(tmp_path / "run") is False
    assert has_driver(tmp_path / "none") is None
