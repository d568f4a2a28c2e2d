"""A pool in front of which answers are kept: what is known is not measured, what comes is kept, failures are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codesign.accuracy.cache import Cached
from codesign.accuracy.proxy import resolve
from codesign.optimize.cached_pool import CachedPool
from codesign.optimize.pool import Answer, InProcess
from tests.accuracy.test_cache import Dear, shapes


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


@pytest.mark.parametrize("block", [True, False])
def test_a_closed_pool_forgets(tmp_path: Path, block: bool) -> None:
    """Neither known nor sent shapes are answered after closing."""
    pool = pool_of(Dear(), tmp_path)
    drained(pool, pool.submit(shapes(1, 3)))
    pool.submit(shapes(1, 3))
    pool.submit(shapes(2, 3))
    pool.close()
    assert pool.answers(block) == []
