"""Whether ways to search are compared fairly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codesign.accuracy.proxy import resolve
from codesign.bench import search as bench
from codesign.bench.search_plots import write_plots
from codesign.bench.search_truth import evaluator_of, whole_truth
from codesign.bench.search_ways import Trace, counted, search
from codesign.errors import InputError
from codesign.front import dominated_volume, non_dominated


def test_the_truth_is_what_estimating_every_design_finds() -> None:
    """The exact front of `tiny` is that of all its 13,824 designs."""
    evaluator = evaluator_of("tiny", "gemmini_40nm", resolve("surrogate"))
    truth = whole_truth(evaluator)
    every = evaluator(evaluator.space.enumerate())
    points = every.objectives(evaluator.space.objectives)[every.feasible]
    front = points[non_dominated(points)]
    assert (truth.shapes, truth.designs) == (216, 13_824)
    assert dominated_volume(front, truth.reference) == pytest.approx(truth.hypervolume, rel=1e-12)
    np.testing.assert_allclose(truth.front[np.lexsort(truth.front.T)], front[np.lexsort(front.T)], atol=1e-9)


def test_a_space_too_large_to_enumerate_is_refused() -> None:
    """The message says what can be enumerated."""
    with pytest.raises(InputError, match="a smaller part of it can be enumerated"):
        whole_truth(evaluator_of("survey_lm", "gemmini_40nm", resolve("surrogate")))


@pytest.mark.parametrize("way", ["bilevel", "random", "nsga2", "network_first", "hardware_first", "nsga2_shapes"])
def test_only_shapes_not_measured_before_count(way: str) -> None:
    """A trace counts distinct shapes, beginning with the baseline's, and finds no more than there is."""
    evaluator = evaluator_of("tiny", "gemmini_40nm", resolve("surrogate"))
    truth = whole_truth(evaluator_of("tiny", "gemmini_40nm", resolve("surrogate")))
    trace = search(way, evaluator, "perplexity", 1, 40)
    assert (np.diff(trace.measured) >= 0).all()
    assert trace.measured[0] >= 1
    assert trace.used(40) > 30
    shares = [bench.indicators(trace.front(budget), truth)[0] for budget in (10, 20, 40)]
    assert shares == sorted(shares)
    assert shares[-1] <= 1 + 1e-9
    share, igd, epsilon = bench.indicators(truth.front, truth)
    assert (share, igd) == (pytest.approx(1), pytest.approx(0))
    assert epsilon == pytest.approx(0)


def test_counting() -> None:
    """Each new shape adds one, on whatever accelerator; one that is known or came before in the batch adds none."""
    evaluator = evaluator_of("tiny", "gemmini_40nm", resolve("surrogate"))
    space = evaluator.space
    baseline = space.encode(space.baseline)[0]
    shapes = space.enumerate_shapes()[[0, 1, 0]]
    other_chip = shapes[0].copy()
    other_chip[-1] = 1
    np.testing.assert_array_equal(counted(evaluator, np.array([baseline, *shapes, other_chip])), [1, 2, 3, 3, 3])


def test_figures_of_a_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way has a figure a budget, with intervals around its mean; the gain is ours less theirs; plots are drawn."""
    ways = ("bilevel", "random")
    monkeypatch.setattr(bench, "SHARES", (0.05, 0.15))
    outcome = bench.compare("tiny", 3, ways)
    figures = bench.judged(outcome)
    assert len(figures) == len(ways) * len(outcome.budgets)
    means = {(figure["way"], figure["budget"]): figure for figure in figures}
    for (way, budget), figure in means.items():
        assert figure["hypervolume_share_low"] <= figure["hypervolume_share"] <= figure["hypervolume_share_high"]
        if way == "random":
            gain = means["bilevel", budget]["hypervolume_share"] - figure["hypervolume_share"]
            assert figure["our_gain"] == pytest.approx(gain)
    write_plots(outcome, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"anytime.png", "attainment.png"}


def test_a_space_whose_network_computes_in_this_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that search begin anew: forked after torch has computed here, they would wait for ever."""
    evaluator_of("sotu_lm", "gemmini_40nm", resolve("supernet"))  # measures the baseline, with torch's threads
    monkeypatch.setattr(bench, "BUDGETS", (2, 4))
    monkeypatch.setattr(bench, "LONG_RUN", 6)
    outcome = bench.compare("sotu_lm", 2, ("random",))
    assert not outcome.truth.exact
    assert [trace.used(4) for trace in outcome.traces["random"]] == [4, 4]


def test_a_way_that_finds_nothing_is_infinitely_far(tmp_path: Path) -> None:
    """Without a design within the limits there are figures all the same, and plots without the way."""
    outcome = bench.compare("tiny", 2, ("bilevel",))
    outcome.traces["random"] = [Trace(np.zeros(0, dtype=np.int64), np.zeros((0, 2)))] * 2
    figure = bench.judged(outcome)[-1]
    assert (figure["way"], figure["hypervolume_share"], figure["measured_shapes"]) == ("random", 0, 0)
    assert figure["igd_plus_low"] == figure["igd_plus"] == np.inf
    assert figure["our_gain_low"] > 0
    write_plots(outcome, tmp_path)
    assert (tmp_path / "attainment.png").exists()


def test_front_at_a_budget() -> None:
    """Only what was found within the budget is in the front."""
    trace = Trace(np.array([1, 2, 3]), np.array([[2.0, 2.0], [3.0, 1.0], [1.0, 1.0]]))
    np.testing.assert_array_equal(trace.front(2), [[2.0, 2.0], [3.0, 1.0]])
    np.testing.assert_array_equal(trace.front(3), [[1.0, 1.0]])
    assert not len(trace.front(0))
