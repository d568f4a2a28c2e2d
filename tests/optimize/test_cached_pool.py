"""A pool in front of which answers are kept: what is known is not measured, what comes is kept, failures are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.accuracy import answers, cache
from codesign.accuracy.answers import kept_in
from codesign.accuracy.cache import Cached
from codesign.accuracy.protocol import Quality
from codesign.accuracy.proxy import resolve
from codesign.design import ModelShape
from codesign.optimize.cached_pool import CachedPool
from codesign.optimize.pool import Answer, InProcess
from tests.accuracy.test_cache import Dear, shapes

from .pools import Clock
from .searches import record_of, small_search


@pytest.fixture(autouse=True)
def _all_is_worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of tests take no time."""
    monkeypatch.setattr(cache, "WORTH_S", 0.0)


def pool_of(proxy: Dear, directory: Path) -> CachedPool:
    """The proxy behind a pool, its answers in front of it."""
    return CachedPool(InProcess(resolve(proxy)), Cached(resolve(proxy), directory), "perplexity")


def drained(pool: CachedPool, tickets: list[int]) -> list[Answer]:
    """All answers, in the order of the tickets."""
    found: dict[int, Answer] = {}
    while len(found) < len(tickets):
        portion = dict(pool.answers())
        assert portion, "asked to block, it returned nothing"
        assert not portion.keys() & found.keys()
        found |= portion
    assert pool.answers() == []
    return [found[ticket] for ticket in tickets]


def test_a_second_pool_measures_only_what_the_first_did_not(tmp_path: Path) -> None:
    """Answers are those of the proxy, in any mixture of known and unknown shapes; tickets count from 0."""
    both = shapes(1, 20)
    direct = Dear().predict(both)
    first, second = Dear(), Dear()
    before = pool_of(first, tmp_path)
    drained(before, before.submit(both.take(np.arange(0, 20, 2))))
    after = pool_of(second, tmp_path)
    assert after.size == 1
    tickets = after.submit(both.take(slice(0, 15))) + after.submit(both.take(slice(15, 20)))
    assert tickets == list(range(20))
    found = drained(after, tickets)
    np.testing.assert_array_equal([answer.value for answer in found], direct.value)
    np.testing.assert_array_equal([answer.log_standard_error for answer in found], direct.log_standard_error)
    np.testing.assert_array_equal([answer.extrapolated for answer in found], direct.extrapolated)
    assert second.total() <= 10
    third = pool_of(Dear(value=-1.0), tmp_path)  # would fail, were it asked
    assert not any(answer.failure for answer in drained(third, third.submit(both)))


def test_failures_are_told_and_measured_again(tmp_path: Path) -> None:
    """A failed shape is no answer of the next pool."""
    narrow = shapes(1).take(np.flatnonzero(shapes(1).hidden == 64)[:1])
    broken, mended = pool_of(Dear(value=-1.0), tmp_path), Dear()
    (failed,) = drained(broken, broken.submit(narrow))
    assert "cannot measure 64" in failed.failure
    pool = pool_of(mended, tmp_path)
    (found,) = drained(pool, pool.submit(narrow))
    assert found.failure == ""
    assert mended.total() == 1


def test_what_is_fast_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in front of a proxy: what took less than WORTH_S is sooner measured again, and leaves no file."""
    monkeypatch.setattr(cache, "WORTH_S", 60.0)
    pool, again = pool_of(Dear(), tmp_path), Dear()
    drained(pool, pool.submit(shapes(1, 20)))
    assert list(tmp_path.iterdir()) == []
    pool = pool_of(again, tmp_path)
    drained(pool, pool.submit(shapes(1, 20)))
    assert again.total() == 20


def test_what_comes_together_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One write, and one lock, for all that one call of `answers` gives."""
    writes: list[int] = []
    append = answers._append

    def noted(path: Path, header: answers.Header, lines: list[answers.Line]) -> None:
        writes.append(len(lines))
        append(path, header, lines)

    monkeypatch.setattr(answers, "_append", noted)
    pool, given = pool_of(Dear(), tmp_path), list[int]()
    pool.submit(shapes(1, 20))
    while portion := pool.answers():
        given.append(len(portion))
    assert len(writes) == len(given) < sum(given) == 20


@dataclass(frozen=True)
class Stopped(Dear):
    """Takes half a second for a shape, by a clock of the test, and is interrupted after so many."""

    clock: Clock = field(default_factory=Clock)
    after: float = np.inf

    def predict(self, shape: ModelShape) -> Quality:
        """Measure."""
        if self.total() + len(shape) > self.after:
            raise KeyboardInterrupt
        self.clock.now += 0.5 * len(shape)
        return super().predict(shape)


def test_an_interruption_loses_a_portion_of_a_batch(tmp_path: Path, clock: Clock) -> None:
    """Of a batch of dear shapes, what was measured is recorded and cached but for the portion under way."""
    cache, stopped, mended = tmp_path / "cache", Stopped(clock=clock, after=12), Stopped(clock=clock)
    with pytest.raises(KeyboardInterrupt):
        small_search(tmp_path / "run", proxy=stopped, cache=cache)
    assert 10 <= stopped.total() <= 12
    assert len(codesign.open_run(tmp_path / "run").evaluations) >= stopped.total()
    assert [kept.answers for kept in kept_in(cache)] == [stopped.total()]
    codesign.resume(tmp_path / "run", proxy=mended, cache=cache)
    small_search(tmp_path / "undisturbed", proxy=Stopped(clock=clock))
    assert record_of(tmp_path / "run") == record_of(tmp_path / "undisturbed")


@pytest.mark.parametrize("block", [True, False])
def test_a_closed_pool_forgets(tmp_path: Path, block: bool) -> None:
    """Neither known nor sent shapes are answered after closing."""
    pool = pool_of(Dear(), tmp_path)
    drained(pool, pool.submit(shapes(1, 3)))
    pool.submit(shapes(1, 3))
    pool.submit(shapes(2, 3))
    pool.close()
    assert pool.answers(block) == []
