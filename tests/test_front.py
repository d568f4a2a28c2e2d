"""Fronts, hypervolume, knee and gains, against their definitions."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from codesign.accuracy import Quality
from codesign.accuracy.proxy import resolve
from codesign.design import FloatArray, ModelShape
from codesign.errors import InputError
from codesign.evaluation import Evaluations, joined, no_failures
from codesign.front import QUALITY_BUDGETS, front_ids, gains, hypervolume, interval, knee
from codesign.run import Run
from tests.optimize.searches import small_search
from tests.optimize.spaces import tiny

NAMES = ("perplexity", "edp_js")


def evaluations(values: FloatArray, feasible: FloatArray, errors: FloatArray | None = None) -> Evaluations:
    """Designs with these (n, 2) objectives; infeasible ones other than the baseline have no EDP."""
    n = len(values)
    edp = np.where(feasible | (np.arange(n) == 0), values[:, 1], np.nan)
    return Evaluations(
        genomes=tiny().sample(np.random.default_rng(0), n),
        metrics={"perplexity": values[:, 0].astype(float), "edp_js": edp},
        log_standard_error=np.full(n, np.nan) if errors is None else errors,
        extrapolated=np.zeros(n, dtype=bool),
        violation=np.where(feasible, 0.0, 1.0),
        failure=no_failures(n),
    )


@st.composite
def random_evaluations(draw: st.DrawFn) -> Evaluations:
    """Draw up to 30 designs of few distinct values, so that many are equal or dominate each other."""
    n = draw(st.integers(0, 30))
    values = draw(arrays.arrays(np.int64, (n, 2), elements=st.integers(1, 6)))
    return evaluations(values.astype(float), draw(arrays.arrays(np.bool_, n)))


def first(found: Evaluations, count: int) -> Evaluations:
    """The evaluations as they were after the first `count`."""
    return found.take(slice(0, count))


@given(random_evaluations())
def test_front_is_what_nothing_dominates(found: Evaluations) -> None:
    """A feasible design is on the front unless another is nowhere worse and somewhere better, or equal and earlier."""
    values = np.stack([found.metrics[name] for name in NAMES], axis=1)
    feasible = np.flatnonzero(found.feasible)

    def beaten(i: int) -> bool:
        return any(
            (values[j] <= values[i]).all() and ((values[j] < values[i]).any() or j < i) for j in feasible if j != i
        )

    expected = sorted((i for i in feasible if not beaten(i)), key=lambda i: tuple(values[i]))
    assert front_ids(found, NAMES).tolist() == expected


@given(random_evaluations())
def test_hypervolume_never_shrinks(found: Evaluations) -> None:
    """Each further evaluation leaves the hypervolume as it is or enlarges it."""
    volumes = [hypervolume(first(found, count), NAMES) for count in range(len(found) + 1)]
    assert volumes[0] == 0.0
    assert (np.diff(volumes) >= -1e-12).all()


def test_hypervolume_by_hand() -> None:
    """It is the area between the front and twice the baseline, in logarithms; what lies beyond adds nothing."""
    found = evaluations(np.exp([[2.0, 2.0], [1.0, 2.2], [2.3, 1.0], [0.1, 2.8]]), np.ones(4, dtype=bool))
    r = 2.0 + np.log(2)
    area = (2.0 - 1.0) * (r - 2.2) + (2.3 - 2.0) * (r - 2.0) + (r - 2.3) * (r - 1.0)
    assert hypervolume(found, NAMES) == pytest.approx(area)


def test_hypervolume_counts_feasible_designs_only() -> None:
    """A run whose first designs are all infeasible, the baseline among them, has none until it finds better ones."""
    forbidden = evaluations(np.exp(np.full((150, 2), 3.0)), np.zeros(150, dtype=bool))
    found = evaluations(np.exp([[1.0, 3.0], [2.0, 1.0], [4.0, 4.0]]), np.ones(3, dtype=bool))
    r = 3.0 + np.log(2)
    assert hypervolume(forbidden, NAMES) == 0.0
    assert hypervolume(joined([forbidden, found]), NAMES) == pytest.approx((r - 1) * (r - 3) + (r - 2) * (3 - 1))


@given(random_evaluations())
def test_knee_is_on_the_front(found: Evaluations) -> None:
    """The knee is a design of the front, and is refused where there is none."""
    ids = front_ids(found, NAMES)
    if len(ids):
        assert knee(found, NAMES, ids) in ids
    else:
        with pytest.raises(InputError, match=f"no knee: none of the {len(found)} designs evaluated is feasible"):
            knee(found, NAMES, ids)


def test_knee_is_the_bend() -> None:
    """On a front of two straight parts the knee is where they meet."""
    corner = np.exp([[0.0, 4.0], [0.5, 2.5], [1.0, 1.0], [2.5, 0.5], [4.0, 0.0]])
    found = evaluations(corner, np.ones(5, dtype=bool))
    assert knee(found, NAMES, front_ids(found, NAMES)) == 2


@given(st.floats(0.1, 1e3), st.floats(0, 2))
def test_interval_is_symmetric_in_logarithms(value: float, error: float) -> None:
    """The value is the geometric mean of the ends, which are 1.96 errors away."""
    low, high = (float(end[0]) for end in interval(np.array([value]), np.array([error])))
    assert low <= value <= high
    assert low * high == pytest.approx(value**2)
    assert np.log(high / value) == pytest.approx(1.96 * error, rel=1e-3, abs=1e-12)


def by_width(shape: ModelShape) -> Quality:
    """A user's proxy with an error."""
    n = len(shape)
    return Quality("perplexity", 1e3 / shape.hidden, np.full(n, 0.02), np.zeros(n, dtype=bool))


