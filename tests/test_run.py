"""The record of a run on disk: written once, read back exactly, refused where it is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import codesign
from codesign import record
from codesign.errors import CodesignError, RunError
from codesign.optimize.loop import new_directory
from codesign.run import Manifest, create, open_run, sha256
from tests.optimize.searches import edited_line, record_of, restore, small_search

Record = dict[str, bytes]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of a finished search of 60 designs."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    small_search(directory)
    return record_of(directory)


def with_manifest(finished: Record, **fields: Any) -> Record:
    """The record with some fields of run.json replaced."""
    return finished | {"run.json": msgspec.json.encode(json.loads(finished["run.json"]) | fields)}


def test_a_run_is_read_back_as_it_was_found(tmp_path: Path) -> None:
    """What a search returns and what is read from its directory are equal to the last bit."""
    found = small_search(tmp_path / "run", cost_model="gemmini_40nm")
    read = open_run(tmp_path / "run")
    assert read.manifest == found.manifest
    np.testing.assert_array_equal(found.evaluations.genomes, read.evaluations.genomes)
    assert list(read.evaluations.metrics) == list(found.evaluations.metrics)
    for name, column in found.evaluations.metrics.items():
        np.testing.assert_array_equal(column, read.evaluations.metrics[name], err_msg=name)
    for name in ("log_standard_error", "extrapolated", "violation"):
        np.testing.assert_array_equal(getattr(found.evaluations, name), getattr(read.evaluations, name))


def test_both_input_files_are_kept_verbatim(finished: Record, tmp_path: Path) -> None:
    """run.json holds the texts of both files with their hashes, so a run outlives the files."""
    manifest = open_run(restore(tmp_path / "run", finished)).manifest
    root = Path(__file__).parent.parent
    for text, path in ((manifest.space, "search_spaces/tiny.toml"), (manifest.cost_model, "cost_models/unit.toml")):
        assert text.text == (root / path).read_text()
        assert text.sha256 == sha256(text.text)


def test_nothing_depends_on_time_or_place(finished: Record, tmp_path: Path) -> None:
    """The same search elsewhere and later gives the same bytes."""
    small_search(tmp_path / "elsewhere" / "run")
    assert record_of(tmp_path / "elsewhere" / "run") == finished


def test_any_torn_tail_is_dropped(finished: Record, tmp_path: Path) -> None:
    """Cut anywhere within its last three lines, a record is read up to its last whole line."""
    text = finished["evaluations.jsonl"]
    start = len(b"".join(text.splitlines(keepends=True)[:-3]))
    directory = restore(tmp_path / "run", finished)
    for length in [*range(start, len(text), 7), len(text) - 1, len(text)]:
        (directory / "evaluations.jsonl").write_bytes(text[:length])
        assert len(open_run(directory).evaluations) == text[:length].count(b"\n")


def test_zeros_that_a_crash_leaves_at_the_end_are_a_torn_tail(finished: Record, tmp_path: Path) -> None:
    """Some file systems end a file with zeros after a power cut; they are dropped like a torn line."""
    longer = finished | {"evaluations.jsonl": finished["evaluations.jsonl"] + b"\0" * 300}
    assert len(open_run(restore(tmp_path / "run", longer)).evaluations) == 60


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: edited_line(r, 7, id=8), "line 8: expected id 7, got 8; lines were lost or moved"),
        (lambda r: edited_line(r, 7, genome=[1, 2]), "line 8: expected a genome of 12 genes, got 2"),
        (lambda r: edited_line(r, 7, genome=[9] * 12), r"line 8: gene layers: expected 0\.\.1, got 9"),
        (lambda r: edited_line(r, 7, genome=[-1] * 12), r"line 8: gene layers: expected 0\.\.1, got -1"),
        (lambda r: edited_line(r, 7, metrics={}), "line 8: expected the metrics perplexity, edp_js, .*, got none"),
        (lambda r: edited_line(r, 7, metrics={"perplexity": 1.0}), "line 8: expected the metrics .*, got perplexity"),
        (lambda r: edited_line(r, 7, genome="none"), "line 8 is damaged: Expected `array`"),
        (lambda r: edited_line(r, 7, comment="mine"), "line 8 is damaged: Object contains unknown field `comment`"),
        (lambda r: r | {"evaluations.jsonl": b"\xff\n" + r["evaluations.jsonl"]}, "line 1 is damaged"),
        (lambda r: r | {"evaluations.jsonl": b"\n" + r["evaluations.jsonl"]}, "line 1 is damaged"),
        (lambda r: r | {"evaluations.jsonl": r["evaluations.jsonl"][200:]}, "line 1 is damaged"),
        (lambda r: r | {"evaluations.jsonl": r["evaluations.jsonl"].replace(b"]", b"", 1)}, "line 1 is damaged"),
        (
            lambda r: r | {"evaluations.jsonl": b"".join(r["evaluations.jsonl"].splitlines(keepends=True)[3:])},
            "line 1: expected id 0, got 3; lines were lost or moved",
        ),
        (lambda r: r | {"run.json": b""}, "run.json: cannot be read"),
        (lambda r: r | {"run.json": r["run.json"][:500]}, "run.json: cannot be read"),
        (lambda r: r | {"run.json": b"[]"}, "run.json: top level: Expected a table"),
        (lambda r: with_manifest(r, format=3), r"run.json: format: Invalid enum value 3|run.json: format: .*got 3"),
        (lambda r: with_manifest(r, comment="mine"), "run.json: .*unknown field comment; known: format"),
        (lambda r: with_manifest(r, population=1), "run.json: population: Expected int >= 2, got 1"),
        (lambda r: with_manifest(r, seed=-1), "run.json: seed: Expected int >= 0, got -1"),
        (lambda r: with_manifest(r, budget=0), "run.json: budget: Expected int >= 1, got 0"),
        (
            lambda r: r | {"run.json": r["run.json"].replace(b"per_layer = true", b"per_layer = false", 1)},
            "space.text was",
        ),
        (lambda r: r | {"run.json": r["run.json"].replace(b"frequency_hz", b"frequency_Hz", 1)}, "cost_model.text was"),
    ],
)
def test_damage_is_refused_and_left_as_it_is(
    damage: Callable[[Record], Record], message: str, finished: Record, tmp_path: Path
) -> None:
    """Anything but a torn tail is refused with file, line and reason, read or resumed, and nothing is written."""
    damaged = damage(finished)
    assert damaged != finished
    directory = restore(tmp_path / "run", damaged)
    with pytest.raises(CodesignError, match=message):
        open_run(directory)
    with pytest.raises(CodesignError, match=message):
        codesign.resume(directory)
    assert record_of(directory) == damaged


def test_a_lost_file_is_named(finished: Record, tmp_path: Path) -> None:
    """Without run.json there is no run and the message says how one is made; without evaluations it names that file."""
    directory = restore(tmp_path / "run", finished)
    (directory / "evaluations.jsonl").unlink()
    with pytest.raises(RunError, match=r"evaluations.jsonl: cannot be read: No such file"):
        open_run(directory)
    (directory / "run.json").unlink()
    with pytest.raises(RunError, match=r"no run here \(no run.json\); make one with: codesign search SPACE COST --run"):
        open_run(directory)


def test_only_one_process_writes(finished: Record, tmp_path: Path) -> None:
    """While a run is being written to, a second writer is refused; afterwards it is let in."""
    directory = restore(tmp_path / "run", finished)
    with (
        record.writing(directory),
        pytest.raises(RunError, match="another process is writing to this run"),
        record.writing(directory),
    ):
        pass
    with record.writing(directory):
        pass


@pytest.mark.parametrize("left", [[], ["evaluations.jsonl"], ["evaluations.jsonl", "run.json.new"]])
def test_a_start_that_was_killed_is_no_dead_end(left: list[str], finished: Record, tmp_path: Path) -> None:
    """What a search leaves that dies before run.json is whole can be started again in the same place."""
    directory = tmp_path / "run"
    directory.mkdir()
    for name in left:
        (directory / name).write_bytes(b'{"half' if name == "run.json.new" else b"")
    with pytest.raises(RunError, match="no run here"):
        codesign.resume(directory)
    small_search(directory)
    assert record_of(directory) == finished
    assert sorted(path.name for path in directory.iterdir()) == ["evaluations.jsonl", "log.jsonl", "run.json"]


@pytest.mark.parametrize("name", ["notes.txt", "run.json.old", ".hidden"])
def test_a_directory_of_other_files_is_left_alone(name: str, tmp_path: Path) -> None:
    """A run is never mixed with the user's files."""
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match=f"expected a new or empty directory for the run; it holds {name}"):
        small_search(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_evaluations_without_their_run_are_left_alone(finished: Record, tmp_path: Path) -> None:
    """A directory that lost its run.json is not started over."""
    directory = restore(tmp_path / "run", {"evaluations.jsonl": finished["evaluations.jsonl"]})
    with pytest.raises(RunError, match=r"it holds evaluations\.jsonl"):
        small_search(directory)
    assert (directory / "evaluations.jsonl").read_bytes() == finished["evaluations.jsonl"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "already holds this very run; continue it with: codesign resume .*run$"),
        ({"budget": 90}, "already holds this very run; continue it with: codesign resume .*run --budget 90$"),
        ({"seed": 4}, "already holds another run: seed 3 instead of 4; give a new directory with --run"),
        ({"cost_model": "gemmini_40nm"}, r"cost_model unit \(\w{8}\) instead of gemmini_40nm \(\w{8}\)"),
        (
            {"space": "survey_lm_fixed_hw", "population": 9},
            r"space tiny .* instead of .*; .*population 20 instead of 9",
        ),
    ],
)
def test_an_occupied_directory_says_what_is_there(
    options: dict[str, Any], message: str, finished: Record, tmp_path: Path
) -> None:
    """A second search in the directory of a run is refused; the message says what differs, or how to go on."""
    directory = restore(tmp_path / "run", finished)
    with pytest.raises(RunError, match=message):
        small_search(directory, **options)
    assert record_of(directory) == finished


