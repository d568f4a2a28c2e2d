"""The simulation of a driver and its workers: what can be computed by hand comes out, and nothing beats the driver."""

from __future__ import annotations

import pytest

from codesign.bench.scaling_model import Load, Overheads, Simulation, one_each, tenth_of_a_second
from codesign.optimize.portions import portion_size

NONE = Overheads(send=0.0, receive=0.0, look=0.0, travel=0.0, ask=0.0, cost=0.0)
SOME = Overheads(send=5e-4, receive=2e-4, look=1e-7, travel=1e-3, ask=3e-4, cost=4e-4)
LEAST = SOME.ask + SOME.cost
"""Seconds of the driver for a design, without those for its portion."""


@pytest.mark.parametrize("workers", [1, 2, 50])
def test_without_overheads_all_workers_are_busy(workers: int) -> None:
    """The efficiency is 1, and the time is that of the evaluations shared out."""
    outcome = Simulation(Load(workers, 1.0, 20 * workers), NONE).run()
    assert outcome.efficiency == pytest.approx(1.0)
    assert outcome.elapsed == pytest.approx(20.0)
    assert outcome.busy == 0.0


def test_one_worker_waits_for_the_driver() -> None:
    """One evaluation at a time lasts as long as all that has to be done for it, but for costing, which is hidden."""
    count = 100
    outcome = Simulation(Load(1, 0.5, count, batch=1), SOME).run()
    each = SOME.ask + SOME.send + SOME.travel + 0.5 + SOME.look + SOME.receive
    assert outcome.elapsed == pytest.approx(count * each, rel=1e-6)
    assert outcome.efficiency == pytest.approx(0.5 / each, rel=1e-6)
    assert outcome.throughput == pytest.approx(1 / each, rel=1e-6)


@pytest.mark.parametrize("seconds", [0.001, 0.1, 10.0])
@pytest.mark.parametrize("workers", [3, 100, 2000])
@pytest.mark.parametrize("size", [one_each, tenth_of_a_second, portion_size])
def test_nothing_is_faster_than_driver_and_workers(seconds: float, workers: int, size: object) -> None:
    """However portions are cut, the throughput is below what the driver and what the workers can do."""
    load = Load(workers, seconds, 20 * workers, spread=0.2)
    outcome = Simulation(load, SOME, size).run()  # type: ignore[arg-type]
    assert outcome.throughput <= 1 / LEAST
    assert 0 < outcome.efficiency <= 1
    assert 0 < outcome.busy <= 1 + 1e-9
    assert outcome.throughput == pytest.approx(outcome.efficiency * workers / seconds, rel=0.2)


def test_longer_portions_help_many_workers() -> None:
    """Where the driver cannot feed all in a tenth of a second, longer portions are faster; else they are equal."""
    for workers, gain in ((10, False), (1000, True)):
        each = max(portion_size(0.01, 10**9, workers), 1)
        load = Load(workers, 0.01, 10 * workers * each)
        ours, short = (Simulation(load, SOME, size).run().throughput for size in (portion_size, tenth_of_a_second))
        assert (ours > 1.05 * short) == gain
        assert ours >= 0.99 * short


def test_batches_leave_workers_idle() -> None:
    """Whoever waits for the last of a batch loses time, the less the larger the batch is."""
    found = [
        Simulation(Load(50, 1.0, 4000, batch=batch, spread=0.3), SOME).run().efficiency for batch in (50, 100, 400)
    ]
    steady = Simulation(Load(50, 1.0, 4000, spread=0.3), SOME).run().efficiency
    assert found == sorted(found)
    assert found[-1] < steady


def test_a_simulation_is_a_function_of_its_seed() -> None:
    """The same seed gives the same outcome, and another one another."""
    load = Load(20, 1.0, 500, spread=0.3)
    one, same, other = (Simulation(load, SOME, seed=seed).run() for seed in (0, 0, 1))
    assert one == same
    assert one != other


@pytest.mark.long
def test_the_benchmark_measures_and_simulates(monkeypatch: pytest.MonkeyPatch) -> None:
    """All figures are there, and what was measured is simulated with the same evaluations."""
    from codesign.bench import run_bench, scaling, scaling_parts

    monkeypatch.setattr(scaling, "LASTS", 0.2)
    monkeypatch.setattr(scaling, "TIMES", (0.001, 0.1))
    monkeypatch.setattr(scaling_parts, "TRIPS", 20)
    figures = run_bench("scaling", None)
    assert {line["figure"] for line in figures} == {
        *("overhead", "ask", "design", "measured", "ceiling", "simulated", "batch"),
    }
    measured = [line for line in figures if line["figure"] == "measured"]
    assert {(line["where"], line["workers"]) for line in measured} == {
        *(("one node", 1), ("one node", 2), ("two nodes", 2)),
    }
    assert all(0 < line["efficiency"] < 1 for line in measured)
    assert all(line["simulated_elapsed_s"] > 0 for line in measured)
