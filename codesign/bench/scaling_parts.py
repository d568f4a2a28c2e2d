"""What the driver of a search does for a portion and for a design, measured with evaluations that take no processor."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign import record
from codesign.accuracy.checked import FunctionProxy
from codesign.accuracy.proxy import Quality
from codesign.bench import Figures
from codesign.cost import technology
from codesign.design import ModelShape
from codesign.evaluation import Evaluations, make_evaluator
from codesign.optimize.loop import search
from codesign.optimize.ray_pool import RayPool, RaySettings
from codesign.record import one_batch
from codesign.space_file import read_space

BATCH = 100
"""Designs that are costed and recorded together."""

REPEATS = 20
"""Batches that are timed."""

BEGUN, ASKED = 512, 2048
"""Designs of a search before it is timed, and those that are."""

TRIPS = 500
"""Portions of one evaluation that are timed."""


@dataclass(frozen=True)
class Sleep:
    """An evaluation that takes time and no processor."""

    seconds: float

    def __call__(self, shape: ModelShape) -> Quality:
        """Wait for each of n shapes."""
        time.sleep(self.seconds * len(shape))
        return Quality("perplexity", np.full(len(shape), 2.0), np.full(len(shape), 0.1), np.zeros(len(shape), np.bool_))

    @property
    def proxy(self) -> FunctionProxy:
        """Of these evaluations."""
        return FunctionProxy("sleep", self)


class TimedPool(RayPool):
    """Counts the driver's seconds."""

    sending = receiving = 0.0
    portions = 0

    def _feed(self) -> None:
        start, before = time.perf_counter(), len(self._flights)
        super()._feed()
        self.sending += time.perf_counter() - start
        self.portions += len(self._flights) - before

    def _land(self, ref: Any) -> Any:
        start = time.perf_counter()
        found = super()._land(ref)
        self.receiving += time.perf_counter() - start
        return found


def portion_overheads() -> dict[str, float]:
    """Measure what the driver does for a portion: the seconds of `Overheads` by name."""
    pool = TimedPool(Sleep(0.0).proxy, RaySettings(1))
    elapsed(pool, 20)
    pool.sending = pool.receiving = 0.0
    pool.portions = 0
    trip = sum(elapsed(pool, 1) for _ in range(TRIPS)) / TRIPS
    send, receive = pool.sending / pool.portions, pool.receiving / pool.portions
    look = _look(pool)
    pool.close()
    return {"send": send, "receive": receive, "look": look, "travel": max(trip - send - receive, 0.0)}


def design_parts() -> Figures:
    """Time costing and recording of designs, one at a time and BATCH together; each append is flushed to the disk."""
    space = read_space("survey_lm").content
    judge = make_evaluator(space, technology.read("gemmini_40nm").content, Sleep(0.0).proxy)
    judge.costs(space.sample(np.random.default_rng(0), BATCH))  # the kernels are loaded
    found = []
    for seed, count in enumerate((1, BATCH), start=1):
        genomes = space.sample(np.random.default_rng(seed), REPEATS * count).reshape(REPEATS, count, -1)
        start = time.perf_counter()
        for batch in genomes:
            judge.costs(batch)
        seconds = {"cost": time.perf_counter() - start, "record": _recorded(judge(genomes[0]))}
        found += [
            {"figure": "design", "what": what, "batch": count, "ms": 1e3 * value / (REPEATS * count)}
            for what, value in seconds.items()
        ]
    return found


def _recorded(batch: Evaluations) -> float:
    """Return the seconds of appending a batch REPEATS times."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / record.EVALUATIONS).touch()
        start = time.perf_counter()
        for first in range(0, REPEATS * len(batch), len(batch)):
            record.append(Path(directory), batch, one_batch(first, len(batch)), first)
        return time.perf_counter() - start


def elapsed(pool: RayPool, count: int) -> float:
    """Return the seconds in which so many evaluations are answered."""
    shape = read_space("tiny").content.baseline.shape.take(np.zeros(count, dtype=np.int64))
    start, left = time.perf_counter(), count
    pool.submit(shape)
    while left:
        left -= len(pool.answers())
    return time.perf_counter() - start


def _look(pool: RayPool) -> float:
    """Return the seconds of looking for done calls among open ones, for each of them."""
    import ray

    worker, count = pool._idle[0], 1000
    shape = read_space("tiny").content.baseline.shape
    calls = [worker.actor.measure.remote([shape]) for _ in range(count)]
    ray.wait(calls, num_returns=count)
    start, looks = time.perf_counter(), 20
    for _ in range(looks):
        ray.wait(calls, num_returns=count, timeout=0)
    return (time.perf_counter() - start) / looks / count


def design_seconds(algorithm: str, batch: int) -> float:
    """Return the driver's seconds a design in a search with nearly free quality: the slope of two budgets."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        for budget in (BEGUN, BEGUN, BEGUN + ASKED):  # the first compiles
            start = time.perf_counter()
            search(
                "survey_lm",
                "gemmini_40nm",
                algorithm=algorithm,
                batch=batch,
                budget=budget,
                directory=Path(directory) / str(len(times)),
            )
            times.append(time.perf_counter() - start)
    return max(times[2] - times[1], 0.0) / ASKED
