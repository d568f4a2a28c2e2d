"""How a search fills workers: measured on this machine with evaluations that sleep, and simulated for a cluster.

The overheads that are measured go into the simulation of `scaling_model`; the same simulation of what was measured
stands beside it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import codesign
from codesign import record
from codesign.accuracy.checked import FunctionProxy
from codesign.accuracy.proxy import Quality
from codesign.bench import Figures
from codesign.bench.scaling_model import Load, Overheads, Simulation, one_each, tenth_of_a_second
from codesign.cluster import connected
from codesign.design import ModelShape
from codesign.optimize.portions import portion_size
from codesign.optimize.ray_pool import RayPool, RaySettings
from codesign.record import one_batch
from codesign.space_file import read_space

TIMES = (0.001, 0.01, 0.1, 1.0)
"""Seconds of the evaluations that are measured."""

LASTS = 5.0
"""Seconds that a measurement would take if it were ideal, about."""

SPREAD = 0.2
"""Of the simulated evaluations: most take 0.8 to 1.25 times the mean."""

POLICIES = {"one a call": one_each, "0.1 s": tenth_of_a_second, "0.1 s, longer for many workers": portion_size}


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


def run() -> Figures:
    """Measure, then simulate."""
    with connected("local", 2):
        overheads = measured_overheads()
        real = [line for workers in (1, 2) for line in measured(workers, "one node")]
    with two_nodes():
        real += measured(2, "two nodes")
    for line in real:
        load = Load(line["workers"], line["seconds"], line["evaluations"])
        line["simulated_elapsed_s"] = Simulation(load, Overheads(**{**asdict(overheads), "design": 0.0})).run().elapsed
    told = [{"figure": "overhead", "what": name, "ms": 1e3 * value} for name, value in asdict(overheads).items()]
    return [*told, *fsyncs(), *real, *ceilings(overheads), *simulated(overheads), *batches(overheads)]


def measured(workers: int, where: str) -> Figures:
    """Time evaluations of each length on workers of the cluster that this process is connected to."""
    found = []
    for seconds in TIMES:
        pool = RayPool(Sleep(seconds).proxy, RaySettings(workers))
        count = max(4 * workers, int(LASTS * workers / seconds))
        _elapsed(pool, 2 * workers)  # the workers have started, and it is known what an evaluation takes
        elapsed = _elapsed(pool, count)
        pool.close()
        ideal = count * seconds / workers
        found.append(
            {
                "figure": "measured", "where": where, "workers": workers, "seconds": seconds, "evaluations": count,
                "elapsed_s": elapsed, "efficiency": ideal / elapsed,
                "overhead_ms": 1e3 * (elapsed - ideal) * workers / count,
            }
        )  # fmt: skip
    return found


def measured_overheads() -> Overheads:
    """Measure what the driver does for a portion and for a design."""
    pool = TimedPool(Sleep(0.0).proxy, RaySettings(1))
    _elapsed(pool, 20)
    pool.sending = pool.receiving = 0.0
    pool.portions = 0
    start, rounds = time.perf_counter(), 500
    for _ in range(rounds):
        _elapsed(pool, 1)
    trip = (time.perf_counter() - start) / rounds
    send, receive = pool.sending / pool.portions, pool.receiving / pool.portions
    look = _look(pool)
    pool.close()
    return Overheads(send, receive, look, max(trip - send - receive, 0.0), _design())


def fsyncs() -> Figures:
    """Time recording: one evaluation at a time, and a hundred; each append is flushed to the disk."""
    found = []
    with tempfile.TemporaryDirectory() as directory:
        run_ = codesign.search("tiny", "unit", budget=100, population=100, directory=Path(directory) / "run")
        for count in (1, 100):
            (Path(directory) / str(count)).mkdir()
            (Path(directory) / str(count) / record.EVALUATIONS).touch()
            rows, start = run_.evaluations.take(slice(0, count)), time.perf_counter()
            for number in range(20):
                record.append(Path(directory) / str(count), rows, one_batch(number * count, count), number * count)
            each = (time.perf_counter() - start) / 20 / count
            found.append({"figure": "record", "evaluations_an_append": count, "ms_an_evaluation": 1e3 * each})
    return found


def ceilings(overheads: Overheads) -> Figures:
    """Return how many evaluations a second the driver can do at most, by the evaluations of a portion."""
    portion = overheads.send + overheads.receive
    return [
        {"figure": "ceiling", "portion": count, "throughput": 1 / (overheads.design + portion / count)}
        for count in (1, 10, 100, 1000)
    ]


def simulated(overheads: Overheads) -> Figures:
    """Simulate clusters: each policy of portions, evaluations of each length, asked for as others end."""
    found = []
    for policy, size in POLICIES.items():
        for workers in (10, 100, 1000, 10_000):
            for seconds in (*TIMES, 10.0, 60.0):
                each = max(1, size(seconds, 2 * workers * 10**9, workers))
                load = Load(workers, seconds, ROUNDS * workers * each, spread=SPREAD)
                outcome = Simulation(load, overheads, size).run()
                found.append(
                    {"figure": "simulated", "portions": policy, "workers": workers, "seconds": seconds}
                    | {name: value for name, value in asdict(outcome).items() if name != "elapsed"}
                )
    return found


def batches(overheads: Overheads) -> Figures:
    """Simulate searches that are told all of a batch before they ask again: how large a batch fills the workers."""
    found = []
    for workers in (2, 100, 1000):
        for times in (1, 2, 4, 10):
            load = Load(workers, 1.0, 40 * workers, batch=times * workers, spread=SPREAD)
            outcome = Simulation(load, overheads).run()
            found.append(
                {"figure": "batch", "workers": workers, "seconds": 1.0, "batch": times * workers}
                | {"efficiency": outcome.efficiency, "throughput": outcome.throughput}
            )
    return found


ROUNDS = 20
"""Portions that each simulated worker measures."""


@contextmanager
def two_nodes() -> Iterator[None]:
    """Be connected to a cluster of two nodes with one core each, both on this machine."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        with connected(cluster.address):
            yield
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def _elapsed(pool: RayPool, count: int) -> float:
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


def _design() -> float:
    """Return the driver's seconds a design in a search whose quality costs nothing: the slope of two budgets."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        for budget in (500, 500, 2500):  # the first compiles
            start = time.perf_counter()
            codesign.search(
                "survey_lm",
                "gemmini_40nm",
                proxy=Sleep(0.0),
                budget=budget,
                directory=Path(directory) / str(len(times)),
            )
            times.append(time.perf_counter() - start)
    return max(times[2] - times[1], 0.0) / 2000
