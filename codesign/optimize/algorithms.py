"""Search algorithms by name; `asking` says what one is."""

from __future__ import annotations

from collections.abc import Callable

from codesign.errors import InputError, unknown_name
from codesign.optimize.ageing import ParetoMutation, Regularised
from codesign.optimize.asking import Algorithm as Algorithm
from codesign.optimize.asking import Choose as Choose
from codesign.optimize.asking import Problem as Problem
from codesign.optimize.bilevel import Bilevel
from codesign.optimize.evolution import age_moea2, nsga2, pymoo_mixed, sms_emoa
from codesign.optimize.optuna_samplers import optuna_gp, optuna_nsga2, optuna_tpe
from codesign.optimize.sampling import Random, Sobol
from codesign.space import SearchSpace

ALGORITHMS: dict[str, Callable[[Problem], Algorithm]] = {
    "bilevel": Bilevel,
    "nsga2": nsga2,
    "survey": ParetoMutation,
    "sms_emoa": sms_emoa,
    "age_moea2": age_moea2,
    "regularised": Regularised,
    "random": Random,
    "sobol": Sobol,
    "pymoo_mixed": pymoo_mixed,
    "optuna:nsga2": optuna_nsga2,
    "optuna:tpe": optuna_tpe,
    "optuna:gp": optuna_gp,
}

PYMOO = "pymoo:"
"""Before the name of a class."""

DESCRIBED = {f"{PYMOO}CLASS": "a genetic algorithm of pymoo by its class, such as NSGA3, with our operators"}

DEFAULT_ALGORITHM = "bilevel"

DEFAULT_POPULATION = 100

BUDGETS = {DEFAULT_ALGORITHM: 1_000}
"""Designs evaluated where the user does not say: fewer find more than 10,000 of the others do (docs/search.md)."""

DEFAULT_BUDGET = 10_000

POPULATIONS = {"survey": 40}
"""Of algorithms whose source names one (Kim et al. 2023, Sec. 6.4.1)."""


def default_population(name: str) -> int:
    """Return the population of an algorithm where the user names none."""
    return POPULATIONS.get(name, DEFAULT_POPULATION)


def default_budget(name: str) -> int:
    """Return how many designs are evaluated where the user does not say."""
    return BUDGETS.get(name, DEFAULT_BUDGET)


def default_batch(name: str, population: int) -> int | None:
    """Return how many designs are asked at once where the user does not say; None = as many as the algorithm likes."""
    return None if name == DEFAULT_ALGORITHM else population


def make_algorithm(name: str, problem: Problem) -> Algorithm:
    """Return the algorithm of this name, ready to be asked.

    Raises:
        InputError: an unknown name; the message lists the known ones. Or nothing varies in the space, a pymoo class
            that cannot search it, or Optuna is not installed.
    """
    check_varies(problem.space)
    if name.startswith(PYMOO):
        from codesign.optimize.pymoo_named import pymoo_named

        return pymoo_named(name.removeprefix(PYMOO), problem)
    if name not in ALGORITHMS:
        raise unknown_name("algorithm", name, ALGORITHMS | DESCRIBED)
    return ALGORITHMS[name](problem)


def check_varies(space: SearchSpace) -> None:
    """Refuse a space in which there is nothing to search.

    Raises:
        InputError: nothing varies.
    """
    if not space.genes:
        raise InputError(f"search space {space.name}: nothing varies; one design is costed with codesign estimate")
