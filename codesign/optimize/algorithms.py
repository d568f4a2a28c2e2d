"""Search algorithms behind one ask/tell: genomes out, objectives and violations in. Lower is better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination

from codesign.design import FloatArray, IntArray
from codesign.errors import InputError, unknown_name
from codesign.optimize.operators import (
    BaselineAndRandom,
    CanonicalForm,
    NeverAskedBefore,
    PairCrossover,
    StepOrReset,
)
from codesign.optimize.screening import CANDIDATES
from codesign.space import SearchSpace

Choose = Callable[[IntArray, int], IntArray]
"""(n, genes) candidates and how many are wanted -> the positions of the chosen ones."""


class Algorithm(Protocol):
    """Proposes designs and learns from their evaluations. Deterministic in its seed and in what it is told."""

    def ask(self, choose: Choose | None = None) -> IntArray:
        """Return (k, genes) canonical genomes never asked before; k = 0 if it finds none.

        Args:
            choose: given CANDIDATES times as many designs as are wanted, picks those that are asked for.
        """

    def tell(self, objectives: FloatArray, violation: FloatArray) -> None:
        """Take the evaluations of the genomes just asked: (k, objectives) and (k,), 0 = feasible."""


class PymooAlgorithm:
    """A generational pymoo algorithm on integer genomes."""

    def __init__(self, algorithm: Any, space: SearchSpace, duplicates: NeverAskedBefore, seed: int) -> None:
        self._algorithm, self._space, self._duplicates = algorithm, space, duplicates
        problem = Problem(
            n_var=len(space.genes),
            n_obj=len(space.objectives),
            n_ieq_constr=1,
            xl=0,
            xu=space.sizes - 1,
            vtype=int,
        )
        algorithm.setup(problem, termination=NoTermination(), seed=seed)
        algorithm.mating.n_max_iterations = MATINGS
        self._asked: Any = None

    def ask(self, choose: Choose | None = None) -> IntArray:
        """See `Algorithm.ask`. Where mating finds too few new designs, the rest is drawn from the whole space."""
        wanted = self._algorithm.pop_size
        self._algorithm.n_offsprings = wanted * (CANDIDATES if choose else 1)
        bred = self._algorithm.ask()
        bred = Population.create() if bred is None else bred
        taken = [np.asarray(individual.X, dtype=np.int64) for individual in bred]
        drawn = self._unseen(taken, wanted - len(taken))
        self._asked = Population.merge(bred, Population.new("X", drawn))
        if not len(self._asked):
            return drawn
        if choose and len(self._asked) > wanted:
            self._asked = self._asked[choose(np.asarray(self._asked.get("X"), dtype=np.int64), wanted)]
        self._duplicates.remember(self._asked)
        return np.asarray(self._asked.get("X"), dtype=np.int64)

    def tell(self, objectives: FloatArray, violation: FloatArray) -> None:
        """See `Algorithm.tell`. An unknown objective counts as the worst, which a violation then outweighs."""
        known = np.nan_to_num(objectives, nan=_WORST, posinf=_WORST)
        self._asked.set("F", known)
        self._asked.set("G", violation[:, None])
        for individual in self._asked:
            individual.evaluated.update({"F", "G"})
        self._algorithm.tell(infills=self._asked)

    def _unseen(self, taken: list[IntArray], wanted: int) -> IntArray:
        """Draw designs that were never asked for, at random; where a small space runs out, from all that are left."""
        found: list[IntArray] = []
        if wanted > 0:
            rng = self._algorithm.random_state
            known = self._duplicates.asked | {genome.tobytes() for genome in taken}
            for draw in (
                lambda: self._space.sample(rng, DRAWS * wanted),
                lambda: rng.permutation(self._space.enumerate()),
            ):
                for genome in draw() if len(found) < wanted else ():
                    if len(found) < wanted and genome.tobytes() not in known:
                        known.add(genome.tobytes())
                        found.append(genome)
        return np.array(found, dtype=np.int64).reshape(len(found), len(self._space.genes))


MATINGS = 10
"""Times that pymoo breeds to fill a generation with new designs, before the rest is drawn at random."""

DRAWS = 20
"""Random designs drawn for each one wanted, before a small space is enumerated."""

_WORST = 1e9


def nsga2(space: SearchSpace, population: int, seed: int) -> Algorithm:
    """NSGA-II (Deb et al. 2002) with feasible-first ranking, accelerator exchange, and 1/N mutation."""
    duplicates = NeverAskedBefore()
    algorithm = NSGA2(
        pop_size=population,
        sampling=BaselineAndRandom(space),
        crossover=PairCrossover(space),
        mutation=StepOrReset(space),
        repair=CanonicalForm(space),
        eliminate_duplicates=duplicates,
    )
    return PymooAlgorithm(algorithm, space, duplicates, seed)


ALGORITHMS: dict[str, Callable[[SearchSpace, int, int], Algorithm]] = {"nsga2": nsga2}


def make_algorithm(name: str, space: SearchSpace, population: int, seed: int) -> Algorithm:
    """Return the algorithm of this name, ready to be asked.

    Raises:
        InputError: an unknown name; the message lists the known ones. Or nothing varies in the space.
    """
    if name not in ALGORITHMS:
        raise unknown_name("algorithm", name, ALGORITHMS)
    if not space.genes:
        raise InputError(f"search space {space.name}: nothing varies; one design is costed with codesign estimate")
    return ALGORITHMS[name](space, population, seed)
