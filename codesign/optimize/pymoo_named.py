"""Any genetic algorithm of pymoo by the name of its class, on our genomes and with our operators."""

from __future__ import annotations

import inspect
import math
import pkgutil
from importlib import import_module
from typing import Any

import numpy as np
from pymoo.algorithms import moo
from pymoo.algorithms.base.genetic import GeneticAlgorithm
from pymoo.algorithms.moo.ctaea import CTAEA
from pymoo.algorithms.moo.nsde import NSDE
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.algorithm import Algorithm as PymooAlgorithm
from pymoo.core.algorithm import LoopwiseAlgorithm
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.termination.max_gen import MaximumGenerationTermination
from pymoo.util.ref_dirs import get_reference_directions

from codesign.errors import InputError, unknown_name
from codesign.optimize.asking import Problem
from codesign.optimize.evolution import Evolution, operators

HORIZON = 100
"""Generations over which RVEA shifts from convergence to spread: a search does not know how long it will be."""

ELSEWHERE = {"PINSGA2": "it asks a person which designs to prefer"}
"""Why algorithms that could be set up still cannot search."""

UNSEEDED = ("comp_by_cv_then_random", "comp_by_rank_and_ref_line_dist", "comp_by_cv_dom_then_random")
"""pymoo's comparisons that draw, between infeasible designs, from a generator of their own (pymoo issue 794)."""


def pymoo_named(name: str, problem: Problem) -> Evolution:
    """Return the pymoo algorithm whose class has this name.

    It is told whole generations, as pymoo's algorithms expect; designs that were told wait until theirs is full.

    Raises:
        InputError: no such class, or one that does not work on choices by ask and tell; says why.
    """
    found = _class(name)
    if issubclass(found, LoopwiseAlgorithm):
        raise _refused(name, "it evaluates one design after the other in a loop of its own, not by ask and tell")
    if not issubclass(found, GeneticAlgorithm) or issubclass(found, NSDE):
        raise _refused(name, "it moves points through real numbers; genes are choices")
    arguments = operators(problem.space) | _required(name, found, problem)
    if name in ELSEWHERE:
        raise _refused(name, ELSEWHERE[name])
    if not issubclass(found, CTAEA):
        arguments["pop_size"] = problem.population
    try:
        algorithm = found(**arguments)
        _seed_selection(algorithm)
        end = MaximumGenerationTermination(HORIZON) if name == "RVEA" else None
        return Horizon(problem, algorithm, algorithm.pop_size, end)
    except Exception as error:  # pymoo raises plain exceptions, IndexErrors and assertions
        raise _refused(name, f"it cannot be set up for {len(problem.space.objectives)} objectives: {error}") from error


class Horizon(Evolution):
    """An algorithm whose generations stop counting at HORIZON."""

    def _advance(self, *arguments: Any) -> None:
        super()._advance(*arguments)
        self._algorithm.n_iter = min(self._algorithm.n_iter, HORIZON)


def _class(name: str) -> type:
    """Return an algorithm's class by name."""
    known: dict[str, type] = {"GA": GA}
    for module in pkgutil.iter_modules(moo.__path__):
        try:
            content = vars(import_module(f"{moo.__name__}.{module.name}"))
        except ModuleNotFoundError:  # a few need packages that pymoo does not ask for
            continue
        known |= {key: value for key, value in content.items() if _is_algorithm(value)}
    if name not in known:
        raise unknown_name("pymoo algorithm", name, known)
    return known[name]


def _is_algorithm(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, PymooAlgorithm) and value.__module__.startswith(moo.__name__)


def _required(name: str, found: type, problem: Problem) -> dict[str, Any]:
    """Return what a class wants to be given: reference directions can be made, other things are the user's."""
    if found is GA and len(problem.space.objectives) > 1:
        raise _refused(name, f"it has one objective, this search {len(problem.space.objectives)}")
    parameters = inspect.signature(found).parameters.values()
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    wanted = {p.name for p in parameters if p.default is inspect.Parameter.empty and p.kind not in kinds}
    if unknown := sorted(wanted - {"ref_dirs"}):
        raise _refused(name, f"it needs {', '.join(unknown)}, which nobody here can choose")
    return {"ref_dirs": directions(len(problem.space.objectives), problem.population)} if wanted else {}


def directions(objectives: int, most: int) -> Any:
    """(k, objectives) the most Das-Dennis reference directions (Das and Dennis 1998) that are no more than `most`."""
    if objectives == 1:
        return np.ones((1, 1))
    parts = 1
    while math.comb(parts + objectives, objectives - 1) <= most:
        parts += 1
    return get_reference_directions("das-dennis", objectives, n_partitions=parts)


def _seed_selection(algorithm: Any) -> None:
    """Let selection draw from the algorithm's generator where pymoo's would from one of its own."""
    selection = algorithm.mating.selection
    compare = getattr(selection, "func_comp", None)
    if isinstance(selection, TournamentSelection) and getattr(compare, "__name__", "") in UNSEEDED:
        algorithm.mating.selection = type(selection)(func_comp=_SeededComparison(compare))


class _SeededComparison:
    """A comparison whose ties between infeasible designs are settled by the generator that selection hands over."""

    def __init__(self, feasible: Any) -> None:
        self.feasible = feasible

    def __call__(self, pop: Any, pairs: Any, random_state: Any = None, **kwargs: Any) -> Any:
        excess = np.asarray([individual.CV[0] for individual in pop])[pairs]
        drawn = pairs[np.arange(len(pairs)), random_state.integers(0, 2, len(pairs))]
        lower = np.where(excess[:, 0] < excess[:, 1], pairs[:, 0], pairs[:, 1])
        winners = np.where(excess[:, 0] == excess[:, 1], drawn, lower)
        both = np.flatnonzero(~(excess > 0).any(axis=1))
        if len(both):
            winners[both] = self.feasible(pop, pairs[both], random_state=random_state, **kwargs)[:, 0]
        return winners[:, None]


def _refused(name: str, why: str) -> InputError:
    return InputError(f"pymoo:{name} cannot search: {why}; for example pymoo:NSGA3 and pymoo:SPEA2 can")
