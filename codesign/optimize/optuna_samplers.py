"""Optuna's samplers (Akiba et al. 2019) as search algorithms: one study in memory, a gene a parameter.

A sampler is made anew, with a seed of its own, each time designs are asked for. The trials of an ask are failed at its
end and what is told enters as finished trials, so the study is a function of what was told alone.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign.design import IntArray
from codesign.errors import InputError
from codesign.evaluation import Evaluations
from codesign.optimize.asking import Asking, Problem

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler, NSGAIISampler


class OptunaSearch(Asking):
    """A sampler of Optuna. Constraints are told through its own interface; unordered genes are categorical."""

    attempts = 4  # a sampler takes many times as long as it takes to see that a design is known

    def __init__(self, problem: Problem, initial: int | None = None) -> None:
        super().__init__(problem, initial)
        self._optuna = optuna = _imported()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(directions=["minimize"] * len(self.space.objectives))
        self._distributions = {
            gene.name: (
                optuna.distributions.IntDistribution(0, len(gene.values) - 1)
                if gene.ordered
                else optuna.distributions.CategoricalDistribution(list(range(len(gene.values))))
            )
            for gene in self.space.genes
        }

    @abstractmethod
    def _sampler(self, seed: int) -> BaseSampler:
        """Return the sampler, new."""

    def _attributes(self, count: int) -> list[dict[str, Any]]:
        """Return what a sampler keeps with each of `count` trials that are told now."""
        return [{} for _ in range(count)]

    def _learn(self, evaluations: Evaluations) -> None:
        values, attributes = self.objectives(evaluations).tolist(), self._attributes(len(evaluations))
        names = [gene.name for gene in self.space.genes]
        for row, genome in enumerate(evaluations.genomes.tolist()):
            trial = self._optuna.trial.create_trial(
                params=dict(zip(names, genome, strict=True)),
                distributions=self._distributions,
                values=values[row],
                system_attrs=attributes[row],
                constraints={"limits": float(evaluations.violation[row])},
            )
            self._study.add_trial(trial)

    def _propose(self, count: int, rng: np.random.Generator) -> IntArray:
        self._study.sampler = self._sampler(int(rng.integers(2**31)))
        trials = [self._study.ask(self._distributions) for _ in range(count)]
        for trial in trials:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        return np.array([[trial.params[gene.name] for gene in self.space.genes] for trial in trials], dtype=np.int64)


class OptunaNSGA2(OptunaSearch):
    """NSGAIISampler, whose generation is kept with each trial as the sampler itself would have."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._generation, self._members, self._selected = 0, 0, 0

    def _attributes(self, count: int) -> list[dict[str, Any]]:
        """See `OptunaSearch`. A generation that has as many members as the population is followed by the next."""
        if self._members >= self.problem.population:
            self._generation, self._members = self._generation + 1, 0
        self._members += count
        # The sampler has no public name for what it keeps.
        key = self._optuna.samplers.NSGAIISampler._get_generation_key()
        return [{key: self._generation} for _ in range(count)]

    def _sampler(self, seed: int) -> BaseSampler:
        sampler: NSGAIISampler = self._optuna.samplers.NSGAIISampler(population_size=self.problem.population, seed=seed)
        now = self._generation + (self._members >= self.problem.population)
        for generation in range(self._selected + 1, now + 1):
            # The first to ask for the parents of a generation gets them in another order than all later ones.
            sampler.get_parent_population(self._study, generation)
        self._selected = now
        return sampler


class OptunaTPE(OptunaSearch):
    """TPESampler, after as many designs drawn at random as it would draw itself."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, initial=STARTUP)

    def _sampler(self, seed: int) -> BaseSampler:
        sampler: BaseSampler = self._optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed)
        return sampler


class OptunaGP(OptunaSearch):
    """GPSampler, after as many designs drawn at random as it would draw itself."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, initial=STARTUP)

    def _sampler(self, seed: int) -> BaseSampler:
        sampler: BaseSampler = self._optuna.samplers.GPSampler(n_startup_trials=STARTUP, seed=seed)
        return sampler


STARTUP = 10
"""`n_startup_trials` of Optuna's TPESampler and GPSampler."""


def optuna_nsga2(problem: Problem) -> OptunaSearch:
    """Optuna's NSGAIISampler (Deb et al. 2002): uniform crossover, each gene redrawn with probability 1/N."""
    return OptunaNSGA2(problem)


def optuna_tpe(problem: Problem) -> OptunaSearch:
    """Optuna's default: the tree-structured Parzen estimator, for several objectives (Ozaki et al. 2022)."""
    return OptunaTPE(problem)


def optuna_gp(problem: Problem) -> OptunaSearch:
    """Optuna's Gaussian process with expected hypervolume improvement; seconds an ask, for dear evaluations."""
    return OptunaGP(problem)


def _imported() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("algorithm optuna:*: Optuna is not installed; pip install 'optuna>=5,<6'") from None
    return optuna
