"""Several searches that differ in their seed: each a run like any other, all together one front."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

import codesign
from codesign import status
from codesign.errors import RunError
from codesign.members import members
from codesign.optimize import seeds
from codesign.optimize.steps import Progress
from codesign.picks import joint_front
from tests.command_line import call, refusal
from tests.optimize.searches import ROOT, command, record_of, small_search

COMMAND = ("search", "tiny", "unit", "--budget", "30", "--population", "10", "--seed", "3", "--algorithm", "nsga2")


@pytest.mark.parametrize("at_once", ["1", "2"])
def test_each_is_the_search_with_its_seed(at_once: str, tmp_path: Path) -> None:
    """However many run at once, the runs are those of single searches, and what is printed is their joint front."""
    options = ("--seeds", "3", "--at-once", at_once, "--run", tmp_path / "all", "--json")
    printed = json.loads(call(*COMMAND, *options))
    alone = [small_search(tmp_path / f"seed-00{n}", budget=30, population=10, seed=3 + n) for n in range(3)]
    for run in alone:
        assert record_of(tmp_path / "all" / run.name) == record_of(run.directory)
    expected = [(run.name, int(id_)) for run, ids in joint_front(alone) for id_ in ids]
    assert [(design["run"], design["id"]) for design in printed["designs"]] == expected
    assert json.loads(call("front", tmp_path / "all", "--json")) == printed
    assert (tmp_path / "all" / "report.html").exists()
    assert call("status", tmp_path / "all").count("30 of 30") == 3


def test_a_stopped_one_goes_on_from_its_directory(tmp_path: Path) -> None:
    """Stopped in its first search, all are there to be resumed, and end as undisturbed."""

    def stop(state: Progress) -> None:
        if len(state.run.evaluations) >= 10:
            raise KeyboardInterrupt

    options = {"algorithm": "nsga2", "budget": 30, "population": 10, "seed": 3, "watch": stop}
    with pytest.raises(KeyboardInterrupt):
        seeds.search("tiny", "unit", 2, directory=tmp_path / "all", **options)  # type: ignore[arg-type]
    call("resume", tmp_path / "all")
    for number in range(2):
        run = small_search(tmp_path / str(number), budget=30, population=10, seed=3 + number)
        assert record_of(tmp_path / "all" / f"seed-00{number}") == record_of(run.directory)
    call("resume", tmp_path / "all", "--budget", "40")
    assert all(len(codesign.open_run(place).evaluations) == 40 for place in members(tmp_path / "all"))


def test_what_runs_beside_stops_with_the_first_one(tmp_path: Path) -> None:
    """Ctrl-C stops all that run at once, is told how to go on with all, and nothing is lost."""
    # No shorter: the search of this process must not end while the other one starts.
    arguments = (*COMMAND[:4], "5000", *COMMAND[5:], "--seeds", "2", "--at-once", "2", "--run", str(tmp_path / "all"))
    process = subprocess.Popen(command(*arguments), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    places = [tmp_path / "all" / f"seed-00{number}" for number in range(2)]
    records = [place / "evaluations.jsonl" for place in places]
    while process.poll() is None and not all(record.exists() and record.stat().st_size for record in records):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert f"continue with: codesign resume {tmp_path / 'all'}" in process.communicate()[1]
    assert process.returncode == 130
    states = [next(status.follow(place, 1.0)).state for place in places]
    assert states == ["stopped", "stopped"]
    for number, record in enumerate(records):
        undisturbed = small_search(tmp_path / str(number), budget=10, population=10, seed=3 + number)
        assert record.read_bytes().startswith(record_of(undisturbed.directory)["evaluations.jsonl"])


def test_one_that_fails_is_named_and_the_others_end(tmp_path: Path) -> None:
    """A damaged run among those that are resumed at once is an error at the end; the others are finished by then."""
    call(*COMMAND, "--seeds", "3", "--run", tmp_path / "all")
    record = tmp_path / "all" / "seed-001" / "evaluations.jsonl"
    record.write_bytes(record.read_bytes().replace(b":", b";", 1))
    said = refusal("resume", tmp_path / "all", "--budget", "40", "--at-once", "2")
    assert f"{record}" in said
    lengths = [len(codesign.open_run(tmp_path / "all" / f"seed-00{n}").evaluations) for n in (0, 2)]
    assert lengths == [40, 40]


@pytest.mark.parametrize("taken", ["seed-001/run.json", "seed-005/run.json", "notes.txt"])
def test_a_directory_that_holds_something_is_refused(taken: str, tmp_path: Path) -> None:
    """Another search is not mistaken for one of these: nothing is begun, and it stays as it was."""
    place = tmp_path / "all"
    if taken == "notes.txt":
        place.mkdir()
        (place / taken).write_text("mine")
    else:
        small_search((place / taken).parent, budget=20)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    said = refusal(*COMMAND, "--seeds", "2", "--run", place)
    assert f"it holds {taken.split('/')[0]}; give another one with --run, or go on with the searches there: " in said
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_what_a_start_left_is_started_again(tmp_path: Path) -> None:
    """Stopped before a run.json was whole, the same command works."""
    for name in ("seed-000", "seed-001"):
        (tmp_path / "all" / name).mkdir(parents=True)
        (tmp_path / "all" / name / "evaluations.jsonl").touch()
    call(*COMMAND, "--seeds", "2", "--run", tmp_path / "all")
    assert [len(codesign.open_run(place).evaluations) for place in members(tmp_path / "all")] == [30, 30]


def test_verbs_of_one_run_name_the_members(tmp_path: Path) -> None:
    """A warm start takes all runs of a directory; what needs one run says which there are."""
    call(*COMMAND, "--seeds", "2", "--run", tmp_path / "all")
    run = small_search(tmp_path / "run", budget=20, warm_start=[tmp_path / "all"])
    assert run.manifest.warm_start is not None
    assert run.manifest.warm_start.runs == ["seed-000", "seed-001"]
    with pytest.raises(RunError, match=r"expected one run, got those of several seeds: seed-000, seed-001; name one: "):
        codesign.recost(tmp_path / "all", "gemmini_40nm", directory=tmp_path / "recosted")


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    """Without a directory, with a URL or with no seed there is nothing to search into or with."""
    assert "--at-once: expected with --seeds" in refusal(*COMMAND, "--at-once", "2", "--run", tmp_path / "none")
    assert "at once: expected at least 1, got 0" in refusal(
        *COMMAND, "--seeds", "2", "--at-once", "0", "--run", tmp_path / "none"
    )
    assert "name it with --run" in refusal(*COMMAND, "--seeds", "2")
    assert "name it with --run" in refusal(*COMMAND, "--seeds", "2", "--run", "memory://bucket/run")
    assert "expected at least 1, got 0" in refusal(*COMMAND, "--seeds", "0", "--run", tmp_path / "none")
    assert not (tmp_path / "none").exists()
