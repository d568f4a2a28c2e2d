"""Genomes become evaluations: each shape is measured once, in ask order or as answers come."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.accuracy.proxy import resolve
from codesign.design import ModelShape
from codesign.errors import ProxyError
from codesign.evaluation import Evaluations, joined
from codesign.optimize.measuring import FAILURES_IN_A_ROW, Measuring
from codesign.optimize.pool import Answer, InProcess

from .pools import BAD, designs, judge, measuring, named
from .spaces import space_of, tiny, tiny_text


class Backwards(InProcess):
    """Gives one answer at a time, the last first."""

    def __init__(self, name: str) -> None:
        super().__init__(resolve(name))
        self.submitted: list[ModelShape] = []
        self._kept: list[tuple[int, Answer]] = []

    def submit(self, shape: ModelShape) -> list[int]:
        """Note what is submitted."""
        self.submitted.append(shape)
        return super().submit(shape)

    def answers(self, block: bool = True) -> list[tuple[int, Answer]]:
        """Give the last one."""
        while more := super().answers(block):
            self._kept += more
        return [self._kept.pop()] if self._kept else []


def assert_same(one: Evaluations, other: Evaluations) -> None:
    """Two evaluations are equal to the last bit."""
    np.testing.assert_array_equal(one.genomes, other.genomes)
    assert list(one.metrics) == list(other.metrics)
    for name, column in one.metrics.items():
        np.testing.assert_array_equal(column, other.metrics[name], err_msg=name)
    for name in ("log_standard_error", "extrapolated", "violation", "failure"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("batch", [7, 60])
def test_a_pool_gives_what_the_evaluator_gives(batch: int) -> None:
    """In whatever batches designs are submitted and answers come, the evaluations are those of the evaluator."""
    measure, genomes = measuring(named("plain"), Backwards(named("plain"))), designs(60)
    found = [
        part for start in range(0, 60, batch) for part in measure.in_order(np.asarray(genomes[start : start + batch]))
    ]
    assert_same(joined(found), judge(named("plain"))(genomes))
    assert measure.pending == 0


def test_prefixes_are_given_as_soon_as_they_are_complete() -> None:
    """A design is given back once all before it are, not when the whole batch is; positions count on over batches."""
    pool = InProcess(resolve(named("plain")))
    measure, genomes = measuring(named("plain"), pool), designs(60)
    measure.submit(genomes[:20])
    measure.submit(genomes[20:])
    positions, first = measure.measured()
    assert positions.tolist() == list(range(len(first)))
    assert 0 < len(first) < 20
    assert measure.pending == 60 - len(first)
    later = [measure.measured() for _ in iter(lambda: measure.pending, 0)]
    assert np.concatenate([positions, *(places for places, _ in later)]).tolist() == list(range(60))
    assert_same(joined([first, *(part for _, part in later)]), judge(named("plain"))(genomes))
    with pytest.raises(ValueError, match="nothing is pending"):
        measure.measured()


def test_unordered_designs_come_with_their_answers() -> None:
    """Without order, designs are given back as answers come, each once, with the position of its submission."""
    measure = measuring(named("plain"), Backwards(named("plain")), ordered=False)
    genomes, seen, parts = designs(60), list[int](), list[Evaluations]()
    measure.submit(genomes)
    while measure.pending:
        positions, part = measure.measured()
        seen += positions.tolist()
        parts.append(part)
    assert sorted(seen) == list(range(60))
    assert seen != sorted(seen)
    assert_same(joined(parts).take(np.argsort(seen)), judge(named("plain"))(genomes))


def test_each_shape_is_submitted_once() -> None:
    """Designs that share a shape share an answer: in a batch, between batches in flight, and with what is known."""
    pool, genomes = Backwards(named("plain")), designs(400)
    measure = measuring(named("plain"), pool)
    for start in (0, 100, 200):
        measure.submit(genomes[start : start + 100])
    while measure.pending:
        measure.measured()
    list(measure.in_order(genomes[300:]))
    shape = tiny().decode(genomes).shape
    keys = [key for part in pool.submitted for key in measure.evaluator.proxy.keys(part)]
    baseline = measure.evaluator.proxy.keys(tiny().baseline.shape)
    assert len(keys) == len(set(keys))
    assert set(keys) == {*measure.evaluator.proxy.keys(shape)} - {*baseline}
    assert len(keys) < 300


def test_a_failed_design_is_infeasible_and_says_why() -> None:
    """Its quality is unknown, its costs are not, and whoever shares its shape shares its failure."""
    measure, genomes = measuring(named("plain"), InProcess(resolve(named("raising")))), designs(200)
    found = joined(list(measure.in_order(genomes)))
    good = judge(named("plain"))(genomes)
    bad = tiny().decode(genomes).shape.hidden == BAD
    assert 0 < bad.sum() < 200
    np.testing.assert_array_equal(found.failure != "", bad)
    np.testing.assert_array_equal(found.metrics["edp_js"], good.metrics["edp_js"])
    assert np.isnan(found.metrics["perplexity"][bad]).all()
    assert (found.violation[bad] >= 1).all()
    assert not found.feasible[bad].any()
    np.testing.assert_array_equal(found.violation[~bad], good.violation[~bad])


def test_a_failed_design_is_infeasible_where_only_costs_count() -> None:
    """Also a search whose objectives are costs alone does not take a design of which nothing is known."""
    changed = tiny_text({'objectives = ["perplexity", "edp_js"]': 'objectives = ["area_mm2", "edp_js"]'})
    evaluator = judge(named("plain"))
    evaluator = type(evaluator)(space_of(changed), evaluator.technology, evaluator.proxy, evaluator.limits)
    measure = Measuring(evaluator, "perplexity", InProcess(resolve(named("raising"))))
    found = joined(list(measure.in_order(designs(100))))
    np.testing.assert_array_equal(found.feasible, found.failure == "")


def test_recorded_designs_are_not_measured_again() -> None:
    """What a record holds, failures too, is known: the pool is asked for nothing."""
    genomes = designs(100)
    before = measuring(named("plain"), InProcess(resolve(named("raising"))))
    recorded = joined(list(before.in_order(genomes)))
    pool = Backwards(named("raising"))
    again = measuring(named("plain"), pool)
    again.remember(recorded)
    assert_same(joined(list(again.in_order(genomes))), recorded)
    assert not pool.submitted


def test_a_closed_pool_is_not_waited_for() -> None:
    """Nobody waits for answers that cannot come."""
    measure = measuring(named("plain"), InProcess(resolve(named("plain"))))
    measure.submit(designs(20))
    measure.pool.close()
    with pytest.raises(ValueError, match="it was closed"):
        measure.measured()


@pytest.mark.parametrize("ordered", [True, False])
def test_a_broken_proxy_stops_the_search(ordered: bool) -> None:
    """Twenty failures of distinct shapes on end are the proxy's fault: the error shows the last, none is recorded."""
    name = named("always_raising")
    measure = measuring(name, InProcess(resolve(name)), ordered=ordered)
    parts: list[Evaluations] = []
    with pytest.raises(ProxyError, match=r"(?s)the last 20 shapes all failed.*ZeroDivisionError: out of order"):
        parts.extend(measure.in_order(designs(300)))
    assert not any((part.failure != "").any() for part in parts)
    assert measure.pending


def test_failures_over_several_batches_stop_a_search_too() -> None:
    """Where a search asks for one design after the other, the failed ones are recorded until they are twenty."""
    name = named("always_raising")
    measure = measuring(name, InProcess(resolve(name)))
    parts: list[Evaluations] = []
    with pytest.raises(ProxyError, match="the last 20 shapes all failed"):
        parts.extend(part for genome in designs(300) for part in measure.in_order(genome[None]))
    failed = [part.genomes for part in parts if part.failure[0]]
    shape = tiny().decode(np.concatenate(failed)).shape
    assert len(set(measure.evaluator.proxy.keys(shape))) == FAILURES_IN_A_ROW - 1
