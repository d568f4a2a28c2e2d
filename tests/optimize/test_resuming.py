"""Searches in batches of any size, under other code, and forked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.errors import RunError
from codesign.manifest import sources
from codesign.optimize.algorithms import ALGORITHMS
from tests.optimize.rungs import Rungs
from tests.optimize.searches import record_of, restore, run_command, small_search
from tests.optimize.spaces import write_space


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name not in ("optuna:tpe", "optuna:gp", "age_moea2")])
def test_every_algorithm_resumes_exactly(name: str, tmp_path: Path) -> None:
    """Cut within a batch or between two, or extended: the record is that of an undisturbed search, byte for byte."""
    options = {"algorithm": name, "population": 14, "batch": 9}
    small_search(tmp_path / "whole", budget=80, **options)
    whole = record_of(tmp_path / "whole")
    small_search(tmp_path / "run", budget=45, **options)
    codesign.resume(tmp_path / "run", budget=80)
    assert record_of(tmp_path / "run") == whole
    lines = whole["evaluations.jsonl"].splitlines(keepends=True)
    for count in (28, 49, 79):
        directory = restore(tmp_path / "cut", whole | {"evaluations.jsonl": b"".join(lines[:count])})
        codesign.resume(directory)
        assert record_of(directory) == whole


SAMPLED = {
    "pe_rows = { choices = [4, 8] }": "pe_rows = { choices = [2, 4, 6, 8, 10, 12, 14, 16] }",
    "pe_cols = { choices = [4, 8] }": "pe_cols = { choices = [2, 4, 6, 8, 10, 12, 14, 16] }",
    "scratchpad_kib = { choices = [4, 16] }": "scratchpad_kib = { choices = [4, 6, 8, 12, 16, 24, 32] }",
    "accumulator_kib = { choices = [4, 16] }": "accumulator_kib = { choices = [2, 4, 8, 16, 24] }",
    "[baseline.model]": "[limits]\npeak_power_w = { times_baseline = 1.0 }\n\n[baseline.model]",
}
"""A limit that takes a full estimate, on more accelerators than are all estimated."""


@pytest.mark.parametrize("changes", [{}, SAMPLED], ids=["all accelerators", "some"])
def test_the_default_resumes_exactly_wherever_it_is_cut(changes: dict[str, str], tmp_path: Path) -> None:
    """Its batches grow, and its list of accelerators too where not all are looked at: both as told, however often."""
    space = write_space(tmp_path, changes)
    options = {"space": space, "cost_model": "gemmini_40nm", "algorithm": "bilevel", "batch": 6, "seed": 0}
    small_search(tmp_path / "whole", budget=170, **options)
    whole = record_of(tmp_path / "whole")
    lines = whole["evaluations.jsonl"].splitlines(keepends=True)
    for count in (1, 40, 85, 118, 169):
        directory = restore(tmp_path / "cut", whole | {"evaluations.jsonl": b"".join(lines[:count])})
        codesign.resume(directory)
        assert record_of(directory) == whole


def test_one_by_one_each_design_learns_from_all_before(tmp_path: Path) -> None:
    """With a batch of one, what is told when a design is asked for is everything before it."""
    run = small_search(tmp_path / "run", budget=30, batch=1)
    assert run.asks.after.tolist() == list(range(30))
    assert run.manifest.batch == 1
    generational = small_search(tmp_path / "other", budget=30)
    assert generational.asks.after.tolist() == [0] * 20 + [20] * 10
    np.testing.assert_array_equal(run.evaluations.genomes[:20], generational.evaluations.genomes[:20])


def test_a_screened_search_resumes_exactly(tmp_path: Path) -> None:
    """The last batch is screened again as it was; what the record holds of it stays."""
    options = {"proxy": Rungs(dearer=False), "screen": "fitted", "cost_model": "gemmini_40nm"}
    small_search(tmp_path / "whole", budget=100, **options)
    whole = record_of(tmp_path / "whole")
    lines = whole["evaluations.jsonl"].splitlines(keepends=True)
    for count in (50, 60, 99):
        directory = restore(tmp_path / "cut", whole | {"evaluations.jsonl": b"".join(lines[:count])})
        codesign.resume(directory, proxy=Rungs(dearer=False))
        assert record_of(directory) == whole


def begun_by(directory: Path, **fields: object) -> Path:
    """A run of 40 designs whose run.json says something else, and which wants 60."""
    small_search(directory, budget=40)
    manifest = json.loads((directory / "run.json").read_bytes()) | {"budget": 60} | fields
    (directory / "run.json").write_text(json.dumps(manifest))
    return directory


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"codesign_version": "0.0.1"}, r"codesign 0\.0\.1 \(now .*the sources are the same"),
        ({"sources": sources() | {"cost": "0" * 64, "optimize": "1"}}, "the sources of cost, optimize differ"),
        ({"sources": {}}, "it does not say by which sources"),
    ],
)
def test_other_code_does_not_go_on(fields: dict[str, object], message: str, tmp_path: Path) -> None:
    """The difference is named, nothing is written, and the fork that the message offers goes on."""
    directory = begun_by(tmp_path / "run", **fields)
    before = record_of(directory)
    with pytest.raises(RunError, match=f"was begun by other code: .*{message}.*--fork NEW"):
        codesign.resume(directory)
    assert record_of(directory) == before
    fork = codesign.resume(directory, fork=tmp_path / "fork")
    assert record_of(directory) == before
    assert fork.manifest.forked_from is not None
    assert (fork.manifest.forked_from.name, fork.manifest.forked_from.evaluations) == ("run", 40)
    assert fork.manifest.sources == sources()
    assert len(fork.evaluations) == 60
    small_search(tmp_path / "plain", budget=60)
    assert record_of(tmp_path / "fork")["evaluations.jsonl"] == record_of(tmp_path / "plain")["evaluations.jsonl"]


def test_a_finished_run_of_other_code_is_only_complete(tmp_path: Path) -> None:
    """Where nothing is left to evaluate, other code changes nothing, and is not refused."""
    directory = begun_by(tmp_path / "run", sources={}, budget=40)
    before = record_of(directory)
    codesign.resume(directory)
    assert record_of(directory) == before


def test_a_run_of_format_1_is_forked(tmp_path: Path) -> None:
    """Its lines do not say when they were asked for: batches of its population are told."""
    directory = begun_by(tmp_path / "run", format=1, sources={})
    lines = [json.loads(line) for line in (directory / "evaluations.jsonl").read_text().splitlines()]
    text = "".join(
        json.dumps({key: value for key, value in line.items() if key not in ("after", "crc32")}) + "\n"
        for line in lines
    )
    (directory / "evaluations.jsonl").write_text(text)
    fork = codesign.resume(directory, fork=tmp_path / "fork")
    assert fork.asks.after.tolist() == [0] * 20 + [20] * 20 + [40] * 20
    small_search(tmp_path / "plain", budget=60)
    assert record_of(tmp_path / "fork")["evaluations.jsonl"] == record_of(tmp_path / "plain")["evaluations.jsonl"]


@pytest.mark.parametrize("recosted", [False, True])
def test_a_refused_fork_leaves_nothing(recosted: bool, tmp_path: Path) -> None:
    """A budget that cannot be is refused before the new run is made, so the corrected command works."""
    source = small_search(tmp_path / "run", budget=30).directory
    message = "expected at least the 30 evaluations already made, got 10"
    if recosted:
        source = codesign.recost(source, "gemmini_40nm", directory=tmp_path / "recosted").directory
        message = "found under other costs"
    with pytest.raises(RunError, match=message):
        codesign.resume(source, fork=tmp_path / "fork", budget=40 if recosted else 10)
    assert not (tmp_path / "fork").exists()
    assert len(codesign.resume(source, fork=tmp_path / "fork").evaluations) == 30


def test_a_fork_needs_a_place_of_its_own(tmp_path: Path) -> None:
    """An existing run is never forked over; the command forks into a new one."""
    directory = begun_by(tmp_path / "run", sources={})
    with pytest.raises(RunError, match="already holds"):
        codesign.resume(directory, fork=directory)
    ended = run_command("resume", directory, "--fork", tmp_path / "fork")
    assert ended.returncode == 0, ended.stderr
    assert len(codesign.open_run(tmp_path / "fork").evaluations) == 60
