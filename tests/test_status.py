"""What `codesign status` says of runs that go on, have ended, were killed, or never began."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest

from codesign.errors import RunError
from codesign.optimize.loop import Progress
from codesign.record import one_batch
from codesign.run import open_run
from codesign.run_log import Event
from codesign.status import Status, as_lines, as_record, follow, judge
from tests.command_line import call, refusal
from tests.optimize.searches import record_of, restore, small_search

Record = dict[str, bytes]

REFERENCE = Path(__file__).parent.parent / "runs" / "reference"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The files of a finished search of 60 designs, its log included."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    small_search(directory)
    return record_of(directory) | {"log.jsonl": (directory / "log.jsonl").read_bytes()}


def status_of(directory: Path) -> Status:
    """The status now."""
    return next(follow(directory, every_s=0))


def without_an_end(finished: Record, **fields: Any) -> Record:
    """The files of a driver that wrote a line about a batch and no other since; some fields of it replaced."""
    last = json.loads(finished["log.jsonl"].splitlines()[-1]) | {"event": "batch"} | fields
    return finished | {"log.jsonl": msgspec.json.encode(last) + b"\n"}


def test_a_finished_run(finished: Record, tmp_path: Path) -> None:
    """Its figures are those of the record, and nothing is left to do."""
    run = open_run(restore(tmp_path / "run", finished))
    said = as_record(status_of(run.directory))
    assert (said["state"], said["why"]) == ("finished", "budget used")
    assert (said["evaluations"], said["budget"], said["failures"], said["last_failures"]) == (60, 60, 0, [])
    assert (said["front"], said["hypervolume"]) == (len(run.front_ids()), run.hypervolume())
    assert (said["evaluations_per_s"], said["eta_s"]) == (None, None)
    assert said["driver"]["host"] == socket.gethostname()
    assert 0 <= said["last_evaluation_age_s"] < 300
    assert not any("resume" in line for line in as_lines(status_of(run.directory)))


def test_a_running_search(tmp_path: Path) -> None:
    """Asked while it runs, it is running, with all that is on the disk by then; nothing is changed by asking."""
    said: list[dict[str, Any]] = []

    def ask(state: Progress) -> None:
        said.append(as_record(status_of(state.run.directory)))

    directory = small_search(tmp_path / "run", watch=ask).directory
    assert [one["evaluations"] for one in said[:3]] == [0, 20, 40]
    assert {one["state"] for one in said} == {"running"}
    assert said[0]["last_evaluation"] is None
    assert record_of(directory) == record_of(small_search(tmp_path / "unasked").directory)


def test_the_time_that_is_left(finished: Record, tmp_path: Path) -> None:
    """A running search has a rate, and what is left of the budget takes as long as that says."""
    run = open_run(restore(tmp_path / "run", finished))
    longer = replace(run, manifest=msgspec.structs.replace(run.manifest, budget=660))
    event = msgspec.json.decode(finished["log.jsonl"].splitlines()[-1], type=Event)
    event = msgspec.structs.replace(event, evaluations_per_s=4.0)
    status = Status(longer, "running", "", event, datetime.now(UTC))
    assert status.eta_s == 150
    assert "evaluations  60 of 660 (9.1%), 4/s, 2 min 30 s to go" in as_lines(status)
    assert replace(status, state="killed").eta_s is None


def test_a_killed_search(finished: Record, tmp_path: Path) -> None:
    """A log without an end and without a driver is that of a killed one; how to go on is said."""
    directory = restore(tmp_path / "run", without_an_end(finished, pid=123))
    status = status_of(directory)
    assert (status.state, status.why) == ("killed", "process 123 is gone and did not say why")
    assert as_lines(status)[-1] == f"continue with: codesign resume {directory}"


@pytest.mark.parametrize(("age_s", "state"), [(5, "running"), (50, "running"), (70, "silent"), (90_000, "silent")])
def test_a_driver_on_another_machine(age_s: float, state: str, finished: Record, tmp_path: Path) -> None:
    """Where its lock cannot be seen, the age of its last line decides, and is said."""
    then = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat()
    status = status_of(restore(tmp_path / "run", without_an_end(finished, host="elsewhere", time=then)))
    assert status.state == state
    assert status.why.startswith("last heard of ")
    assert status.why.endswith(" ago on elsewhere")


@pytest.mark.parametrize(("alive", "state"), [(True, "running"), (False, "killed")])
def test_without_locks_the_process_is_looked_for(alive: bool, state: str, finished: Record, tmp_path: Path) -> None:
    """Where the system knows no such lock, a driver on this machine runs if its process is there."""
    directory = restore(tmp_path / "run", without_an_end(finished))
    event = msgspec.json.decode((directory / "log.jsonl").read_bytes(), type=Event)
    with mock.patch("os.kill", side_effect=None if alive else ProcessLookupError):
        assert judge(open_run(directory), event, None, datetime.now(UTC))[0] == state


def test_a_stopped_search(tmp_path: Path) -> None:
    """Its reason is said."""

    def stop(state: Progress) -> None:
        if len(state.run.evaluations) == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small_search(tmp_path / "run", watch=stop)
    status = status_of(tmp_path / "run")
    assert (status.state, status.why) == ("stopped", "Ctrl-C")


def test_runs_without_a_log(finished: Record, tmp_path: Path) -> None:
    """The record alone says whether the budget is used; the rest is not guessed."""
    record = {name: content for name, content in finished.items() if name != "log.jsonl"}
    assert status_of(restore(tmp_path / "whole", record)).state == "finished"
    half = b"".join(record["evaluations.jsonl"].splitlines(keepends=True)[:30])
    status = status_of(restore(tmp_path / "half", record | {"evaluations.jsonl": half}))
    assert (status.state, status.why) == ("stopped", "there is no log that says how")
    status = status_of(restore(tmp_path / "empty", record | {"evaluations.jsonl": b""}))
    assert (status.state, status.why) == ("not started", "nothing is evaluated yet")
    assert (as_record(status)["front"], as_record(status)["hypervolume"]) == (0, 0.0)


def test_a_log_of_a_shorter_search_is_not_believed(finished: Record, tmp_path: Path) -> None:
    """The end of a search is not that of one with a larger budget, begun where no log could be written."""
    manifest = json.loads(finished["run.json"]) | {"budget": 90}
    directory = restore(tmp_path / "run", finished | {"run.json": json.dumps(manifest).encode()})
    assert status_of(directory).state == "stopped"


def test_the_committed_run_of_the_first_format() -> None:
    """An old run has a status too, and is not offered to be continued."""
    status = status_of(REFERENCE)
    assert status.state == "finished"
    assert not any("resume" in line for line in as_lines(status))


def test_failures_are_shown(finished: Record, tmp_path: Path) -> None:
    """The last ones by id, each with what it is and what was raised; all of it in JSON."""
    run = open_run(restore(tmp_path / "run", finished))
    rows = run.evaluations.take(slice(0, 5))
    texts = [f"Traceback\n  File {n}\nOSError: {n}" for n in range(4)] + [""]
    rows = replace(rows, failure=rows.failure + texts, violation=rows.violation + 1)
    run.extend(rows, one_batch(60, 5))
    status = status_of(run.directory)
    lines = as_lines(status)
    start = lines.index("failures     4") + 1
    assert lines[start : start + 6] == [f"  6{n}: {text}" for n in (1, 2, 3) for text in ("Traceback", f"OSError: {n}")]
    assert as_record(status)["last_failures"][-1] == {"id": 63, "text": texts[3]}


def test_following_ends_with_the_search(finished: Record, tmp_path: Path) -> None:
    """It goes on while the search runs, reads what was added and a raised budget, and ends with it."""
    text = finished["evaluations.jsonl"]
    part = b"".join(text.splitlines(keepends=True)[:20])
    directory = restore(tmp_path / "run", finished | {"evaluations.jsonl": part})
    with mock.patch("codesign.status.has_driver", side_effect=[True, True, False]):
        states = follow(directory, every_s=0)
        assert len(next(states).run.evaluations) == 20
        (directory / "evaluations.jsonl").write_bytes(text[:-9])
        assert len(next(states).run.evaluations) == 59
        (directory / "evaluations.jsonl").write_bytes(text)
        (last,) = list(states)
    assert (last.state, len(last.run.evaluations)) == ("finished", 60)


def test_the_verb(finished: Record, tmp_path: Path) -> None:
    """It prints text or JSON, once or until the search has ended; without a run it says so."""
    directory = restore(tmp_path / "run", finished)
    first = f"{directory}: finished: budget used\n"
    assert call("status", directory).startswith(first)
    assert call("status", directory, "--watch").startswith(first)
    (line,) = call("status", directory, "--json", "--watch").splitlines()
    assert json.loads(line)["state"] == "finished"
    assert "no run here" in refusal("status", tmp_path)
    with pytest.raises(RunError, match="no run here"):
        status_of(tmp_path)
