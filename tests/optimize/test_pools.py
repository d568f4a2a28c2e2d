"""Which pool a search gets."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import codesign
from codesign.accuracy import Quality
from codesign.accuracy.proxy import resolve
from codesign.cluster import NoClusterError
from codesign.design import ModelShape
from codesign.errors import InputError, RunError
from codesign.optimize import pools
from codesign.optimize.pool import InProcess
from codesign.optimize.pools import Where, opened, seconds_each

from .pools import all_answers, plain, shapes
from .searches import small_search
from .spaces import tiny

BASELINE = tiny().baseline.shape


def slow(shape: ModelShape) -> Quality:
    """Take 4 ms for each shape."""
    time.sleep(0.004 * len(shape))
    return plain(shape)


@contextmanager
def nothing(address: str, cpus: int | None = None) -> Iterator[str]:
    """No cluster."""
    raise NoClusterError(f"no cluster at {address}")
    yield address


@contextmanager
def anything(address: str, cpus: int | None = None) -> Iterator[str]:
    """Some cluster."""
    yield "head:6379"


def test_a_search_measures_here_unless_it_is_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster is looked for, and nothing is said."""
    monkeypatch.setattr(pools, "connected", nothing)
    notices: list[str] = []
    with opened(Where(), resolve(plain), None, BASELINE, notices.append) as pool:
        assert isinstance(pool, InProcess)
    assert not notices


def test_auto_falls_back_with_one_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a cluster it measures here; whoever named one is refused."""
    monkeypatch.setattr(pools, "connected", nothing)
    notices: list[str] = []
    with opened(Where("auto"), resolve(plain), None, BASELINE, notices.append) as pool:
        assert isinstance(pool, InProcess)
    assert notices == ["measuring in this process: no cluster at auto"]
    for where in (Where("head:6379"), Where("local"), Where(workers=2)):
        with pytest.raises(NoClusterError, match="no cluster at"):  # noqa: SIM117
            with opened(where, resolve(plain), None, BASELINE):
                pass


def test_a_search_without_its_workers_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where no cluster answers there is no new run, nor a fork: the name is free for the corrected command."""
    monkeypatch.setattr(pools, "connected", nothing)
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path / "run", None, f"file://{tmp_path}/store"):
        with pytest.raises(NoClusterError):
            codesign.search("tiny", "unit", directory=place, where=Where("head:6379"))
    assert not list(tmp_path.iterdir())
    small_search(tmp_path / "run", budget=20)
    with pytest.raises(NoClusterError):
        codesign.resume(tmp_path / "run", fork=tmp_path / "fork", where=Where("head:6379"))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    with pytest.raises(RunError, match="already holds"):  # said without waiting for workers
        small_search(tmp_path / "run", budget=20, where=Where("head:6379"))


def test_auto_measures_fast_proxies_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a millisecond workers gain nothing, and that is said; a slow proxy gets them, and it is said which."""
    monkeypatch.setattr(pools, "connected", anything)
    notices: list[str] = []
    with opened(Where("auto"), resolve(plain), None, BASELINE, notices.append) as pool:
        assert isinstance(pool, InProcess)
    assert len(notices) == 1
    assert "workers would be no faster" in notices[0]
    started: list[Any] = []

    class Workers(InProcess):
        def __init__(self, proxy: Any, settings: Any, _notice: Any) -> None:
            super().__init__(resolve(slow))
            started.append((proxy, settings))

    stand_in = ModuleType("ray_pool")
    vars(stand_in).update(RayPool=Workers, RaySettings=lambda *wishes: wishes)
    monkeypatch.setitem(sys.modules, "codesign.optimize.ray_pool", stand_in)
    notices.clear()
    with opened(Where("auto", 3, 0.5), resolve(slow), "mine:slow", BASELINE, notices.append) as pool:
        all_answers(pool, len(pool.submit(shapes(5))))
    assert notices == ["measuring on the Ray cluster at head:6379, workers: 1"]
    assert started == [("mine:slow", (3, 0.5, 600.0))]


def test_a_fast_proxy_is_timed_in_a_batch() -> None:
    """What a call costs besides is not counted as the time of a shape."""

    def startup(shape: ModelShape) -> Quality:
        time.sleep(0.02)
        return plain(shape)

    assert seconds_each(resolve(startup), BASELINE) < 0.02
    assert seconds_each(resolve(slow), BASELINE) >= 0.004


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"ray": ""}, "ray: expected 'local', 'auto' or the address of a running cluster, got ''"),
        ({"workers": 0}, "workers: expected at least 1, got 0"),
        ({"ray": "local", "gpus": -1.0}, "gpus: expected a share"),
        ({"ray": "local", "gpus": float("inf")}, "gpus: expected a share"),
        ({"gpus": 0.5}, "gpus: expected with ray or workers"),
    ],
)
def test_wishes_without_sense_are_refused(wish: dict[str, Any], message: str) -> None:
    """Before anything is started."""
    with pytest.raises(InputError, match=message):
        Where(**wish)