@cache
def _tiny_sample(seed: int, n: int) -> Evaluations:
    drawn = tiny().sample(np.random.default_rng(seed), n)
    genomes = np.concatenate([tiny().encode(tiny().baseline), drawn])
    quality = resolve("surrogate").predict(tiny().decode(genomes).shape)
    ones = np.ones(n + 1)
    return Evaluations(
        genomes, {"perplexity": quality.value}, quality.log_standard_error, ones > 1, ones, no_failures(n + 1)
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 5),
    proxy=st.sampled_from(["surrogate", "own"]),
    forbidden=st.floats(0, 1),
    baseline_feasible=st.booleans(),
)
def test_gains_are_within_budget_and_ordered(seed: int, proxy: str, forbidden: float, baseline_feasible: bool) -> None:
    """A gain is that of the best feasible design within the budget, at least 1, and lies in its interval."""
    sample, rng = _tiny_sample(seed, 200), np.random.default_rng(seed)
    feasible = rng.random(201) >= forbidden
    feasible[0] = baseline_feasible
    edp = np.exp(rng.normal(size=201))
    found = Evaluations(
        sample.genomes,
        sample.metrics | {"edp_js": edp},
        sample.log_standard_error,
        sample.extrapolated,
        np.where(feasible, 0.0, 1.0),
        sample.failure,
    )
    judge = resolve("surrogate") if proxy == "surrogate" else resolve(by_width)
    value, choices = found.metrics["perplexity"], feasible | (np.arange(201) == 0)
    ids = np.flatnonzero(choices)
    errors = found.log_standard_error
    error = judge.compare(tiny().decode(found.genomes[ids]).shape, tiny().baseline.shape, (errors[ids], errors[:1]))
    for gain, budget in zip(gains(found, ids, error, "perplexity"), QUALITY_BUDGETS, strict=True):
        within = choices & (value <= value[0] * (1 + budget) * (1 + 1e-12))
        assert edp[gain.id] == edp[within].min()
        assert gain.factor == pytest.approx(edp[0] / edp[gain.id])
        assert gain.change == pytest.approx(value[gain.id] / value[0] - 1, abs=1e-12)
        assert 1.0 <= gain.factor_low <= gain.factor <= gain.factor_high
        assert gain.change_low <= gain.change <= gain.change_high
        assert gain.change <= budget + 1e-12


def test_gains_without_an_error_have_no_interval(tmp_path: Path) -> None:
    """A proxy that gives no error leaves the ends of the intervals unknown, and the gain itself known."""

    def plain(shape: ModelShape) -> dict[str, FloatArray]:
        return {"perplexity": 1e3 / shape.hidden}

    run = small_search(tmp_path / "run", proxy=plain)
    for gain in run.gains():
        assert gain.factor >= 1.0
        assert np.isnan([gain.factor_low, gain.factor_high, gain.change_low, gain.change_high]).all()


def test_a_larger_quality_budget_gains_no_less(tmp_path: Path) -> None:
    """In a real run the second budget contains the first."""
    run: Run = small_search(tmp_path / "run", budget=200, cost_model="gemmini_40nm")
    small, large = run.gains()
    assert 1.0 <= small.factor <= large.factor
    assert run.knee() in run.front_ids()
