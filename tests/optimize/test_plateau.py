"""Stopping at a plateau of the hypervolume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.errors import InputError
from codesign.front import hypervolume
from codesign.manifest import Stop
from codesign.optimize.loop import Progress
from codesign.optimize.plateau import Plateau, Volume, stopped
from codesign.run import Run
from tests.optimize.searches import record_of, restore, small_search
from tests.optimize.spaces import NOTHING_FEASIBLE, write_space

RULE = {"budget": 600, "patience": 100, "plateau": 0.002}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Progress]:
    """A search that the rule stops, and the last that its watcher was shown."""
    seen: list[Progress] = []
    run = small_search(tmp_path_factory.mktemp("plateau") / "run", watch=seen.append, **RULE)
    return run, seen[-1]


def grown(run: Run, count: int) -> float:
    """By what share the hypervolume of the first designs grew over the last 100 of them."""
    then, now = (hypervolume(run.evaluations.take(slice(0, n)), run.space.objectives) for n in (count - 100, count))
    return now / then - 1.0


def test_a_search_ends_at_the_first_plateau(ended: tuple[Run, Progress]) -> None:
    """After the first batch over which it grew by less than the rule says, computed plainly; the end gives evidence."""
    run, last = ended
    done = len(run.evaluations)
    first = next(count for count in range(120, 600, 20) if grown(run, count) < 0.002)
    assert first == done < 600
    assert last.finished == stopped(run) == stopped(codesign.open_run(run.directory))
    assert f"stopped: hypervolume grew by {grown(run, done):.3%}" in last.finished
    assert f"at {done - 100} evaluations" in last.finished
    assert run.manifest.stop == Stop(patience=100, plateau=0.002)


def test_a_stopped_search_stays_stopped(ended: tuple[Run, Progress], tmp_path: Path) -> None:
    """Resumed as it is or with a larger budget it does nothing; cut and resumed it stops at the same place."""
    run, _ = ended
    whole = record_of(run.directory)
    directory = restore(tmp_path / "run", whole)
    assert len(codesign.resume(directory).evaluations) == len(run.evaluations)
    assert record_of(directory) == whole
    lines = whole["evaluations.jsonl"].splitlines(keepends=True)
    restore(directory, whole | {"evaluations.jsonl": b"".join(lines[:133])})
    assert stopped(codesign.open_run(directory)) == ""
    codesign.resume(directory)
    assert record_of(directory) == whole
    assert len(codesign.resume(directory, budget=700).evaluations) == len(run.evaluations)


def test_an_interrupted_search_is_not_called_stopped(tmp_path: Path) -> None:
    """The default's batches are of any size: only the log of the end says that the rule was asked there."""
    rule = {"budget": 400, "patience": 10, "plateau": 0.05}
    run = small_search(tmp_path / "run", algorithm="bilevel", cost_model="gemmini_40nm", **rule)
    assert stopped(run).startswith("stopped: ")
    whole = record_of(run.directory)
    lines = whole["evaluations.jsonl"].splitlines(keepends=True)
    said = []
    for count in range(len(lines) - 12, len(lines) + 1):
        directory = restore(tmp_path / "cut", whole | {"evaluations.jsonl": b"".join(lines[:count])})
        said.append(stopped(codesign.open_run(directory)))
    assert said[-1] == f"interrupted, or {stopped(run)}"
    assert any(said[:-1])
    assert all(text == "" or text.startswith("interrupted, or stopped: ") for text in said)
    codesign.resume(directory)
    assert stopped(codesign.open_run(directory)) == stopped(run)


def test_another_patience_goes_on(ended: tuple[Run, Progress], tmp_path: Path) -> None:
    """Without the rule the record is that of a search that never had it; so with a milder one."""
    run, _ = ended
    for name, patience, plateau in (("none", 0, None), ("more", 140, 0.002)):
        directory = restore(tmp_path / name, record_of(run.directory))
        codesign.resume(directory, budget=500, patience=patience)
        small_search(tmp_path / f"{name}-plain", budget=500, plateau=plateau, patience=patience)
        assert record_of(directory) == record_of(tmp_path / f"{name}-plain")


def test_a_plateau_needs_a_patience(tmp_path: Path) -> None:
    """A run without the rule cannot be given half of it."""
    small_search(tmp_path / "run", budget=20)
    for rule in ({"plateau": 0.1}, {"plateau": 0.1, "patience": 0}):
        with pytest.raises(InputError, match="plateau: expected a patience with it"):
            codesign.resume(tmp_path / "run", **rule)  # type: ignore[arg-type]


def test_without_a_front_there_is_no_plateau(tmp_path: Path) -> None:
    """While nothing is feasible the search goes on to its budget."""
    space = write_space(tmp_path, NOTHING_FEASIBLE)
    run = small_search(tmp_path / "run", space=space, budget=80, patience=20, plateau=0.5)
    assert len(run.evaluations) == 80


def test_the_growing_front_has_the_volume_of_the_whole_record(ended: tuple[Run, Progress]) -> None:
    """However often it is asked in between, to the last bit."""
    run, _ = ended
    evaluations, objectives = run.evaluations, run.space.objectives
    for steps in ([5, 6, 90, 300], [300], list(range(1, 301))):
        volume = Volume(objectives)
        found = [volume.at(evaluations, count) for count in steps]
        assert found[-1] == hypervolume(evaluations.take(slice(0, 300)), objectives)
        assert (np.diff(found) >= -1e-12).all()
    assert Plateau(Stop(patience=300, plateau=1.0), objectives).evidence(evaluations.take(slice(0, 300))) is None
