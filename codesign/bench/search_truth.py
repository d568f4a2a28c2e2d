"""What a search can find at best: the exact front of a small space, the best known one of a large one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codesign.accuracy.proxy import Proxy
from codesign.cost import technology as technologies
from codesign.cost.prepare import Fidelity
from codesign.design import FloatArray, IntArray
from codesign.errors import InputError
from codesign.evaluation import Evaluator, make_evaluator
from codesign.front import REFERENCE_FACTOR, dominated_volume, non_dominated
from codesign.optimize.inner import Inner
from codesign.space import MOST_ENUMERATED, SearchSpace
from codesign.space_file import read_space


@dataclass(frozen=True)
class Truth:
    """What a search of the space can find at best."""

    space: SearchSpace
    quality: str
    """The metric that is no cost."""
    shapes: int
    """Distinct shapes of the space; 0 = not counted."""
    designs: int
    """Distinct designs of the space."""
    front: FloatArray  # (f, objectives) natural logarithms
    reference: FloatArray  # (objectives,) from which hypervolumes are measured
    exact: bool = True
    """Whether no design is missing; else the front is the best that anybody found."""

    @property
    def hypervolume(self) -> float:
        """Of the front."""
        return dominated_volume(self.front, self.reference)


def whole_truth(evaluator: Evaluator) -> Truth:
    """Enumerate a space: measure every shape, and find the accelerators on which each costs least.

    No design is left out: for each shape all accelerators are looked at (`optimize.inner`), where bounds that hold for
    every mapping leave a chance.

    Raises:
        InputError: too many shapes, or more accelerators than are all looked at.
    """
    space = evaluator.space
    shapes = all_shapes(space)
    quality = evaluator.proxy.predict(space.baseline.shape).metric
    inner = Inner(evaluator, quality)
    if not inner.exact:
        raise InputError(f"search space {space.name}: too many accelerators to look at all")
    answers = evaluator.proxy.predict(space.decode(shapes).shape).value
    worst = evaluator.limits.get(quality, np.inf)
    points = [
        np.insert(best.costs, space.objectives.index(quality), np.log(value), axis=1)
        for value, best in zip(answers.tolist(), inner.best(shapes), strict=True)
        if best.excess == 0 and value <= worst
    ]
    found = np.concatenate([np.zeros((0, len(space.objectives))), *points])
    front = found[non_dominated(found)]
    reference = baseline_point(evaluator) + np.log(REFERENCE_FACTOR)
    return Truth(space, quality, len(shapes), space.size(), front, reference)


def best_known(evaluator: Evaluator, fronts: Sequence[FloatArray]) -> Truth:
    """Return what all searches of a space together found; it is too large to enumerate."""
    space = evaluator.space
    found = np.concatenate([np.zeros((0, len(space.objectives))), *fronts])
    return Truth(
        space=space,
        quality=evaluator.proxy.metric[0],
        shapes=0,
        designs=space.size(),
        front=found[non_dominated(found)],
        reference=baseline_point(evaluator) + np.log(REFERENCE_FACTOR),
        exact=False,
    )


def baseline_point(evaluator: Evaluator) -> FloatArray:
    """(objectives,) logarithms of what the baseline has."""
    space = evaluator.space
    return np.asarray(evaluator(space.encode(space.baseline)).objectives(space.objectives)[0])


def all_shapes(space: SearchSpace) -> IntArray:
    """(s, genes) canonical genomes of all shapes, accelerator genes 0.

    Raises:
        InputError: there are too many settings of the genes to look through.
    """
    shapes = space.enumerate_shapes()
    if not len(shapes):
        raise InputError(
            f"search space {space.name}: expected at most {MOST_ENUMERATED:,} settings of the model's genes to "
            "enumerate; a smaller part of it can be enumerated (see `codesign show sotu_grid`)"
        )
    return shapes


def evaluator_of(space: str, cost_model: str, proxy: Proxy, fidelity: Fidelity = "ideal") -> Evaluator:
    """Return a fresh evaluator, which has measured the baseline only."""
    return make_evaluator(read_space(space).content, technologies.read(cost_model).content, proxy, fidelity)
