"""Proxies that misbehave on chosen shapes of `tiny`, for tests of pools: a shape is known by its hidden size.

They are found by name (`tests.optimize.pools:plain`), as a user's own are, also by the workers of a cluster.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.accuracy import Quality
from codesign.accuracy.proxy import Proxy, resolve
from codesign.cost import technology
from codesign.design import FloatArray, IntArray, ModelShape
from codesign.evaluation import Evaluator, make_evaluator
from codesign.optimize.measuring import Measuring
from codesign.optimize.pool import Answer, Pool

from .spaces import tiny

BAD = 96
"""Hidden size of shapes that go wrong."""

SLOW = 0.1
"""Seconds."""


def truth(shape: ModelShape) -> FloatArray:
    """(n,) what all of them say of a shape that goes well."""
    return np.asarray(shape.hidden + shape.ffn.sum(axis=(1, 2)) / 1000 + shape.heads.sum(axis=(1, 2)) / 7)


def plain(shape: ModelShape) -> Quality:
    """Measure all shapes."""
    return Quality("perplexity", truth(shape), np.full(len(shape), 0.01), shape.hidden > BAD)


def raising(shape: ModelShape) -> Quality:
    """Raise at a bad shape."""
    if (shape.hidden == BAD).any():
        raise ZeroDivisionError("no such network")
    return plain(shape)


def always_raising(shape: ModelShape) -> Quality:
    """Raise at every shape but the baseline of `tiny`, which is asked for first."""
    if (truth(shape) != truth(tiny().baseline.shape)).any():
        raise ZeroDivisionError("out of order")
    return plain(shape)


def deadly(shape: ModelShape) -> Quality:
    """Kill the process at the baseline's shape, take turns at being slow, and raise at bad shapes."""
    baseline = truth(shape) == truth(tiny().baseline.shape)
    if baseline.any() and os.environ.get("RAY_JOB_ID"):  # only in a worker: the search asks for the baseline itself
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(np.where(shape.ffn.sum(axis=(1, 2)) > 400, 0.02, 0.001).sum()))
    return raising(shape)


def slow(shape: ModelShape) -> Quality:
    """Measure all shapes of any space, each for SLOW seconds on a worker, and at once in the process of a search."""
    if os.environ.get("RAY_JOB_ID"):
        time.sleep(SLOW * len(shape))
    return Quality("perplexity", 1e6 / truth(shape), np.full(len(shape), 0.01), np.zeros(len(shape), dtype=np.bool_))


@dataclass(frozen=True)
class Noted:
    """Takes a while for each shape; leaves a file by its process's id in a directory, which says what is measured."""

    directory: Path
    seconds: float = 0.05

    def __call__(self, shape: ModelShape) -> Quality:
        """Measure."""
        (self.directory / str(os.getpid())).write_text(str(truth(shape).tolist()))
        time.sleep(self.seconds * len(shape))
        return plain(shape)


@dataclass
class Clock:
    """What `time.perf_counter` says, where a test sets the clock; the fixture `clock` puts it there."""

    now: float = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def named(function: str) -> str:
    """The name under which a proxy of this module is found."""
    return f"{__name__}:{function}"


def judge(proxy: str | Proxy) -> Evaluator:
    """An evaluator of `tiny`."""
    return make_evaluator(tiny(), technology.read("unit").content, resolve(proxy))


def designs(count: int, seed: int = 0) -> IntArray:
    """(count, genes) distinct designs of `tiny`."""
    drawn = tiny().sample(np.random.default_rng(seed), 4 * count)
    _, first = np.unique(drawn, axis=0, return_index=True)
    return np.asarray(drawn[np.sort(first)][:count], dtype=np.int64)


def shapes(count: int, seed: int = 0) -> ModelShape:
    """Distinct shapes of `tiny`, fewer than `count` of them."""
    shape = tiny().decode(designs(count, seed)).shape
    return shape.take(judge("surrogate").proxy.first_rows(shape))


def all_answers(pool: Pool, count: int) -> dict[int, Answer]:
    """Wait for `count` answers and return them by ticket; none may come twice."""
    found: dict[int, Answer] = {}
    while len(found) < count:
        portion = pool.answers()
        assert portion
        assert not found.keys() & dict(portion).keys()
        found |= dict(portion)
    return found


def measuring(proxy: str, pool: Pool, *, ordered: bool = True) -> Measuring:
    """Measure designs of `tiny` through a pool."""
    return Measuring(judge(proxy), "perplexity", pool, ordered)
