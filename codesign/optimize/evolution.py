"""pymoo's genetic algorithms, driven design by design: what they ask and learn is theirs, everything else is ours."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from pymoo.algorithms.moo.age2 import AGEMOEA2
from pymoo.algorithms.moo.nsga2 import NSGA2, RankAndCrowdingSurvival
from pymoo.algorithms.moo.sms import SMSEMOA
from pymoo.core.duplicate import NoDuplicateElimination
from pymoo.core.mixed import MixedVariableGA
from pymoo.core.population import Population
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.termination import NoTermination
from pymoo.core.variable import Choice

from codesign.design import IntArray
from codesign.evaluation import Evaluations, joined
from codesign.optimize.asking import Asking, Problem
from codesign.optimize.operators import BaselineAndRandom, CanonicalForm, PairCrossover, StepOrReset
from codesign.space import SearchSpace


class Evolution(Asking):
    """A pymoo algorithm. Once the initial sample is told, its survivors are the parents of what is asked.

    Randomness is given to the algorithm anew before each step, so that its state is a function of what it was told.
    """

    least_objectives = 1
    """An algorithm that works on several only is told a single one as often as it needs, which ranks the same."""

    def __init__(self, problem: Problem, algorithm: Any, generation: int = 1, termination: Any = None) -> None:
        """Begin.

        Args:
            problem: what is searched.
            algorithm: of pymoo, not set up.
            generation: designs that it has to be told at once; more wait for their generation to be full.
            termination: what the algorithm takes for its end, where its behaviour depends on it.
        """
        super().__init__(problem)
        self._algorithm, self._generation = algorithm, generation
        # An algorithm's survival may be the default argument of its class, shared by all of its objects.
        algorithm.survival = copy.deepcopy(algorithm.survival)
        algorithm.setup(self._described(), termination=termination or NoTermination(), seed=problem.seed)
        algorithm.start_time = 0.0  # pymoo takes it when it is asked first, and misses it where it thinks that it ends
        algorithm.mating.n_max_iterations = 1  # `Asking` asks again where too few designs are new
        self._waiting: list[Evaluations] = []

    def _described(self) -> PymooProblem:
        genes = len(self.space.genes)
        objectives = max(len(self.space.objectives), self.least_objectives)
        return PymooProblem(n_var=genes, n_obj=objectives, n_ieq_constr=1, xl=0, xu=self.space.sizes - 1, vtype=int)

    def _learn(self, evaluations: Evaluations) -> None:
        self._waiting.append(evaluations)
        if self.warming_up:
            return
        waiting, size = joined(self._waiting), self._generation
        whole = len(waiting) if size == 1 else len(waiting) // size * size
        for start in range(0, whole, whole if size == 1 else size):
            end = whole if size == 1 else start + size
            self._advance(waiting.take(slice(start, end)), self.told - len(waiting) + end)
        self._waiting = [waiting.take(slice(whole, None))]

    def _advance(self, evaluations: Evaluations, told: int) -> None:
        genomes, violation = self._to_pymoo(evaluations.genomes), evaluations.violation[:, None]
        values = self.objectives(evaluations)
        if values.shape[1] < self.least_objectives:
            values = np.repeat(values, self.least_objectives, axis=1)
        population = Population.new("X", genomes, "F", values, "G", violation)
        for individual in population:
            individual.evaluated.update({"F", "G"})
        self._algorithm.random_state = self.generator(told, LEARNING)
        self._algorithm.tell(infills=population)

    def _propose(self, count: int, rng: np.random.Generator) -> IntArray:
        if not self._algorithm.is_initialized:
            return self._none()
        self._algorithm.random_state, self._algorithm.n_offsprings = rng, count
        bred = self._algorithm.ask()
        if bred is None or not len(bred):
            return self._none()
        return self._from_pymoo(bred.get("X"))

    def _to_pymoo(self, genomes: IntArray) -> Any:
        return genomes

    def _from_pymoo(self, found: Any) -> IntArray:
        return np.asarray(found, dtype=np.int64)


LEARNING = 1
"""Tells the randomness of learning from that of asking."""


class OfSeveral(Evolution):
    """An algorithm for two objectives and more."""

    least_objectives = 2


class Mixed(Evolution):
    """The same with a variable of pymoo's type `Choice` for each gene, as its mixed-variable algorithms want it."""

    def _described(self) -> PymooProblem:
        variables = {gene.name: Choice(options=list(range(len(gene.values)))) for gene in self.space.genes}
        return PymooProblem(vars=variables, n_obj=len(self.space.objectives), n_ieq_constr=1)

    def _to_pymoo(self, genomes: IntArray) -> Any:
        names = [gene.name for gene in self.space.genes]
        rows = np.empty(len(genomes), dtype=np.object_)
        rows[:] = [dict(zip(names, genome, strict=True)) for genome in genomes.tolist()]
        return rows

    def _from_pymoo(self, found: Any) -> IntArray:
        return np.array([[row[gene.name] for gene in self.space.genes] for row in found], dtype=np.int64)


def operators(space: SearchSpace) -> dict[str, Any]:
    """Return our variation of genomes as arguments of a pymoo algorithm; `Asking` drops what was asked before."""
    return {
        "sampling": BaselineAndRandom(space),
        "crossover": PairCrossover(space),
        "mutation": StepOrReset(space),
        "repair": CanonicalForm(space),
        "eliminate_duplicates": NoDuplicateElimination(),
    }


def nsga2(problem: Problem) -> Evolution:
    """NSGA-II (Deb et al. 2002) with feasible-first ranking, accelerator exchange, and 1/N mutation."""
    return Evolution(problem, NSGA2(pop_size=problem.population, **operators(problem.space)))


def sms_emoa(problem: Problem) -> Evolution:
    """SMS-EMOA (Beume et al. 2007): of the worst front, what adds least hypervolume dies; our operators."""
    return OfSeveral(problem, SMSEMOA(pop_size=problem.population, **operators(problem.space)))


def age_moea2(problem: Problem) -> Evolution:
    """AGE-MOEA-II (Panichella 2022): survival by proximity and spread in the front's own geometry; our operators."""
    return OfSeveral(problem, AGEMOEA2(pop_size=problem.population, **operators(problem.space)))


def pymoo_mixed(problem: Problem) -> Mixed:
    """The documented mixed-variable NSGA-II of pymoo, all defaults, a Choice a gene: what its users would run."""
    algorithm = MixedVariableGA(pop_size=problem.population, survival=RankAndCrowdingSurvival())
    return Mixed(problem, algorithm, generation=problem.population)
