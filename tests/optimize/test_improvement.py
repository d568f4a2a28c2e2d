"""What measuring a shape is worth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.design import FloatArray
from codesign.front import dominated_volume, non_dominated
from codesign.optimize.improvement import Belief, Target

numbers = st.floats(-1, 1)


@st.composite
def targets(draw: st.DrawFn, objectives: int = 2) -> Target:
    """Draw fronts of up to six points around the reference."""
    points = np.array(draw(st.lists(st.tuples(*[numbers] * objectives), min_size=0, max_size=6)), dtype=np.float64)
    points = points.reshape(-1, objectives)
    kept = non_dominated(points) if len(points) else np.zeros(0, dtype=bool)
    most = draw(st.sampled_from([np.inf, 0.2]))
    front = points[kept]
    return Target(front[front[:, 0] <= most], np.full(objectives, 0.8), 0, most)


def simulated(target: Target, belief: Belief, nodes: int = 4001) -> float:
    """The expected gain by fine quadrature over quality; worse quality than is feasible gains nothing."""
    z = np.linspace(-8, 8, nodes)
    weights = np.exp(-(z**2) / 2)
    before = dominated_volume(target.front, target.reference)
    gains = []
    for value in belief.quality + belief.error * z:
        points = target.points(value, belief.costs)
        merged = np.concatenate([target.front, points])
        gains.append(dominated_volume(merged, target.reference) - before)
    return float(weights @ gains / weights.sum())


@settings(max_examples=25, deadline=None)
@given(target=targets(), quality=numbers, error=st.floats(0.01, 0.5), cost=numbers)
def test_the_closed_form_is_the_integral(target: Target, quality: float, error: float, cost: float) -> None:
    """With one cost, the expected area equals the average gain of the hypervolume over the believed quality."""
    free = Target(target.front, target.reference, 0, np.inf)
    belief = Belief(quality, error, np.array([[cost]]))
    assert free.worth([belief])[0] == pytest.approx(simulated(free, belief), abs=2e-4)


@settings(max_examples=25, deadline=None)
@given(target=targets(), quality=numbers, cost=numbers)
def test_certain_quality_is_worth_what_it_adds(target: Target, quality: float, cost: float) -> None:
    """Without uncertainty the worth is the hypervolume gained, and having measured the shape leaves none."""
    belief = Belief(quality, 0.0, np.array([[cost]]))
    if quality <= target.most_quality and np.isinf(target.most_quality):
        gain = dominated_volume(np.concatenate([target.front, [[quality, cost]]]), target.reference) - dominated_volume(
            target.front, target.reference
        )
        assert target.worth([belief])[0] == pytest.approx(gain, abs=1e-7)
    assert target.with_point(belief).worth([belief])[0] == pytest.approx(0, abs=1e-7)


@settings(max_examples=10, deadline=None)
@given(target=targets(3), quality=numbers, costs=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=3))
def test_several_costs_count_all_accelerators(target: Target, quality: float, costs: list[tuple[float, float]]) -> None:
    """With two costs and certain quality, the worth is what all designs of the shape add together."""
    belief = Belief(quality, 0.0, np.array(costs))
    points: FloatArray = np.array([[quality, *cost] for cost in costs])
    gain = dominated_volume(np.concatenate([target.front, points]), target.reference) - dominated_volume(
        target.front, target.reference
    )
    expected = gain if quality <= target.most_quality else 0.0
    assert target.worth([belief])[0] == pytest.approx(expected, abs=1e-7)


def test_quality_that_is_only_a_limit_weighs_by_its_chance() -> None:
    """Where quality is no objective, a shape that may miss the limit is worth its gain times the chance to keep it."""
    target = Target(np.array([[0.5]]), np.array([1.0]), None, 0.0)
    worth = target.worth([Belief(-1.0, 0.1, np.array([[0.2]])), Belief(1.0, 0.1, np.array([[0.2]]))])
    assert worth[0] == pytest.approx(0.3)
    assert worth[1] == 0
