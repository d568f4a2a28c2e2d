"""The lines of a record: whole to the last bit or refused, readable in any portions, and cheap to append to."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import codesign
from codesign import lines, record, remeasured
from codesign.archive import Archive, _larger
from codesign.errors import RunError
from codesign.evaluation import Evaluations
from codesign.front import front_ids
from codesign.lines import unsealed
from codesign.record import Asks, one_batch
from codesign.run import Run, begun, grown, open_run
from tests.optimize.searches import record_of, restore, small_search

Record = dict[str, bytes]

SAME_FILES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of a finished search of 60 designs."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    small_search(directory)
    return record_of(directory)


@pytest.fixture(scope="module")
def first_format(finished: Record) -> Record:
    """The same record as format 1 held it: no checksums, and nothing about the asking."""
    later = ("after", "crc32")
    rows = [json.loads(line) for line in finished["evaluations.jsonl"].splitlines()]
    old = [json.dumps({k: v for k, v in row.items() if k not in later}, separators=(",", ":")) for row in rows]
    manifest = json.dumps(json.loads(finished["run.json"]) | {"format": 1})
    return {"run.json": manifest.encode(), "evaluations.jsonl": ("\n".join(old) + "\n").encode()}


def assert_same(one: Evaluations, two: Evaluations) -> None:
    """Both hold the same designs to the last bit."""
    assert list(one.metrics) == list(two.metrics)
    np.testing.assert_array_equal(one.genomes, two.genomes)
    for name in one.metrics:
        np.testing.assert_array_equal(one.metrics[name], two.metrics[name])
    for name in ("log_standard_error", "extrapolated", "violation", "failure"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@SAME_FILES
@given(data=st.data())
def test_any_prefix_is_a_record(finished: Record, data: st.DataObject, tmp_path: Path) -> None:
    """Cut at any byte, a record is read up to its last whole line, and the next writer cuts off the rest."""
    text, whole = finished["evaluations.jsonl"], open_run(restore(tmp_path / "whole", finished))
    cut = text[: data.draw(st.integers(0, len(text)))]
    directory = restore(tmp_path / "cut", finished | {"evaluations.jsonl": cut})
    kept = open_run(directory)
    assert_same(kept.evaluations, whole.evaluations.take(slice(0, cut.count(b"\n"))))
    with record.writing(directory):
        pass
    assert (directory / "evaluations.jsonl").read_bytes() == cut[: cut.rfind(b"\n") + 1]


@SAME_FILES
@given(data=st.data())
def test_any_flipped_byte_is_found(finished: Record, data: st.DataObject, tmp_path: Path) -> None:
    """No byte of a record can change unseen: its line is refused; without the last line end, the last line is torn."""
    text = finished["evaluations.jsonl"]
    place, other = data.draw(st.integers(0, len(text) - 1)), data.draw(st.integers(1, 255))
    flipped = text[:place] + bytes([text[place] ^ other]) + text[place + 1 :]
    directory = restore(tmp_path / "run", finished | {"evaluations.jsonl": flipped})
    if place == len(text) - 1:
        assert len(open_run(directory).evaluations) == 59
        return
    number = text[:place].count(b"\n") + 1
    with pytest.raises(RunError, match=rf"evaluations\.jsonl: line {number} is damaged: "):
        open_run(directory)


def test_the_message_says_what_can_be_kept(finished: Record, tmp_path: Path) -> None:
    """The refusal of a damaged line names the length up to which the record is whole; cut there, it is read."""
    text = finished["evaluations.jsonl"].replace(b'"id":40', b'"id":41', 1)
    directory = restore(tmp_path / "run", finished | {"evaluations.jsonl": text})
    with pytest.raises(RunError, match="line 41 is damaged: its checksum does not fit") as refused:
        open_run(directory)
    os.truncate(directory / "evaluations.jsonl", int(str(refused.value).split("truncate -s ")[1].split()[0]))
    assert len(open_run(directory).evaluations) == 40


@pytest.mark.parametrize("damage", [b"", b"{}", b"null", b'{"id":0}', b'"', b"," * 300])
def test_a_line_without_a_checksum_is_refused(damage: bytes, finished: Record, tmp_path: Path) -> None:
    """In a run of this format each line has a checksum; what has none was not written by it."""
    text = finished["evaluations.jsonl"] + damage + b"\n"
    directory = restore(tmp_path / "run", finished | {"evaluations.jsonl": text})
    with pytest.raises(RunError, match='line 61 is damaged: expected "crc32" as the last key, got none'):
        open_run(directory)


def test_a_checksum_is_of_the_line_without_it(finished: Record) -> None:
    """It is the last key, in eight digits, and anybody can recompute it with zlib."""
    for line in finished["evaluations.jsonl"].splitlines():
        read = json.loads(line)
        assert list(read)[-1] == "crc32"
        text, digits = line.split(b',"crc32":"')
        assert read["crc32"] == f"{zlib.crc32(text + b'}'):08x}" == digits[:8].decode()
        assert unsealed(line) == text + b"}"


def test_the_first_format_is_read(first_format: Record, finished: Record, tmp_path: Path) -> None:
    """A run without checksums gives the same designs; when they were asked for is not known."""
    old, new = (open_run(restore(tmp_path / name, files)) for name, files in (("old", first_format), ("new", finished)))
    assert_same(old.evaluations, new.evaluations)
    assert (old.asks.after == record.UNKNOWN).all()
    assert old.asks.order.tolist() == list(range(60))
    assert old.front_ids().tolist() == new.front_ids().tolist()


def test_the_first_format_is_not_continued(first_format: Record, tmp_path: Path) -> None:
    """Resuming it is refused, with what can be done instead, and nothing is written."""
    directory = restore(tmp_path / "run", first_format)
    with pytest.raises(
        RunError,
        match=r"expected a run of format 2, got format 1, .*; its front can be read.*--warm-start .*run$",
    ):
        codesign.resume(directory)
    assert record_of(directory) == first_format


@pytest.mark.parametrize("other", [1, 2])
def test_lines_of_the_other_format_are_refused(
    other: int, first_format: Record, finished: Record, tmp_path: Path
) -> None:
    """run.json says whether lines have checksums; lines of the other kind are damage, not a choice of the reader."""
    files = {1: first_format, 2: finished}
    mixed = {"run.json": files[3 - other]["run.json"], "evaluations.jsonl": files[other]["evaluations.jsonl"]}
    with pytest.raises(RunError, match="line 1 is damaged"):
        open_run(restore(tmp_path / "run", mixed))


@pytest.mark.parametrize("block", [1, 300, 1000, 5000])
def test_a_record_is_read_alike_in_blocks_of_any_size(block: int, finished: Record, tmp_path: Path) -> None:
    """Where a block ends changes nothing, nor does a tail that is cut off over several blocks."""
    directory = restore(tmp_path / "run", finished)
    whole = open_run(directory).evaluations
    with (directory / "evaluations.jsonl").open("ab") as file:
        file.write(b"\0" * 3001)
    with mock.patch.object(lines, "BLOCK", block):
        assert_same(open_run(directory).evaluations, whole)
        with record.writing(directory):
            pass
    assert record_of(directory) == finished


def test_a_reader_goes_on_where_it_was(finished: Record, tmp_path: Path) -> None:
    """What is appended after a first reading is read by the second one alone; a line in the making waits."""
    text = finished["evaluations.jsonl"]
    directory = restore(tmp_path / "run", finished | {"evaluations.jsonl": text[:10_000]})
    run, reader = begun(directory)
    run = grown(run, reader)
    assert len(run.evaluations) == text[:10_000].count(b"\n")
    first = run.evaluations
    (directory / "evaluations.jsonl").write_bytes(text)
    assert_same(grown(run, reader).evaluations, open_run(directory).evaluations)
    assert_same(run.evaluations, first)


def test_a_search_may_end_while_it_is_read(finished: Record, tmp_path: Path) -> None:
    """A plan of more evaluations than were there when reading began is not taken for damage; the next look sees it."""
    part = b"".join(finished["evaluations.jsonl"].splitlines(keepends=True)[:40])
    directory = restore(tmp_path / "run", finished | {"evaluations.jsonl": part})
    plan = remeasured.Remeasured(remeasured.Plan(evaluations=60, ids=[0]))
    run, reader = begun(directory)

    def ends() -> Iterator[tuple[Evaluations, Asks]]:
        yield from type(reader).more(reader)
        (directory / "evaluations.jsonl").write_bytes(finished["evaluations.jsonl"])
        remeasured.write(directory, plan)

    with mock.patch.object(reader, "more", ends):
        early = grown(run, reader)
    assert (len(early.evaluations), early.again) == (40, None)
    late = grown(early, reader)
    assert (len(late.evaluations), late.again) == (60, plan)


def test_failed_evaluations_and_odd_orders_are_read_back(finished: Record, tmp_path: Path) -> None:
    """A traceback of any text, an unknown quality, and an order of asking that is not that of the record."""
    run = open_run(restore(tmp_path / "run", finished))
    few = run.evaluations.take(np.arange(3))
    few.metrics["perplexity"][1] = np.nan
    few.failure[1] = 'Traceback\n  File "worker.py"\nOSError: \N{GREEK SMALL LETTER MU}\0'
    asks = Asks(np.array([60, 60, 61]), np.array([62, 60, 61]))
    longer = run.extend(few, asks)
    read = open_run(run.directory)
    assert_same(read.evaluations, longer.evaluations)
    assert read.evaluations.failure[61] == few.failure[1]
    assert read.asks.after.tolist()[60:] == [60, 60, 61]
    assert read.asks.order.tolist()[60:] == [62, 60, 61]


def portions(run: Run) -> Iterator[tuple[Evaluations, Asks]]:
    """The evaluations of a run in portions of 1, 2, 3, ... designs."""
    start, size = 0, 1
    while start < len(run.evaluations):
        rows = slice(start, start + size)
        yield run.evaluations.take(rows), run.asks.take(rows)
        start, size = start + size, size + 1


def test_an_archive_keeps_the_front(finished: Record, tmp_path: Path) -> None:
    """After each portion the front is that of all designs so far; columns handed out earlier stay as they were."""
    run = open_run(restore(tmp_path / "run", finished))
    archive, before = Archive(run.evaluations.take(slice(0, 0)), run.asks.take(slice(0, 0))), []
    for part in portions(run):
        archive.add(*part)
        before.append(archive.evaluations)
        assert (
            archive.front_ids(run.space.objectives).tolist()
            == front_ids(archive.evaluations, run.space.objectives).tolist()
        )
    for earlier in before:
        assert_same(earlier, run.evaluations.take(slice(0, len(earlier))))
    np.testing.assert_array_equal(archive.asks.after, run.asks.after)


def test_appending_seldom_moves_what_is_there(finished: Record, tmp_path: Path) -> None:
    """Room doubles, so that each column of 300 designs that came one by one was moved 10 times at most, not 300."""
    run = open_run(restore(tmp_path / "run", finished))
    archive = Archive(run.evaluations.take(slice(0, 0)), run.asks.take(slice(0, 0)))
    with mock.patch("codesign.archive._larger", side_effect=_larger) as moved:
        for row in range(300):
            rows = slice(row % 60, row % 60 + 1)
            archive.add(run.evaluations.take(rows), run.asks.take(rows))
    columns = len(run.evaluations.metrics) + 7
    assert moved.call_count <= 10 * columns


def test_a_run_can_grow_twice(finished: Record, tmp_path: Path) -> None:
    """Two runs that continue the same one do not see each other's designs, and each has its own front."""
    run = open_run(restore(tmp_path / "run", finished))
    start = run.longer(run.evaluations.take(slice(0, 5)), one_batch(60, 5))
    one = start.longer(run.evaluations.take(slice(5, 9)), one_batch(65, 4))
    two = start.longer(run.evaluations.take(slice(20, 24)), one_batch(65, 4))
    assert_same(one.evaluations.take(slice(65, 69)), run.evaluations.take(slice(5, 9)))
    assert_same(two.evaluations.take(slice(65, 69)), run.evaluations.take(slice(20, 24)))
    for grown_run in (run, start, one, two):
        expected = front_ids(grown_run.evaluations, run.space.objectives).tolist()
        assert grown_run.front_ids().tolist() == expected


