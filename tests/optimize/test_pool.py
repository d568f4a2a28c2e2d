"""Measuring in this process, in portions: every answer once, what fails is isolated."""

from __future__ import annotations

import numpy as np
import pytest

import codesign.optimize.pool as pool_module
from codesign.accuracy import Quality
from codesign.accuracy.checked import FunctionProxy
from codesign.accuracy.proxy import Proxy, resolve
from codesign.design import ModelShape
from codesign.optimize.pool import ATTEMPTS, LONGEST_FAILURE, SHAPES_A_CORE, InProcess, fewest

from .pools import BAD, Clock, all_answers, named, plain, raising, shapes, truth


def timed(clock: Clock, seconds: float, asked: list[int], name: str = "own") -> Proxy:
    """A proxy of some name that takes so long for a shape and notes how many it was asked for at once."""

    def measure(shape: ModelShape) -> Quality:
        asked.append(len(shape))
        clock.now += seconds * len(shape)
        return plain(shape)

    return resolve(FunctionProxy(name, measure))


def test_a_batch_is_measured_in_portions(clock: Clock) -> None:
    """One shape at first, then a second of work of one batch; each ticket gets the answer to its own shape, once."""
    asked: list[int] = []
    pool, shape = InProcess(timed(clock, 0.3, asked)), shapes(50)
    first, second = pool.submit(shape), pool.submit(shape.take(slice(0, 4)))
    assert [*first, *second] == list(range(len(shape) + 4))
    found = all_answers(pool, len(shape) + 4)
    whole, rest = divmod(len(shape) - 1, 3)
    assert asked == [1, *([3] * whole), *([rest] if rest else []), 3, 1]
    assert pool.answers() == []
    np.testing.assert_allclose([answer.seconds for answer in found.values()], 0.3)
    np.testing.assert_array_equal([found[ticket].value for ticket in first], truth(shape))
    assert [found[ticket].extrapolated for ticket in first] == (shape.hidden > BAD).tolist()
    assert {answer.log_standard_error for answer in found.values()} == {0.01}
    assert not pool.submit(shape.take(slice(0, 0)))


@pytest.mark.parametrize("name", ["surrogate", "published_mnli", "fitted:file.json"])
def test_a_law_is_asked_for_a_batch_at_once(name: str, clock: Clock) -> None:
    """However long it takes: the last bits of what it says may depend on how many rows it is asked for."""
    asked: list[int] = []
    pool, shape = InProcess(timed(clock, 9.0, asked, name)), shapes(50)
    pool.submit(shape)
    pool.submit(shape)
    all_answers(pool, 2 * len(shape))
    assert asked == [len(shape), len(shape)]


@pytest.mark.parametrize("name", ["supernet", "supernet@4", "supernet:directory"])
def test_a_network_is_asked_for_several_shapes_a_core(name: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long they take: each core measures one at a time, and none should wait for the others."""
    asked: list[int] = []
    monkeypatch.setattr(pool_module, "cpu_count", lambda: 2)
    assert fewest(name) == 2 * SHAPES_A_CORE
    pool, shape = InProcess(timed(clock, 9.0, asked, name)), shapes(50)
    pool.submit(shape)
    all_answers(pool, len(shape))
    assert {*asked[:-1]} == {2 * SHAPES_A_CORE}


@pytest.mark.parametrize("name", ["surrogate", "score:flops"])
def test_what_a_proxy_says_does_not_depend_on_the_cut(name: str) -> None:
    """To the last bit: records are the same whatever the clock said; `test_supernet` asks the same of networks."""
    proxy, shape = resolve(name), shapes(50)
    whole = proxy.predict(shape)
    for count in (1, 7, 16):
        parts = [proxy.predict(shape.take(slice(start, start + count))) for start in range(0, len(shape), count)]
        for column in ("value", "log_standard_error", "extrapolated"):
            cut = np.concatenate([getattr(part, column) for part in parts])
            np.testing.assert_array_equal(cut, getattr(whole, column))


def test_a_failure_makes_no_more_than_its_portion_be_measured_again(clock: Clock) -> None:
    """What was answered before it stays answered; each of its neighbours is measured twice at most."""
    rows: list[float] = []

    def noted(shape: ModelShape) -> Quality:
        rows.extend(truth(shape).tolist())
        clock.now += 0.3 * len(shape)
        return raising(shape)

    pool, shape = InProcess(resolve(noted)), shapes(50)
    last = np.concatenate([np.flatnonzero(shape.hidden != BAD), np.flatnonzero(shape.hidden == BAD)[:1]])
    all_answers(pool, len(pool.submit(shape.take(last))))
    assert len(rows) <= len(last) + 2 + ATTEMPTS


def test_what_fails_in_a_batch_is_measured_alone() -> None:
    """Bad shapes become failures with the traceback of the proxy; their neighbours are measured as ever."""
    pool, shape = InProcess(resolve(named("raising"))), shapes(50)
    found = all_answers(pool, len(pool.submit(shape)))
    for ticket, hidden in enumerate(shape.hidden):
        answer = found[ticket]
        if hidden != BAD:
            assert (answer.value, answer.failure) == (truth(shape)[ticket], "")
            continue
        assert np.isnan([answer.value, answer.log_standard_error]).all()
        assert not answer.extrapolated
        assert answer.failure.startswith("Traceback")
        assert raising.__code__.co_filename in answer.failure
        assert "raised ZeroDivisionError: no such network" in answer.failure.splitlines()[-1]


@pytest.mark.parametrize("failures", [1, ATTEMPTS - 1, ATTEMPTS])
def test_an_evaluation_is_tried_three_times(failures: int) -> None:
    """A proxy that fails twice and then answers has answered; the third failure is the answer."""
    left = [failures]

    def flaky(shape: ModelShape) -> Quality:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError("the disk is busy")
        return plain(shape)

    pool = InProcess(resolve(flaky))
    pool.submit(shapes(50).take(slice(0, 1)))
    assert bool(pool.answers()[0][1].failure) == (failures == ATTEMPTS)


def test_long_failures_are_cut() -> None:
    """A message of a megabyte is no reason for a record of a megabyte; its end is kept."""

    def verbose(shape: ModelShape) -> Quality:
        raise OSError("x" * 1_000_000 + " the end")

    pool = InProcess(resolve(verbose))
    pool.submit(shapes(50).take(slice(0, 1)))
    failure = pool.answers()[0][1].failure
    assert len(failure) == LONGEST_FAILURE
    assert "the end" in failure


def test_a_closed_pool_measures_nothing() -> None:
    """What was submitted and not answered is forgotten."""
    pool = InProcess(resolve(named("plain")))
    pool.submit(shapes(50))
    pool.close()
    assert pool.answers() == []
