"""Measuring in this process: every answer once, what fails is isolated."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.accuracy import Quality
from codesign.accuracy.proxy import resolve
from codesign.design import ModelShape
from codesign.optimize.pool import ATTEMPTS, LONGEST_FAILURE, InProcess

from .pools import BAD, all_answers, named, plain, raising, shapes, truth


def test_a_batch_is_measured_at_once() -> None:
    """A submitted batch is one question; each ticket gets the answer to its own shape."""
    asked: list[int] = []

    def counted(shape: ModelShape) -> Quality:
        asked.append(len(shape))
        return plain(shape)

    pool, shape = InProcess(resolve(counted)), shapes(50)
    first, second = pool.submit(shape), pool.submit(shape.take(slice(0, 3)))
    assert [*first, *second] == list(range(len(shape) + 3))
    found = all_answers(pool, len(shape) + 3)
    assert asked == [len(shape), 3]
    assert pool.answers() == []
    np.testing.assert_array_equal([found[ticket].value for ticket in first], truth(shape))
    assert [found[ticket].extrapolated for ticket in first] == (shape.hidden > BAD).tolist()
    assert {answer.log_standard_error for answer in found.values()} == {0.01}
    assert not pool.submit(shape.take(slice(0, 0)))


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
