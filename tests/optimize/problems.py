"""Problems for search algorithms whose objectives are made from the genome alone."""

from __future__ import annotations

from functools import cache

import numpy as np

from codesign.accuracy.proxy import resolve
from codesign.cost import technology
from codesign.design import FloatArray, IntArray
from codesign.evaluation import Evaluations, Evaluator, make_evaluator, no_failures
from codesign.optimize.algorithms import Algorithm, Problem
from codesign.space import SearchSpace
from tests.optimize.spaces import conflicting, space_of, tiny, tiny_text

OBJECTIVES = {1: ["edp_js"], 2: ["perplexity", "edp_js"], 3: ["perplexity", "energy_j", "delay_s"]}


@cache
def of_objectives(count: int) -> SearchSpace:
    """`tiny` with so many objectives."""
    if count == 2:
        return tiny()
    return space_of(tiny_text({'objectives = ["perplexity", "edp_js"]': f"objectives = {OBJECTIVES[count]}"}))


def problem(space: SearchSpace, population: int, seed: int = 0, **options: tuple[tuple[int, ...], ...]) -> Problem:
    """What an algorithm is made for: a space under the unit cost model."""
    return Problem(evaluator(space), "perplexity", population, seed, **options)


def evaluator(space: SearchSpace) -> Evaluator:
    """A real evaluator of a space, which the algorithms here hardly ask."""
    return make_evaluator(space, technology.read("unit").content, resolve("surrogate"))


def judged(genomes: IntArray, space: SearchSpace, violation: FloatArray | None = None) -> Evaluations:
    """Evaluations whose objectives are conflicting shares of the genome, all feasible unless `violation` says else."""
    values = np.exp(conflicting(genomes, space))
    names = space.objectives
    return Evaluations(
        genomes=genomes,
        metrics={"perplexity": values[:, 0]}
        | {name: values[:, column % 2] * (1 + column) for column, name in enumerate(names)},
        log_standard_error=np.full(len(genomes), np.nan),
        extrapolated=np.zeros(len(genomes), dtype=np.bool_),
        violation=np.zeros(len(genomes)) if violation is None else violation,
        failure=no_failures(len(genomes)),
    )


def searched(algorithm: Algorithm, space: SearchSpace, batches: int, count: int) -> list[Evaluations]:
    """What an algorithm is told, batch by batch, until it finds nothing new; the last one is empty then."""
    found = []
    for _ in range(batches):
        found.append(judged(algorithm.ask(count), space))
        if not len(found[-1]):
            break
        algorithm.tell(found[-1])
    return found
