"""Runs on another storage: what is pulled is what was pushed, whatever happens in between."""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign import record, remeasured
from codesign.errors import CodesignError, RunError
from codesign.remeasured import Design, Noise, Plan, Remeasured
from codesign.remote import lease, outgoing, store
from codesign.remote.copies import directory_of, fetched, shown
from codesign.run import Run, open_run, write_manifest
from tests.command_line import call, refusal
from tests.optimize.searches import record_of, small_search
from tests.remote.storages import KilledError, chance, failing, machine, objects, search_again

Record = dict[str, bytes]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished search of 60 designs in a directory."""
    return small_search(tmp_path_factory.mktemp("known") / "run")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch, tmp_path / "here")
    monkeypatch.setattr(store, "PAUSES_S", (0.0,) * 6)
    monkeypatch.setattr(outgoing, "CROWD", 3)


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place on a storage, where nothing is."""
    return f"memory://{uuid.uuid4().hex}/run" if request.param == "memory" else f"file://{tmp_path}/storage/run"


@pytest.fixture
def place() -> str:
    """A place in memory, where nothing is."""
    return f"memory://{uuid.uuid4().hex}/run"


def test_a_search_at_a_url_is_that_in_a_directory(
    known: Run, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searched here, extended from a second machine and read on a third, a run is that of one undisturbed search."""
    found = small_search(url)  # type: ignore[arg-type]
    assert (found.name, shown(found.directory)) == ("run", url)
    machine(monkeypatch, tmp_path / "second")
    assert record_of(open_run(url).directory) == record_of(known.directory)
    codesign.resume(url, budget=90)
    machine(monkeypatch, tmp_path / "third")
    assert record_of(open_run(url).directory) == record_of(small_search(tmp_path / "longer", budget=90).directory)
    machine(monkeypatch, tmp_path / "here")
    assert len(open_run(url).evaluations) == 90


@pytest.mark.parametrize("portion", [1, 4, 60])
def test_many_portions_are_few_objects(
    known: Run, place: str, portion: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments are merged while a search goes on, and all but the last portions when it is continued."""
    search_again(place, known, portion)
    assert sum(name.startswith("evaluations/") for name in objects(place)) <= 2 * 4  # two of each power of 3 up to 60
    search_again(place, known, portion)
    assert [name for name in objects(place) if name.startswith("evaluations/000000000000-000000000060-")]
    assert sum(name.startswith("evaluations/") for name in objects(place)) == 1
    machine(monkeypatch, tmp_path / "other")
    assert record_of(fetched(place)) == record_of(known.directory)


@pytest.mark.parametrize("seed", range(8))
def test_failures_that_pass_are_not_noticed(
    known: Run, place: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a quarter of all operations fail, some half done, the record is that of an undisturbed search."""
    with monkeypatch.context() as context:
        failing(context, chance(seed, 0.25))
        search_again(place, known, 5)
    machine(monkeypatch, tmp_path / "other")
    assert record_of(fetched(place)) == record_of(known.directory)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_kill_at_any_moment_leaves_a_prefix(
    known: Run, elsewhere: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before, in or after any operation, a search leaves a prefix, which resumes to the same bytes anywhere."""
    whole = record_of(known.directory)
    monkeypatch.setattr(lease, "LEASE_S", 0.0 if elsewhere else 120.0)  # here nobody has to wait
    for kill in range(1, 200):
        place = f"memory://{uuid.uuid4().hex}/run"
        machine(monkeypatch, tmp_path / f"{kill}")
        with monkeypatch.context() as context:
            made = failing(context, lambda number, kill=kill: KilledError() if number >= kill else None)
            with contextlib.suppress(KilledError):
                search_again(place, known, 10)
            finished = made[0] < kill
        with monkeypatch.context() as context:
            machine(context, tmp_path / f"{kill}-reader")
            if "run.json" in objects(place):
                assert whole["evaluations.jsonl"].startswith(record_of(fetched(place)).get("evaluations.jsonl", b""))
        if elsewhere:
            machine(monkeypatch, tmp_path / f"{kill}-other")
        search_again(place, known, 10)
        machine(monkeypatch, tmp_path / f"{kill}-last")
        assert record_of(fetched(place)) == whole
        if finished:
            break
    assert finished


def test_a_lost_connection_loses_nothing(
    known: Run, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search whose storage is gone ends with its URL and the command that goes on, which pushes what is missing."""
    with monkeypatch.context() as context:
        failing(context, lambda number: OSError("no route to host") if number > 28 else None)
        with pytest.raises(RunError, match=rf"{place}: cannot be .*: no route to host; .*codesign resume {place}"):
            search_again(place, known, 5)
        with pytest.raises(RunError, match=rf"{place}: cannot be read: no route to host; check the address"):
            open_run(place)
    told = len(open_run(directory_of(place)).evaluations)
    machine(monkeypatch, tmp_path / "other")
    there = len(open_run(place).evaluations)
    assert 0 < there < told  # the last portion is on the disk, and not on the storage
    machine(monkeypatch, tmp_path / "here")
    with record.writing(directory_of(place)):
        pass
    machine(monkeypatch, tmp_path / "other")
    assert len(open_run(place).evaluations) == told


def test_who_may_not_write_is_told_at_once(known: Run, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal of the storage is not tried again; the message says what to check."""
    made = failing(monkeypatch, lambda number: PermissionError("AccessDenied") if number > 2 else None)
    with pytest.raises(RunError, match="AccessDenied; check the credentials"):
        search_again(place, known, 5)
    assert made[0] <= 5  # and the lease, which could not be given back


def test_one_writer(known: Run, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second machine is refused while the first gives signs of life, then takes over, and the first one stops.

    Also if the first one slept meanwhile, so that only the clock that counts sleep has gone on.
    """
    search_again(place, known, 30)
    here, lines = directory_of(place), (known.evaluations.take(slice(0, 1)), known.asks.take(slice(0, 1)))
    with record.writing(here):
        machine(monkeypatch, tmp_path / "other")
        with pytest.raises(RunError, match=r"is writing to this run; .* another may write 1\d\d s from now"):
            search_again(place, known, 30)
        now = time.time()
        with monkeypatch.context() as context:
            context.setattr(lease.time, "time", lambda: now + lease.LEASE_S + 1)
            with record.writing(fetched(place)):
                context.setattr(lease.time, "clock_gettime", {time.CLOCK_BOOTTIME: 1e9}.__getitem__)
                with pytest.raises(RunError, match="has taken over this run"):
                    open_run(here).extend(*lines)
    assert "writer.json" not in objects(place)


def test_the_lease_of_a_dead_owner_of_the_same_copy_is_nobodys(
    known: Run, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the search was killed it can be continued at once."""
    with monkeypatch.context() as context:
        failing(context, lambda number: KilledError() if number > 25 else None)
        with pytest.raises(KilledError):
            search_again(place, known, 5)
    assert "writer.json" in objects(place)
    assert len(search_again(place, known, 5).evaluations) == 60


def test_copies_of_different_searches_are_refused(
    known: Run, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other evaluations or another search behind a working copy are never mixed with it; both stay as they are."""
    directory = search_again(place, known, 30).directory
    before, there = record_of(directory), objects(place)
    lines = before["evaluations.jsonl"].splitlines(keepends=True)
    (directory / "evaluations.jsonl").write_bytes(b"".join([*lines[:20], lines[21], *lines[21:]]))
    with (
        pytest.raises(RunError, match=r"has other evaluations .*, move the working copy away"),
        record.writing(directory),
    ):
        pass
    (directory / "evaluations.jsonl").write_bytes(b"".join([*lines[:20], lines[21]]))
    with pytest.raises(RunError, match=r"has other evaluations .*, move the working copy away"):
        open_run(place)
    assert objects(place) == there
    write_manifest(directory, known.manifest.changed(seed=4))
    with pytest.raises(RunError, match="is of another search"):
        open_run(place)


def test_lost_objects_are_named(known: Run, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap in what the storage holds is refused; a torn object at its end is a torn tail."""
    from fsspec.implementations.memory import MemoryFileSystem

    monkeypatch.setattr(outgoing, "CROWD", 100)
    search_again(place, known, 20)
    root = place.removeprefix("memory:/")
    first, second, third = (f"{root}/{name}" for name in sorted(objects(place)) if name.startswith("evaluations/"))
    machine(monkeypatch, tmp_path / "other")
    torn = MemoryFileSystem.store[third].getvalue()[:-30]
    MemoryFileSystem().pipe_file(third, torn)
    assert len(open_run(place).evaluations) == 40
    machine(monkeypatch, tmp_path / "a third")
    MemoryFileSystem.store.pop(first)
    with pytest.raises(RunError, match="evaluation 0 is in no object; restore it"):
        open_run(place)
    machine(monkeypatch, tmp_path / "here")
    with record.writing(directory_of(place)):  # which has all of them
        pass
    machine(monkeypatch, tmp_path / "a third")
    assert record_of(fetched(place)) == record_of(known.directory)
    assert second.removeprefix(root) not in objects(place)


def test_what_was_measured_again_goes_along(
    known: Run, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """remeasured.jsonl is on the storage line by line, and its later plan replaces an earlier one."""
    directory = search_again(place, known, 30).directory
    design = Design(0, 1.0, 0.1, 0.0, extrapolated=False, violation=0.0)
    earlier = Remeasured(Plan(30, [0, 5, 7]), (design,))
    later = Remeasured(Plan(60, [0]))
    for content, facts in ((earlier, []), (later, [design]), (later, [design, Noise([0], [])])):
        with record.writing(directory):
            remeasured.write(directory, content)
            remeasured.append(directory, content, facts)
        with monkeypatch.context() as context:
            machine(context, tmp_path / "other")
            assert record_of(fetched(place)) == record_of(directory)
    assert open_run(place).full is not None


def test_reading_verbs_take_urls(known: Run, url: str, tmp_path: Path) -> None:
    """Front, status, report, export, recost and a second search take the URL for the run, and name it so."""
    search_again(url, known, 30)
    local = call("front", known.directory, "--csv")
    assert call("front", url, "--csv") == local
    assert "60 of 60" in call("status", url)
    assert url in call("status", url).replace("\n", "")
    call("report", url, "-o", tmp_path / "page.html")
    call("export", url, "--to", tmp_path / "chosen")
    assert f"codesign resume {url}" in refusal(
        *("search", "tiny", "unit", "--algorithm", "nsga2", "--budget", "60"),
        *("--population", "20", "--seed", "3", "--run", url),
    )
    assert "expected a directory on this machine" in refusal("recost", url, "unit", "--run", url)
    np.testing.assert_array_equal(
        codesign.recost(url, "unit", directory=tmp_path / "again").evaluations.genomes, known.evaluations.genomes
    )


def test_a_run_that_is_gone_is_not_shown_from_its_copy(known: Run, tmp_path: Path) -> None:
    """Whoever asks is told where the copy is; nothing of it is touched, and resuming it puts the run back."""
    url, stored = f"file://{tmp_path}/storage/run", tmp_path / "storage" / "run"
    directory = small_search(url).directory  # type: ignore[arg-type]
    shutil.rmtree(stored)
    before = record_of(directory)
    search = ("search", "tiny", "unit", "--algorithm", "nsga2", "--budget", "60", "--population", "20", "--seed", "3")
    for verb in (("status", url), ("front", url), ("resume", url), (*search, "--run", url)):
        said = refusal(*verb).replace("\n", "")
        assert f"{url}: no run here (no run.json), but this machine has a working copy of one, {directory}" in said
        assert not stored.exists()
    assert record_of(directory) == before
    codesign.resume(directory)
    assert record_of(open_run(url).directory) == record_of(known.directory)
    assert (stored / "run.json").exists()
    shutil.rmtree(stored)
    shutil.rmtree(directory)
    assert "make one with: codesign search" in refusal("front", url)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "nowhere://bucket/run",
            "nowhere://bucket/run: cannot be opened: Protocol not known: nowhere; expected .*s3://",
        ),
        ("memory://", "expected the name of a run behind the protocol"),
        ("memory://no/run", "no run here .* --run memory://no/run"),
        (Path("s3://bucket/run"), "expected a directory, or a URL as text with two slashes behind the colon"),
        ("file:/tmp/run", "file:/tmp/run: expected a directory, or a URL as text with two slashes"),
    ],
)
def test_addresses_that_cannot_be_used(address: str | Path, message: str, tmp_path: Path) -> None:
    """A URL that names nothing is refused with the reason, and nothing is left behind."""
    with pytest.raises(CodesignError, match=message):
        open_run(address)
    assert not (tmp_path / "here").exists()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package behind a protocol is not installed, the message says what to install."""
    import fsspec

    def missing(*_: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(RunError, match=r"s3://bucket/run: cannot be opened: .*; pip install s3fs"):
        open_run("s3://bucket/run")
