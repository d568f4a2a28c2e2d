"""The default search: shapes outside, accelerators inside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codesign.accuracy.proxy import resolve
from codesign.bench.search_truth import whole_truth
from codesign.cost import technology
from codesign.design import ModelShape
from codesign.evaluation import Evaluator, make_evaluator
from codesign.front import dominated_volume
from codesign.optimize.asking import Problem
from codesign.optimize.bilevel import Bilevel
from codesign.space_file import read_space
from tests.optimize.spaces import space_of, tiny, tiny_text

LIMIT = "[limits]\nperplexity = { times_baseline = 1.1 }\n\n[baseline.model]"
GEMMINI = technology.read("gemmini_40nm").content


def lumpy(shape: ModelShape) -> dict[str, Any]:
    """A quality with steps and interactions that no smooth process fits exactly."""
    first = shape.ffn[:, 0, 0] + 40 * ((shape.ffn[:, 0, 0] * 7 + shape.heads[:, 0, 0] * 3) % 5)
    return {"perplexity": 20 + 4e5 / (shape.hidden * (first + shape.layers[:, 0] * 90))}


def judge(*changes: dict[str, str], proxy: Any = lumpy) -> Evaluator:
    """An evaluator of a changed `tiny`."""
    return make_evaluator(space_of(tiny_text(*changes)) if changes else tiny(), GEMMINI, resolve(proxy))


def searched(evaluator: Evaluator, shapes: int, count: int = 4, seed: int = 0) -> Bilevel:
    """A search that has measured at least so many shapes, or all."""
    algorithm = Bilevel(Problem(evaluator, "perplexity", 20, seed))
    while len(evaluator.proxy.answers) < shapes and len(genomes := algorithm.ask(count)):
        algorithm.tell(evaluator(genomes))
    return algorithm


@pytest.mark.parametrize("seed", [0, 1])
def test_the_exact_front_is_found_from_few_shapes(seed: int) -> None:
    """After a fifth of the 216 shapes of `tiny`, 0.99 of the exact front's hypervolume is found."""
    truth = whole_truth(judge())
    assert truth.shapes == 216
    found = searched(judge(), truth.shapes // 5, seed=seed).told.front
    assert dominated_volume(found, truth.reference) > 0.99 * truth.hypervolume


def test_it_ends_when_all_shapes_are_measured() -> None:
    """Asked on and on, it measures every shape once, finds the whole exact front, and then asks for nothing."""
    truth, evaluator = whole_truth(judge()), judge()
    algorithm = searched(evaluator, 10**6, count=64)
    assert len(evaluator.proxy.answers) == truth.shapes
    front = algorithm.told.front
    np.testing.assert_allclose(front[np.lexsort(front.T)], truth.front[np.lexsort(truth.front.T)], atol=1e-9)
    assert len(algorithm.known) < truth.designs / 10


@pytest.mark.parametrize(
    "changes",
    [
        {'["perplexity", "edp_js"]': '["perplexity", "energy_j", "area_mm2"]'},
        {'["perplexity", "edp_js"]': '["edp_js"]', "[baseline.model]": LIMIT},
        {'["perplexity", "edp_js"]': '["perplexity"]'},
    ],
    ids=["three", "cost under a limit of quality", "quality alone"],
)
def test_any_objectives(changes: dict[str, str]) -> None:
    """With three objectives, or one, a fifth of the shapes finds nearly all of what there is."""
    evaluator = judge(changes)
    algorithm = searched(evaluator, 44)
    genomes = evaluator.space.sample(np.random.default_rng(0), 3000)
    found = evaluator(genomes)
    points = found.objectives(evaluator.space.objectives)[found.feasible]
    reference = algorithm.told.reference
    assert reference is not None
    assert dominated_volume(algorithm.told.front, reference) >= 0.99 * dominated_volume(points, reference)


def test_limits_that_nothing_keeps_are_approached() -> None:
    """Where no shape is feasible, it asks for those nearest to the limits until all are measured, and ends."""
    tight = {"[baseline.model]": "[limits]\nperplexity = { max = 2.0 }\n\n[baseline.model]"}
    evaluator = judge(tight)
    algorithm = searched(evaluator, 10**6, count=40)
    assert not len(algorithm.told.front)
    assert len(evaluator.proxy.answers) == 216


def test_as_many_shapes_as_are_wanted() -> None:
    """However many are asked for at once, so many distinct new shapes come."""
    evaluator = make_evaluator(read_space("survey_lm").content, GEMMINI, resolve("surrogate"))
    algorithm = Bilevel(Problem(evaluator, "perplexity", 20, 0))
    algorithm.tell(evaluator(algorithm.ask(20)))
    before = set(algorithm.told.known)
    algorithm.tell(evaluator(algorithm.ask(600)))
    assert len(algorithm.told.known - before) == 600


def test_failed_shapes_are_not_asked_again() -> None:
    """A shape whose quality is unknown is left out of the fit and never asked for again."""
    evaluator = judge()
    algorithm = Bilevel(Problem(evaluator, "perplexity", 20, 0))
    first = evaluator(algorithm.ask(4))
    first.metrics["perplexity"][3:] = np.nan
    first.violation[3:] = 1.0
    algorithm.tell(first)
    asked = {genome.tobytes() for genome in first.genomes}
    for _ in range(5):
        genomes = algorithm.ask(4)
        assert not asked & {genome.tobytes() for genome in genomes}
        algorithm.tell(evaluator(genomes))


def test_warm_starts_are_paired() -> None:
    """Designs of earlier searches are asked for as they are, and on the accelerators that are best for their shapes."""
    evaluator = judge()
    given = evaluator.space.sample(np.random.default_rng(3), 5)
    problem = Problem(evaluator, "perplexity", 20, 0, first=tuple(map(tuple, given.tolist())))
    algorithm = Bilevel(problem)
    asked = algorithm.ask(4)
    np.testing.assert_array_equal(asked[0], evaluator.space.encode(evaluator.space.baseline)[0])
    np.testing.assert_array_equal(asked[1:6], given)
    paired = {genome.tobytes() for genome in asked}
    for shape, best in zip(given, algorithm.inner.best(given), strict=True):
        assert {design.tobytes() for design in algorithm.inner.designs(shape, best)} <= paired
