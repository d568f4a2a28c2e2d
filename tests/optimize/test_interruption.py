"""Searches in processes of their own that are killed, stopped, or run out of disk: resumed, the record is the same."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.errors import RunError
from codesign.optimize.loop import Progress
from tests.optimize.searches import ROOT, command, record_of, restore, run_command, small_search

BUDGET, POPULATION = 700, 20
START = (
    f"import codesign; codesign.search('tiny', 'unit', algorithm='nsga2', budget={BUDGET}, "
    f"population={POPULATION}, seed=3, directory="
)
SEARCH = (
    *("search", "tiny", "unit", "--algorithm", "nsga2"),
    *("--budget", BUDGET, "--population", POPULATION, "--seed", "3", "--run"),
)

Record = dict[str, bytes]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of the search that nothing disturbs."""
    directory = tmp_path_factory.mktemp("undisturbed") / "run"
    small_search(directory, budget=BUDGET, population=POPULATION)
    return record_of(directory)


def written(directory: Path) -> int:
    """Bytes of evaluations so far; -1 before the file exists."""
    try:
        return (directory / "evaluations.jsonl").stat().st_size
    except FileNotFoundError:
        return -1


def interrupt(
    arguments: list[str], when: Callable[[], bool], number: signal.Signals
) -> subprocess.CompletedProcess[str]:
    """Start a process, send it a signal at some moment, and return how it ended."""
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while process.poll() is None and not when():
            time.sleep(0.0005)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def start(directory: Path) -> list[str]:
    """The command that searches without a report."""
    return [sys.executable, "-c", f"{START}{str(directory)!r})"]


def resumption(directory: Path) -> list[str]:
    """The command that resumes without a report."""
    return [sys.executable, "-c", f"import codesign; codesign.resume({str(directory)!r})"]


def resume_or_start(directory: Path) -> None:
    """Go on as the messages say: resume where there is a run, else search again in the same place."""
    if (directory / "run.json").exists():
        codesign.resume(directory)
    else:
        small_search(directory, budget=BUDGET, population=POPULATION)


@pytest.mark.parametrize("share", [-1.0, 0.0, 0.04, 0.4, 0.8])
def test_a_killed_search_ends_as_an_undisturbed_one(share: float, undisturbed: Record, tmp_path: Path) -> None:
    """Killed as soon as its directory exists, or after some share of its record, then resumed: the same bytes."""
    directory, least = tmp_path / "run", share * len(undisturbed["evaluations.jsonl"])
    moment = directory.exists if share < 0 else lambda: written(directory) > least
    ended = interrupt(start(directory), moment, signal.SIGKILL)
    assert ended.returncode == -signal.SIGKILL
    resume_or_start(directory)
    assert record_of(directory) == undisturbed


def test_a_search_killed_again_and_again_ends_as_an_undisturbed_one(undisturbed: Record, tmp_path: Path) -> None:
    """Every attempt adds a little and is killed; what was recorded stays, and in the end there are the same bytes."""
    directory, whole = tmp_path / "run", len(undisturbed["evaluations.jsonl"])
    arguments, kills, rng = start(directory), 0, np.random.default_rng(0)
    while True:
        least = max(written(directory), 0) + whole * rng.uniform(0.05, 0.3)
        ended = interrupt(arguments, lambda: written(directory) > least, signal.SIGKILL)  # noqa: B023 - called at once
        kept = (directory / "evaluations.jsonl").read_bytes()
        assert undisturbed["evaluations.jsonl"].startswith(kept)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        kills, arguments = kills + 1, resumption(directory)
    assert kills >= 3
    assert record_of(directory) == undisturbed


@pytest.mark.long
@pytest.mark.parametrize("attempt", range(40))
def test_a_search_killed_at_any_time_ends_as_an_undisturbed_one(
    attempt: int, undisturbed: Record, tmp_path: Path
) -> None:
    """Killed at a random moment of its life, and so its resumptions, until one ends: the same bytes."""
    rng, directory = np.random.default_rng(attempt), tmp_path / "run"
    while True:
        arguments = resumption(directory) if (directory / "run.json").exists() else start(directory)
        deadline = time.monotonic() + rng.uniform(0.5, 4.0)
        ended = interrupt(arguments, lambda: time.monotonic() > deadline, signal.SIGKILL)  # noqa: B023
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
    assert record_of(directory) == undisturbed


