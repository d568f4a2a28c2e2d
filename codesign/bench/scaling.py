"""How a search fills workers: measured on this machine with evaluations that sleep, and simulated for a cluster.

The overheads that are measured go into the simulation of `scaling_model`; the same simulation of what was measured
stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from codesign.bench import Figures
from codesign.bench.scaling_model import Load, Overheads, Simulation, one_each, tenth_of_a_second
from codesign.bench.scaling_parts import BATCH, Sleep, design_parts, design_seconds, elapsed, portion_overheads
from codesign.cluster import connected
from codesign.optimize.algorithms import DEFAULT_ALGORITHM
from codesign.optimize.portions import portion_size
from codesign.optimize.ray_pool import RayPool, RaySettings

TIMES = (0.001, 0.01, 0.1, 1.0)
"""Seconds of the evaluations that are measured."""

LASTS = 5.0
"""Seconds that a measurement would take if it were ideal, about."""

SPREAD = 0.2
"""Of the simulated evaluations: most take 0.8 to 1.25 times the mean."""

ASKED = (DEFAULT_ALGORITHM, 1024)
"""Algorithm and batch of the simulations."""

OTHERS_ASKED = ((DEFAULT_ALGORITHM, 32), (DEFAULT_ALGORITHM, 256), ("nsga2", 100))
"""Those that are timed besides."""

POLICIES = {"one a call": one_each, "0.1 s": tenth_of_a_second, "0.1 s, longer for many workers": portion_size}


def run() -> Figures:
    """Measure, then simulate."""
    with connected("local", 2):
        portion = portion_overheads()
        real = [line for workers in (1, 2) for line in measured(workers, "one node")]
    with two_nodes():
        real += measured(2, "two nodes")
    for line in real:
        load = Load(line["workers"], line["seconds"], line["evaluations"])
        line["simulated_elapsed_s"] = Simulation(load, Overheads(**portion, ask=0.0, cost=0.0)).run().elapsed
    parts = design_parts()
    batched = {line["what"]: line["ms"] / 1e3 for line in parts if line["batch"] == BATCH}
    cost = batched["cost"] + batched["record"]
    asks = {asked: max(design_seconds(*asked) - cost, 0.0) for asked in (ASKED, *OTHERS_ASKED)}
    overheads = Overheads(**portion, ask=asks[ASKED], cost=cost)
    told = [{"figure": "overhead", "what": name, "ms": 1e3 * value} for name, value in asdict(overheads).items()]
    told += [
        {"figure": "ask", "algorithm": name, "batch": batch, "ms": 1e3 * value} for (name, batch), value in asks.items()
    ]
    return [*told, *parts, *real, *ceilings(overheads, asks), *simulated(overheads), *batches(overheads)]


def measured(workers: int, where: str) -> Figures:
    """Time evaluations of each length on workers of the cluster that this process is connected to."""
    found = []
    for seconds in TIMES:
        pool = RayPool(Sleep(seconds).proxy, RaySettings(workers))
        count = max(4 * workers, int(LASTS * workers / seconds))
        elapsed(pool, 2 * workers)  # the workers have started, and it is known what an evaluation takes
        lasted = elapsed(pool, count)
        pool.close()
        ideal = count * seconds / workers
        found.append(
            {
                "figure": "measured", "where": where, "workers": workers, "seconds": seconds, "evaluations": count,
                "elapsed_s": lasted, "efficiency": ideal / lasted,
                "overhead_ms": 1e3 * (lasted - ideal) * workers / count,
            }
        )  # fmt: skip
    return found


def ceilings(overheads: Overheads, asks: dict[tuple[str, int], float]) -> Figures:
    """Return how many evaluations a second the driver can do at most, by who asks and the evaluations of a portion."""
    portion = overheads.send + overheads.receive
    return [
        {"figure": "ceiling", "algorithm": name, "batch": batch, "portion": count}
        | {"throughput": 1 / (ask + overheads.cost + portion / count)}
        for (name, batch), ask in asks.items()
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
