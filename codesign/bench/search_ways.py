"""Ways to search that are compared: algorithms by name, the two sequential ways of working, and two controls.

All are counted alike: what costs is measuring a shape that was not measured before, on whatever accelerator. The
controls have our exact accelerators for each shape and nothing else of ours: they tell what the choice of shapes adds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from codesign.accuracy.proxy import Proxy
from codesign.design import FloatArray, IntArray
from codesign.evaluation import Evaluator, make_evaluator
from codesign.front import non_dominated
from codesign.optimize.algorithms import Problem, make_algorithm
from codesign.optimize.bilevel import own_batch
from codesign.optimize.inner import Inner
from codesign.space import SearchSpace

OURS = "bilevel"

BASELINES = ("random", "sobol", "pymoo_mixed", "optuna:nsga2", "optuna:tpe", "survey", "regularised")
"""What people would otherwise use."""

POPULATION = 40
"""Of all evolutionary algorithms: with the default of 100, a budget of some hundred shapes is few generations."""

BATCHES = {"optuna:tpe": 1}
"""Designs asked at once where not POPULATION: TPE learns from each trial before it proposes the next."""

MOST_DESIGNS = 3
"""Designs for each shape of the budget, after which a search is stopped that has measured nothing new in them."""


@dataclass(frozen=True)
class Trace:
    """What one search found, in order."""

    measured: IntArray  # (n,) distinct shapes measured by then, the baseline's included
    points: FloatArray  # (n, objectives) logarithms of feasible designs

    def used(self, budget: int) -> int:
        """Return how many shapes of a budget were measured by the last feasible design that it allowed."""
        return int(self.measured[self.measured <= budget].max(initial=0))

    def front(self, budget: int) -> FloatArray:
        """(f, objectives) the front after so many measured shapes."""
        points = self.points[self.measured <= budget]
        return points[non_dominated(points)] if len(points) else points


Way = Callable[[Evaluator, str, int, int], Trace]
"""(a fresh evaluator, the quality metric, seed, shapes to measure) -> what was found."""


def by_algorithm(name: str, evaluator: Evaluator, quality: str, seed: int, budget: int) -> Trace:
    """Search with an algorithm until so many shapes are measured."""
    space = evaluator.space
    population = min(POPULATION, budget)
    algorithm = make_algorithm(name, Problem(evaluator, quality, population, seed))
    counts, points, since_new = [], [], 0
    while len(evaluator.proxy.answers) < budget and since_new < MOST_DESIGNS * budget:
        genomes = algorithm.ask(batch_of(name, population, len(evaluator.proxy.answers)))
        if not len(genomes):
            break
        count = counted(evaluator, genomes)
        since_new = 0 if count[-1] > len(evaluator.proxy.answers) else since_new + len(genomes)
        found = evaluator(genomes)
        algorithm.tell(found)
        counts.append(count[found.feasible])
        points.append(found.objectives(space.objectives)[found.feasible])
    return Trace(np.concatenate(counts), np.concatenate(points))


def batch_of(name: str, population: int, measured: int) -> int:
    """Return how many designs are asked at once."""
    return BATCHES.get(name, own_batch(measured) if name == OURS else population)


def counted(evaluator: Evaluator, genomes: IntArray) -> IntArray:
    """(n,) how many shapes will be measured once each of n designs has been evaluated, in their order."""
    shape = evaluator.space.decode(genomes).shape
    unknown = np.isnan(evaluator.proxy.recall(shape))
    first = np.zeros(len(genomes), dtype=np.bool_)
    first[evaluator.proxy.first_rows(shape)] = True
    return np.asarray(len(evaluator.proxy.answers) + np.cumsum(unknown & first), dtype=np.int64)


def network_first(evaluator: Evaluator, quality: str, seed: int, budget: int) -> Trace:
    """Search the best networks by quality and MACs, then the best accelerators for them.

    The first half uses the same algorithm as ours, on the baseline's accelerator; after each batch the networks on the
    front of quality and MACs get the accelerators on which they cost least, which measures nothing.
    """
    space = evaluator.space
    networks = replace(_on_one_chip(space, space.encode(space.baseline)[0]), objectives=(quality, "macs"), limits={})
    first = make_evaluator(networks, evaluator.technology, evaluator.proxy, evaluator.fidelity)
    inner = Inner(evaluator, quality)
    algorithm = make_algorithm(OURS, Problem(first, quality, min(POPULATION, budget), seed))
    counts, points = [], []
    told = np.zeros((0, len(space.genes)), dtype=np.int64)
    objectives = np.zeros((0, 2))
    while len(first.proxy.answers) < budget and len(genomes := algorithm.ask(own_batch(len(first.proxy.answers)))):
        count = counted(first, genomes)
        found = first(genomes)
        algorithm.tell(found)
        told = np.concatenate([told, _whole(space, genomes)])
        objectives = np.concatenate([objectives, found.objectives(networks.objectives)])
        for row, measured in enumerate(count, len(told) - len(genomes)):  # what is known after each network counts
            best = told[: row + 1][non_dominated(objectives[: row + 1])]
            pairs = [inner.designs(*pair) for pair in zip(best, inner.best(best), strict=True)]
            paired = evaluator(np.concatenate(pairs))
            points.append(paired.objectives(space.objectives)[paired.feasible])
            counts.append(np.full(len(points[-1]), measured))
    return Trace(np.concatenate(counts), np.concatenate(points))


def hardware_first(evaluator: Evaluator, quality: str, seed: int, budget: int) -> Trace:
    """Find the accelerator on which the baseline's network costs least, then search networks for it.

    The second half uses the same algorithm as ours. Of several costs, the first objective that is one counts.
    """
    space = evaluator.space
    baseline = space.encode(space.baseline)
    inner = Inner(evaluator, quality)
    best = inner.best(baseline)[0]
    chip = inner.designs(baseline[0], best)[int(best.costs[:, 0].argmin())]
    fixed = replace(evaluator, space=_on_one_chip(space, chip))
    return by_algorithm(OURS, fixed, quality, seed, budget)


def shapes_by(name: str) -> Way:
    """Return the way that lets another algorithm search shapes, each on the accelerators on which it costs least."""

    def way(evaluator: Evaluator, quality: str, seed: int, budget: int) -> Trace:
        space, inner = evaluator.space, Inner(evaluator, quality)
        networks = _on_one_chip(space, space.encode(space.baseline)[0])
        first = make_evaluator(networks, evaluator.technology, evaluator.proxy, evaluator.fidelity)
        population = min(POPULATION, budget)
        algorithm = make_algorithm(name, Problem(first, quality, population, seed))
        counts, points = [], []
        while len(evaluator.proxy.answers) < budget and len(genomes := algorithm.ask(population)):
            shapes = _whole(space, genomes)
            count, best = counted(evaluator, shapes), inner.best(shapes)
            found = evaluator(np.concatenate([inner.designs(*pair) for pair in zip(shapes, best, strict=True)]))
            # Of several costs, the algorithm is told the design that has the least of the first one.
            starts = np.cumsum([0, *(len(one.chips) for one in best[:-1])])
            rows = starts + [int(one.costs[:, 0].argmin()) for one in best]
            algorithm.tell(replace(found.take(rows), genomes=genomes))
            points.append(found.objectives(space.objectives)[found.feasible])
            counts.append(np.repeat(count, [len(one.chips) for one in best])[found.feasible])
        return Trace(np.concatenate(counts), np.concatenate(points))

    return way


def _whole(space: SearchSpace, networks: IntArray) -> IntArray:
    """Return genomes of the space, with the genes of networks and an accelerator of zeros."""
    genomes = np.zeros((len(networks), len(space.genes)), dtype=np.int64)
    genomes[:, [not gene.on_accelerator for gene in space.genes]] = networks
    return genomes


def _on_one_chip(space: SearchSpace, design: IntArray) -> SearchSpace:
    """Return the space with the accelerator of one design."""
    chip = {gene.field: gene.values[design[place]] for place, gene in enumerate(space.genes) if gene.on_accelerator}
    genes = tuple(gene for gene in space.genes if not gene.on_accelerator)
    baseline = replace(space.baseline, accelerator=space.decode(design[None]).accelerator)
    return replace(space, genes=genes, fixed={**space.fixed, **chip}, baseline=baseline)


SEQUENTIAL: dict[str, Way] = {"network_first": network_first, "hardware_first": hardware_first}

CONTROLS: dict[str, Way] = {"random_shapes": shapes_by("random"), "nsga2_shapes": shapes_by("nsga2")}


def search(way: str, evaluator: Evaluator, quality: str, seed: int, budget: int) -> Trace:
    """Search in one of the ways: a sequential one, a control, or an algorithm by name."""
    own = (SEQUENTIAL | CONTROLS).get(way)
    return own(evaluator, quality, seed, budget) if own else by_algorithm(way, evaluator, quality, seed, budget)


def fresh(proxy: Proxy, like: Evaluator) -> Evaluator:
    """Return an evaluator of the same space that has measured nothing but the baseline."""
    return make_evaluator(like.space, like.technology, proxy, like.fidelity)
