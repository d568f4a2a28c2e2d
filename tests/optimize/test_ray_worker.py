"""What a worker does and says; here it is an object of this process."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from codesign import __version__
from codesign.accuracy.proxy import resolve
from codesign.errors import InputError, ProxyError
from codesign.optimize.ray_worker import Greeting, Worker, versions

from .pools import BAD, named, raising, shapes, truth


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker with a proxy of its own, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = Worker(resolve(raising), str(tmp_path / "not_there"))
    found._proxy = resolve(raising)
    return found


def test_a_worker_takes_one_core_and_stays_where_it_is(worker: Worker, tmp_path: Path) -> None:
    """A directory that is not on its machine is none to go to; one that is there is."""
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert Path.cwd() == tmp_path
    (tmp_path / "there").mkdir()
    Worker(named("plain"), str(tmp_path / "there"))
    assert Path.cwd() == tmp_path / "there"


def test_what_fails_is_isolated_in_the_worker(worker: Worker) -> None:
    """Answers come in the order of the shapes, piece after piece, and only bad shapes fail; nothing is tried again."""
    one, other = shapes(50), shapes(30, seed=1)
    report = worker.measure([one, other])
    hidden = np.concatenate([one.hidden, other.hidden])
    values = np.concatenate([truth(one), truth(other)])
    assert len(report.answers) == len(hidden)
    for answer, width, value in zip(report.answers, hidden, values, strict=True):
        assert bool(answer.failure) == (width == BAD)
        assert answer.failure or answer.value == value
    assert report.seconds > 0


def test_other_versions_are_refused() -> None:
    """A worker that might measure something else is named with what it has and what it should have."""
    theirs = versions() | {"codesign": "0.0.9", "Python": "3.12.1"}
    with pytest.raises(
        InputError, match=rf"a worker has codesign 0\.0\.9 instead of {__version__}, Python 3\.12\.1 inst"
    ):
        Greeting("node", 1, theirs, "").check()


def test_a_failure_to_find_the_proxy_is_told() -> None:
    """The worker's own words; with nothing to tell, nothing is raised."""
    with pytest.raises(ProxyError, match="a worker cannot find the proxy that this process found:\nno such file"):
        Greeting("node", 1, versions(), "no such file").check()
    Greeting("node", 1, versions(), "").check()
