"""A search that is not the one that made a record does not go on with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codesign
from codesign.errors import RunError
from codesign.lines import unsealed
from codesign.manifest import DECIDING, LIBRARIES, versions
from codesign.optimize.replay import check_no_twins
from codesign.optimize.screening import Screen
from codesign.record import EVALUATIONS
from codesign.run import MANIFEST, Run
from tests.optimize.rungs import Rungs
from tests.optimize.searches import edited_line, record_of, restore, small_search

Record = dict[str, bytes]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search of 55 designs in batches of 20, of which the last one is not whole."""
    return small_search(tmp_path_factory.mktemp("known") / "run", budget=55)


def saying(record: Record, **fields: Any) -> Record:
    """The record under a run.json that says something else."""
    return record | {MANIFEST: json.dumps(json.loads(record[MANIFEST]) | fields).encode()}


CHANGES: list[dict[str, Any]] = [
    {"seed": 7},
    {"algorithm": "random", "population": 33, "batch": 5},
    {"screen": "fitted"},
    {"batch": 21},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_an_edited_search_is_refused_before_anything_is_asked(
    known: Run, changes: dict[str, Any], tmp_path: Path
) -> None:
    """Nothing is written; the fork that the message offers goes on under what run.json says now."""
    directory = restore(tmp_path / "run", saying(record_of(known.directory), **changes))
    before = record_of(directory)
    with pytest.raises(RunError, match=r"run\.json: was edited after the search began, .*--fork NEW"):
        codesign.resume(directory, budget=80)
    assert record_of(directory) == before
    fork = codesign.resume(directory, budget=80, fork=tmp_path / "fork")
    assert len(fork.evaluations) == 80
    assert fork.manifest.seed == changes.get("seed", 3)
    assert len(codesign.resume(tmp_path / "fork", budget=100).evaluations) == 100


@pytest.mark.parametrize("changes", [CHANGES[0], CHANGES[1]], ids=str)
def test_another_search_is_found_by_what_it_asks(known: Run, changes: dict[str, Any], tmp_path: Path) -> None:
    """Where run.json has no checksum, as in older runs, the last batch is compared with what is asked again."""
    record = saying(record_of(known.directory), search_crc32="", **changes)
    directory = restore(tmp_path / "run", record)
    with pytest.raises(RunError, match=r"does not ask for the recorded design \d+.*--fork NEW.*--warm-start"):
        codesign.resume(directory, budget=80)
    assert record_of(directory)[EVALUATIONS] == record[EVALUATIONS]


def test_an_older_run_without_the_checksum_goes_on(known: Run, tmp_path: Path) -> None:
    """As long as it asks for the same designs."""
    manifest = json.loads(record_of(known.directory)[MANIFEST])
    del manifest["search_crc32"]
    directory = restore(tmp_path / "run", record_of(known.directory) | {MANIFEST: json.dumps(manifest).encode()})
    codesign.resume(directory, budget=80)
    small_search(tmp_path / "whole", budget=80)
    assert record_of(directory)[EVALUATIONS] == record_of(tmp_path / "whole")[EVALUATIONS]


def test_edited_metrics_that_change_what_is_asked_are_found(known: Run, tmp_path: Path) -> None:
    """Though every checksum fits: parents that were made worse have other children."""
    record = record_of(known.directory)
    for id_ in range(1, 20, 2):
        line = json.loads(unsealed(record[EVALUATIONS].splitlines()[id_]))
        record = edited_line(record, id_, metrics=line["metrics"] | {"perplexity": 100 * line["metrics"]["perplexity"]})
    directory = restore(tmp_path / "run", record)
    with pytest.raises(RunError, match="does not ask for the recorded design 40"):
        codesign.resume(directory, budget=80)


def test_a_record_with_a_design_twice_is_refused(known: Run, tmp_path: Path) -> None:
    """Wherever the two stand, whether they are continued or forked, and nothing is written."""
    genome = known.evaluations.genomes[10].tolist()
    directory = restore(tmp_path / "run", edited_line(record_of(known.directory), 30, genome=genome))
    before = record_of(directory)
    for options in ({}, {"fork": tmp_path / "fork"}):
        with pytest.raises(RunError, match="evaluation 30 is of the same design as evaluation 10"):
            codesign.resume(directory, budget=80, **options)  # type: ignore[arg-type]
    assert record_of(directory) == before
    assert not (tmp_path / "fork").exists()


def test_a_fork_resumes_exactly_whatever_it_took_over(known: Run, tmp_path: Path) -> None:
    """The batch that other code began is completed by today's; killed at any moment, the fork ends with its bytes."""
    directory = restore(tmp_path / "run", saying(record_of(known.directory), seed=7))
    codesign.resume(directory, budget=110, fork=tmp_path / "fork")
    whole = record_of(tmp_path / "fork")
    lines = whole[EVALUATIONS].splitlines(keepends=True)
    for count in (55, 58, 60, 77, 109):
        cut = restore(tmp_path / "cut", whole | {EVALUATIONS: b"".join(lines[:count])})
        codesign.resume(cut)
        assert record_of(cut) == whole


def test_a_screen_that_rounds_otherwise_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a screen chose is believed, and the rest of the batch is chosen anew: that is no other search."""
    options: dict[str, Any] = {"proxy": Rungs(dearer=False), "screen": "fitted", "cost_model": "gemmini_40nm"}
    run = small_search(tmp_path / "run", budget=55, **options)
    from_screen = Screen.choose
    monkeypatch.setattr(Screen, "choose", lambda *given: from_screen(*given)[::-1])
    longer = codesign.resume(tmp_path / "run", budget=60, proxy=Rungs(dearer=False))
    np.testing.assert_array_equal(longer.evaluations.genomes[:55], run.evaluations.genomes)
    assert len(np.unique(longer.evaluations.genomes, axis=0)) == 60


def test_what_decides_a_search_is_in_its_checksum(known: Run) -> None:
    """And nothing that may change while it stays the same: budget, rule to stop, code."""
    crc = known.manifest.search_crc32
    assert crc == known.manifest.crc32()
    assert known.manifest.changed(budget=9, stop=None, sources={}, codesign_version="0").crc32() == crc
    others = {"seed": 4, "batch": 3, "order": "async", "fidelity": "calibrated", "screen": "x", "algorithm": "random"}
    for name, value in others.items():
        assert name in DECIDING
        assert known.manifest.changed(**{name: value}).crc32() != crc


def test_versions_name_what_a_search_computes_with() -> None:
    """The libraries of every algorithm."""
    assert {"numpy", "pymoo", "scipy", "optuna"} <= set(LIBRARIES) <= versions().keys()


def test_a_long_record_is_looked_through(known: Run) -> None:
    """The only pair among many designs is found."""
    rows = np.random.default_rng(0).integers(0, 300, (200_000, 24))
    rows[:, 0], rows[:, 1] = np.arange(200_000) // 300 % 300, np.arange(200_000) % 300
    rows[:, 2] = np.arange(200_000) // 90_000
    run = replace(known, evaluations=replace(known.evaluations, genomes=rows))
    check_no_twins(run)
    rows[150_000] = rows[7]
    with pytest.raises(RunError, match="evaluation 150000 is of the same design as evaluation 7,"):
        check_no_twins(run)