def test_control_c_keeps_everything_and_says_how_to_go_on(undisturbed: Record, tmp_path: Path) -> None:
    """Ctrl-C ends a search with the shell's code for it, a message that names the command, and a whole record."""
    directory = tmp_path / "run"
    third = len(undisturbed["evaluations.jsonl"]) // 3
    ended = interrupt(command(*SEARCH, directory), lambda: written(directory) > third, signal.SIGINT)
    kept = codesign.open_run(directory)
    assert ended.returncode == 130
    assert f"continue with: codesign resume {directory}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert BUDGET // 4 <= len(kept.evaluations) < BUDGET
    said = int(ended.stderr.split("stopped; ")[1].split(" evaluations")[0])
    assert len(kept.evaluations) - POPULATION <= said <= len(kept.evaluations)
    codesign.resume(directory)
    assert record_of(directory) == undisturbed


def limited(most_bytes: int) -> Callable[[], None]:
    """A limit on the size of files, to be set in a child process: writing beyond it fails as on a full disk."""
    return partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_full_disk_loses_nothing(share: float, undisturbed: Record, tmp_path: Path) -> None:
    """When no more can be written the message says what is kept and how to go on; with room, the record is the same."""
    directory = tmp_path / "run"
    most = int(share * len(undisturbed["evaluations.jsonl"])) + len(undisturbed["run.json"]) + 1
    ended = run_command(*SEARCH, directory, preexec_fn=limited(most))
    assert ended.returncode == 2
    assert f"evaluations.jsonl: cannot be written: {os.strerror(27)}" in ended.stderr
    assert f"evaluations are kept; make room, then: codesign resume {directory}" in ended.stderr
    assert "Traceback" not in ended.stderr
    said = int(ended.stderr.split("; ")[1].split(" evaluations")[0])
    assert said <= len(codesign.open_run(directory).evaluations) <= said + POPULATION
    codesign.resume(directory)
    assert record_of(directory) == undisturbed


def test_no_room_for_run_json(undisturbed: Record, tmp_path: Path) -> None:
    """When not even run.json can be written, the message says so and the same command works once there is room."""
    directory = tmp_path / "run"
    ended = run_command(*SEARCH, directory, preexec_fn=limited(100))
    assert ended.returncode == 2
    assert "run.json: cannot be written" in ended.stderr
    assert "make room, then give the same command again" in ended.stderr
    small_search(directory, budget=BUDGET, population=POPULATION)
    assert record_of(directory) == undisturbed


def test_no_room_for_a_larger_budget(undisturbed: Record, tmp_path: Path) -> None:
    """When a larger budget cannot be written, the run stays as it was."""
    directory = restore(tmp_path / "run", undisturbed)
    ended = run_command("resume", directory, "--budget", BUDGET + 100, preexec_fn=limited(100))
    assert ended.returncode == 2
    assert "run.json: cannot be written" in ended.stderr
    assert record_of(directory) == undisturbed
    assert sorted(path.name for path in directory.iterdir()) == ["evaluations.jsonl", "log.jsonl", "run.json"]


def test_a_device_without_space(tmp_path: Path) -> None:
    """What the kernel answers on a full device is passed on, and the search resumes from what it had."""
    directory = tmp_path / "run"
    evaluations = directory / "evaluations.jsonl"

    def fill_up(state: Progress) -> None:
        if len(state.run.evaluations) == 40:
            evaluations.rename(directory / "kept")
            evaluations.symlink_to("/dev/full")

    with pytest.raises(
        RunError, match="cannot be written: No space left on device; 40 evaluations are kept; make room"
    ):
        small_search(directory, budget=60, watch=fill_up)
    (directory / "kept").replace(evaluations)
    codesign.resume(directory)
    small_search(tmp_path / "undisturbed", budget=60)
    assert record_of(directory) == record_of(tmp_path / "undisturbed")


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """Another process cannot continue a run that this one is searching."""
    answers: list[subprocess.CompletedProcess[str]] = []

    def try_to_resume(state: Progress) -> None:
        if len(state.run.evaluations) == 20 and not answers:
            answers.append(run_command("resume", state.run.directory))

    small_search(tmp_path / "run", budget=60, watch=try_to_resume)
    assert answers[0].returncode == 2
    assert "another process is writing to this run; wait for it or stop it" in answers[0].stderr
    small_search(tmp_path / "undisturbed", budget=60)
    assert record_of(tmp_path / "run") == record_of(tmp_path / "undisturbed")
