"""Evolution by mutation alone: the survey's, whose parents are the Pareto set, and regularised evolution."""

from __future__ import annotations

from collections import deque

import numpy as np

from codesign.design import FloatArray, IntArray
from codesign.evaluation import Evaluations
from codesign.front import non_dominated
from codesign.optimize.asking import Asking, Problem
from codesign.optimize.screening import ranked

MUTATION_RATE = 0.2
"""Of each gene, in the survey's evolution (Kim et al. 2023, Sec. 6.4.1)."""

SAMPLE_SHARE = 0.25
"""Of the population, among which a parent is the best: 25 of 100 (Real et al. 2019, Sec. 3)."""


class ParetoMutation(Asking):
    """The survey's evolution: the Pareto set of all that was told, refilled by mutants (Kim et al. 2023, Sec. 6.4.1).

    Each parent is drawn uniformly from the Pareto set, and each of its genes is redrawn with probability 0.2; there is
    no crossover. Sec. 6.4.1 runs 40 rounds with a population of 40. Where nothing is feasible yet, the parents are the
    designs that miss the limits by least.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._parents = self._none()
        self._values = np.zeros((0, len(self.space.objectives)))
        self._violation = np.inf

    def _learn(self, evaluations: Evaluations) -> None:
        least = min(self._violation, float(evaluations.violation.min()))
        kept = len(self._parents) if least == self._violation else 0
        best = evaluations.violation == least
        genomes = np.concatenate([self._parents[:kept], evaluations.genomes[best]])
        values = np.concatenate([self._values[:kept], self.objectives(evaluations)[best]])
        front = non_dominated(values) if least == 0 else np.ones(len(values), dtype=np.bool_)
        self._parents, self._values, self._violation = genomes[front], values[front], least

    def _propose(self, count: int, rng: np.random.Generator) -> IntArray:
        if self.warming_up or not len(self._parents):
            return self._none()
        parents = self._parents[rng.integers(len(self._parents), size=count)]
        redrawn = rng.integers(0, self.space.sizes, size=parents.shape)
        return np.where(rng.random(parents.shape) < MUTATION_RATE, redrawn, parents)


class Regularised(Asking):
    """Regularised (ageing) evolution (Real et al. 2019) with the Pareto rank for fitness.

    The population is the last designs told: the oldest die, however good. A parent is the best of a random quarter of
    it; its child differs in one gene. With several objectives the best is that of least non-dominated rank, then of
    largest crowding distance, within the sample: MO-REA, as Syne Tune's and HW-GPT-Bench's (Sukthanker et al. 2024)
    baseline of that name; limits come first (Deb et al. 2002).
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._living: deque[tuple[IntArray, FloatArray, float]] = deque(maxlen=problem.population)

    def _learn(self, evaluations: Evaluations) -> None:
        columns = evaluations.genomes, self.objectives(evaluations), evaluations.violation.tolist()
        self._living.extend(zip(*columns, strict=True))

    def _propose(self, count: int, rng: np.random.Generator) -> IntArray:
        varying = np.flatnonzero(self.space.sizes > 1)
        if self.warming_up or not len(varying):
            return self._none()
        children = np.stack([self._parent(rng) for _ in range(count)])
        column = rng.choice(varying, size=count)
        shift = rng.integers(1, self.space.sizes[column])  # to any other choice
        rows = np.arange(count)
        children[rows, column] = (children[rows, column] + shift) % self.space.sizes[column]
        return children

    def _parent(self, rng: np.random.Generator) -> IntArray:
        size = max(1, round(SAMPLE_SHARE * len(self._living)))
        sample = [self._living[row] for row in rng.choice(len(self._living), size=size, replace=False)]
        genomes, values, violation = (np.stack(column) for column in zip(*sample, strict=True))
        return np.array(genomes[ranked(values, violation, values[:0])[0]])