def test_a_file_is_no_run_directory(tmp_path: Path) -> None:
    """A file where the run should be is named as such, by search and by resume."""
    path = tmp_path / "run"
    path.write_text("mine")
    with pytest.raises(RunError, match="expected a new directory for the run; it is a file"):
        small_search(path)
    with pytest.raises(RunError, match=r"run\.json: cannot be read: .*Not a directory"):
        codesign.resume(path)
    assert path.read_text() == "mine"


def test_directories_without_a_name_are_numbered_once(finished: Record, tmp_path: Path) -> None:
    """Searches started at the same moment without --run get directories of their own."""
    manifest = open_run(restore(tmp_path / "run", finished)).manifest
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: new_directory(tmp_path / "runs", manifest), range(24)))
    assert sorted(path.name for path in found) == [f"tiny-unit-{number:03d}" for number in range(1, 25)]


def test_a_place_that_cannot_be_written_is_named(finished: Record, tmp_path: Path) -> None:
    """Where no directory can be made, the message says where and why."""
    manifest = open_run(restore(tmp_path / "run", finished)).manifest
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=r"file: cannot be written: .*name another place with --run"):
        new_directory(tmp_path / "file", manifest)
    with pytest.raises(RunError, match="cannot be written: Not a directory"):
        create(tmp_path / "file" / "run", manifest)


def test_an_empty_run_has_an_empty_front(finished: Record, tmp_path: Path) -> None:
    """A run that was stopped before its first batch is read as one without designs."""
    run = open_run(restore(tmp_path / "run", finished | {"evaluations.jsonl": b""}))
    assert (len(run.evaluations), len(run.front()), run.gains(), run.hypervolume()) == (0, 0, [], 0.0)
    assert isinstance(run.manifest, Manifest)
