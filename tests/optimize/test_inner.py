"""The accelerators on which a shape costs least."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from codesign.accuracy.proxy import resolve
from codesign.cost import technology
from codesign.evaluation import Evaluator, make_evaluator
from codesign.front import non_dominated
from codesign.optimize import inner as inners
from codesign.optimize.inner import Inner
from tests.optimize.spaces import space_of, tiny_text

LIMITS = "[baseline.model]"


@cache
def evaluator(objectives: str, limits: str = "") -> Evaluator:
    """Of `tiny` under gemmini_40nm with other objectives and limits."""
    text = tiny_text({'["perplexity", "edp_js"]': objectives}, {LIMITS: f"[limits]\n{limits}\n\n{LIMITS}"})
    return make_evaluator(space_of(text), technology.read("gemmini_40nm").content, resolve("surrogate"))


CASES = [
    ('["perplexity", "edp_js"]', ""),
    ('["perplexity", "delay_s"]', "area_mm2 = { times_baseline = 0.9 }"),
    ('["perplexity", "edp_js"]', "delay_s = { times_baseline = 1.1 }\nenergy_j = { times_baseline = 0.8 }"),
    ('["perplexity", "energy_j", "area_mm2"]', ""),
    ('["perplexity", "edp_js", "parameters"]', "area_mm2 = { times_baseline = 1.0 }"),
    ('["perplexity", "edp_js"]', "peak_power_w = { times_baseline = 0.9 }"),
    ('["perplexity", "peak_power_w", "delay_s"]', ""),
    ('["edp_js"]', "perplexity = { times_baseline = 1.05 }"),
]


@pytest.mark.parametrize(("objectives", "limits"), CASES)
def test_best_is_what_enumeration_finds(objectives: str, limits: str) -> None:
    """A shape's accelerators are the front of its costs on all of them within the limits, or the nearest to these."""
    judge = evaluator(objectives, limits)
    space, inner = judge.space, Inner(judge, "perplexity")
    assert inner.exact
    shapes = space.sample(np.random.default_rng(0), 12)
    every = np.indices(tuple(space.sizes[inner.columns])).reshape(len(inner.columns), -1).T
    for shape, best in zip(shapes, inner.best(shapes), strict=True):
        genomes = np.repeat(shape[None], len(every), axis=0)
        genomes[:, inner.columns] = every
        metrics = judge.costs(genomes)
        excess = np.where(np.isfinite(metrics["edp_js"]), 0.0, np.inf)
        for name, most in inner.limits.items():
            excess += np.nan_to_num(np.maximum(metrics[name] / most - 1, 0))
        if best.excess > 0:
            assert excess.min() > 0
            continue
        costs = np.log(np.stack([metrics[name] for name in inner.costs], axis=1))[excess == 0]
        expected = np.unique(np.round(costs[non_dominated(costs)], 9), axis=0)
        np.testing.assert_allclose(np.unique(np.round(best.costs, 9), axis=0), expected, atol=2e-9)
        designs = inner.designs(shape, best)
        again = judge.costs(designs)
        for place, name in enumerate(inner.costs):
            np.testing.assert_allclose(np.log(again[name]), best.costs[:, place], atol=1e-9)


def test_a_sample_grows_towards_what_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not all accelerators are looked at, widening around the best finds at least as good ones, and new ones."""
    monkeypatch.setattr(inners, "MOST_CHIPS", 8)
    judge = evaluator('["perplexity", "edp_js"]')
    inner = Inner(judge, "perplexity")
    assert not inner.exact
    assert len(inner.chosen) <= 8
    shapes = judge.space.sample(np.random.default_rng(1), 5)
    before = inner.best(shapes)
    for _ in range(4):
        best = inner.best(shapes)
        inner.widen(np.concatenate([inner.designs(*pair) for pair in zip(shapes, best, strict=True)]))
    after = inner.best(shapes)
    assert len(inner.chosen) > 8
    assert len({row.tobytes() for row in inner.chosen}) == len(inner.chosen)
    assert all(new.costs.min() <= old.costs.min() for new, old in zip(after, before, strict=True))
    whole = Inner.__new__(Inner)
    monkeypatch.setattr(inners, "MOST_CHIPS", 8192)
    whole.__init__(judge, "perplexity")  # type: ignore[misc]
    for new, truth in zip(after, whole.best(shapes), strict=True):
        assert new.costs.min() <= truth.costs.min() + 0.1
