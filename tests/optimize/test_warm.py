"""Warm starts from earlier runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.errors import InputError, RunError
from codesign.run import Run
from tests.optimize.searches import record_of, run_command, small_search
from tests.optimize.spaces import write_space


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished search of `tiny`."""
    return small_search(tmp_path_factory.mktemp("warm") / "earlier", budget=200)


def test_the_best_designs_are_asked_first(earlier: Run, tmp_path: Path) -> None:
    """The baseline, then the earlier front and the ranks behind it; run.json keeps them, so the earlier run may go."""
    away = tmp_path / "earlier"
    shutil.copytree(earlier.directory, away)
    run = small_search(tmp_path / "run", budget=60, population=40, seed=9, warm_start=[away])
    start = run.manifest.warm_start
    assert start is not None
    assert (start.runs, start.left_out, len(start.genomes)) == (["earlier"], 0, 39)
    assert run.evaluations.genomes[1:40].tolist() == start.genomes
    front = {tuple(row) for row in earlier.evaluations.genomes[earlier.front_ids()].tolist()}
    assert front - {tuple(earlier.evaluations.genomes[0].tolist())} <= {tuple(row) for row in start.genomes}
    assert run.hypervolume() >= earlier.hypervolume()
    whole = record_of(run.directory)
    shutil.rmtree(away)
    lines = whole["evaluations.jsonl"].splitlines(keepends=True)
    (run.directory / "evaluations.jsonl").write_bytes(b"".join(lines[:30]))
    codesign.resume(run.directory)
    assert record_of(run.directory) == whole


def test_several_runs_take_turns(earlier: Run, tmp_path: Path) -> None:
    """Where there is room for few, each run gives its share, and no design comes twice."""
    other = small_search(tmp_path / "other", budget=60, seed=8)
    run = small_search(
        tmp_path / "run", budget=10, population=9, warm_start=[earlier.directory, other.directory, other.directory]
    )
    start = run.manifest.warm_start
    assert start is not None
    assert len({tuple(row) for row in start.genomes}) == len(start.genomes) == 8
    for source in (earlier, other):
        rows = {tuple(row) for row in source.evaluations.genomes.tolist()}
        assert sum(tuple(genome) in rows for genome in start.genomes) >= 3


def test_what_a_space_cannot_express_is_counted(earlier: Run, tmp_path: Path) -> None:
    """Designs outside the choices of the new space are left out and said; where none is left, the reason is."""
    changes = {"hidden = { choices = [64, 96, 128] }": "hidden = { choices = [96, 128] }"}
    space = write_space(tmp_path, changes)
    ended = run_command(
        "search", space, "unit", "--budget", 30, "--population", 20, "--run", tmp_path / "run",
        "--warm-start", earlier.directory,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    start = codesign.open_run(tmp_path / "run").manifest.warm_start
    assert start is not None
    assert start.left_out > 0
    assert f"designs of earlier; {start.left_out} others cannot be expressed in this space" in ended.stdout
    faster = {
        "dram_bytes_per_cycle = { choices = [2, 4] }": "dram_bytes_per_cycle = 8",
        "dram_bytes_per_cycle = 4\n": "dram_bytes_per_cycle = 8\n",
    }
    other = write_space(tmp_path, faster, name="other")
    with pytest.raises(InputError, match="warm start: space other can express no design of earlier: dram_bytes"):
        small_search(tmp_path / "none", space=other, warm_start=[earlier.directory])
    with pytest.raises(RunError, match="no run here"):
        small_search(tmp_path / "none", warm_start=[tmp_path / "nowhere"])
    assert not (tmp_path / "none").exists()


def test_ranks_come_in_order(earlier: Run, tmp_path: Path) -> None:
    """A design is taken only when no design left out beats it."""
    run = small_search(tmp_path / "run", budget=60, population=60, warm_start=[earlier.directory])
    start = run.manifest.warm_start
    assert start is not None
    taken = {tuple(genome) for genome in start.genomes}
    values = earlier.evaluations.objectives(earlier.space.objectives)
    values, genomes = values[1:], earlier.evaluations.genomes[1:].tolist()  # the baseline is taken whatever it is
    inside = np.array([tuple(row) in taken for row in genomes])
    for row in values[inside]:
        beaten = (values[~inside] <= row).all(axis=1) & (values[~inside] < row).any(axis=1)
        assert not beaten.any()