def test_names_of_new_files_are_flushed(tmp_path: Path) -> None:
    """A new run waits for the disk to hold its names: of the directory, and of the files in it."""
    flushed: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    directory = tmp_path / "runs" / "run"
    with mock.patch("os.fsync", fsync):
        small_search(directory, budget=20)
    assert {str(tmp_path), str(directory.parent)} <= set(flushed)
    assert flushed.index(str(directory)) > flushed.index(str(directory / "run.json.new"))
    assert flushed.count(str(directory / "evaluations.jsonl")) == 1


def test_a_damaged_remeasurement_is_found(tmp_path: Path) -> None:
    """Lines of remeasured.jsonl have checksums too; those of the first format are read without."""
    plan = remeasured.Remeasured(remeasured.Plan(evaluations=4, ids=[0, 1]))
    remeasured.write(tmp_path, plan)
    assert remeasured.read(tmp_path, remeasured.content(tmp_path), 4, checksums=True) == plan
    path = tmp_path / "remeasured.jsonl"
    path.write_bytes(path.read_bytes().replace(b"[0,1]", b"[0,2]"))
    with pytest.raises(RunError, match="line 1 is damaged: its checksum does not fit"):
        remeasured.read(tmp_path, remeasured.content(tmp_path), 4, checksums=True)
    path.write_text('{"kind":"plan","evaluations":4,"ids":[0,1]}\n')
    assert remeasured.read(tmp_path, remeasured.content(tmp_path), 4, checksums=False) == plan
