"""What every search algorithm is: asked for designs, told of their evaluations; and what all of them share.

What is asked is a function of the seed, of what was told, and of how many designs are known by then. So a resumed
search tells what is recorded, asks no question again but the last, and goes on as if nothing had stopped it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

import numpy as np

from codesign.design import FloatArray, IntArray
from codesign.evaluation import Evaluations, Evaluator
from codesign.space import SearchSpace

KEY_BYTES = 16

Choose = Callable[[IntArray, int], IntArray]
"""(n, genes) candidates and how many are wanted -> the positions of the chosen ones."""

CANDIDATES = 4
"""Designs proposed for each one asked where `Choose` picks."""

ATTEMPTS = 10
"""Times that an algorithm proposes designs to find enough new ones, before the rest is drawn at random."""

DRAWS = 20
"""Random designs drawn for each one wanted, before a small space is enumerated."""


class Algorithm(Protocol):
    """Proposes designs and learns from evaluations. Deterministic in its seed and in what it is told."""

    @property
    def batch(self) -> int:
        """How many designs to ask for at once, where nobody says."""

    def ask(self, count: int, choose: Choose | None = None) -> IntArray:
        """Return (k, genes) canonical genomes, never asked for nor told before.

        k may be less than count (0 = none found), or more where an algorithm asks for whole groups.

        Args:
            count: how many designs are wanted.
            choose: given CANDIDATES times as many designs as are wanted, picks those that are asked for.
        """

    def tell(self, evaluations: Evaluations) -> None:
        """Learn from evaluations: any designs, in any portions, asked for or not."""


@dataclass(frozen=True)
class Problem:
    """What an algorithm searches."""

    evaluator: Evaluator
    quality: str
    """The metric of the proxy."""
    population: int
    """Designs of the initial sample, and of a generation where an algorithm has them."""
    seed: int
    first: tuple[tuple[int, ...], ...] = ()
    """Genomes asked right after the baseline (a warm start), at most population - 1 of them."""

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return self.evaluator.space


def initial_sample(problem: Problem, size: int | None = None) -> IntArray:
    """(k, genes) distinct designs: the baseline, the warm start, then designs drawn uniformly.

    Args:
        problem: what is searched.
        size: how many; the population if absent. The warm start is never cut; a small space may have fewer.
    """
    space, size = problem.space, problem.population if size is None else size
    given = np.array(problem.first, dtype=np.int64).reshape(len(problem.first), len(space.genes))
    fixed = np.concatenate([space.encode(space.baseline), given])
    drawn = space.sample(np.random.default_rng((problem.seed, 0)), DRAWS * size)
    return unseen(np.concatenate([fixed, drawn]), max(size, len(fixed)))


def keys(genomes: IntArray) -> list[bytes]:
    """Return by what each genome is known: a digest, because a long search keeps them all."""
    return [blake2b(row.tobytes(), digest_size=KEY_BYTES).digest() for row in genomes.astype(np.uint16)]


def unseen(genomes: IntArray, most: int, *known: set[bytes]) -> IntArray:
    """(k, genes) the first of the genomes that are in no set of known ones, each once, at most so many."""
    found: dict[bytes, int] = {}
    for row, key in enumerate(keys(genomes)):
        if len(found) == most:
            break
        if not any(key in others for others in known):
            found.setdefault(key, row)
    return genomes[list(found.values())]


class Asking(ABC):
    """Base of the algorithms: nothing is asked twice, an initial sample comes first, small spaces are exhausted."""

    attempts = ATTEMPTS

    def __init__(self, problem: Problem, initial: int | None = None) -> None:
        """Begin.

        Args:
            problem: what is searched.
            initial: designs of the initial sample; the population if absent.
        """
        self.problem, self.space = problem, problem.space
        self.known: set[bytes] = set()
        self.told = 0
        """Distinct designs told so far."""
        self._told: set[bytes] = set()
        self._initial = initial_sample(problem, initial)
        self._worst = np.full(len(self.space.objectives), -np.inf)

    @property
    def batch(self) -> int:
        """See `Algorithm`: a generation."""
        return self.problem.population

    @property
    def warming_up(self) -> bool:
        """Whether fewer designs were told than the initial sample has."""
        return self.told < len(self._initial)

    def ask(self, count: int, choose: Choose | None = None) -> IntArray:
        """See `Algorithm.ask`."""
        rng = self.generator(len(self.known))
        genomes = unseen(self._initial, count, self.known) if self.warming_up else self._none()
        if not len(genomes):
            genomes = self._new(count * CANDIDATES if choose else count, rng)
            if choose and len(genomes) > count:
                genomes = genomes[choose(genomes, count)]
        self.known.update(keys(genomes))
        return genomes

    def tell(self, evaluations: Evaluations) -> None:
        """See `Algorithm.tell`. A design that was told before is not learnt from again."""
        first = {key: row for row, key in enumerate(keys(evaluations.genomes)) if key not in self._told}
        rows = np.array(sorted(first.values()), dtype=np.int64)
        if not len(rows):
            return
        self._told.update(first)
        self.known.update(first)
        self.told += len(rows)
        self._learn(evaluations.take(rows))

    def generator(self, *position: int) -> np.random.Generator:
        """Return the source of randomness at a position of the search."""
        return np.random.default_rng((self.problem.seed, *position))

    def objectives(self, evaluations: Evaluations) -> FloatArray:
        """(n, objectives) logarithms; what is unknown counts as the worst that was told so far."""
        values = evaluations.objectives(self.space.objectives)
        finite = np.isfinite(values)
        seen = np.where(finite, values, -np.inf).max(axis=0, initial=-np.inf)
        self._worst = np.maximum(self._worst, seen)
        return np.where(finite, values, np.where(np.isfinite(self._worst), self._worst, 0.0))

    @abstractmethod
    def _learn(self, evaluations: Evaluations) -> None:
        """Learn from evaluations of designs that were not told before."""

    @abstractmethod
    def _propose(self, count: int, rng: np.random.Generator) -> IntArray:
        """(k, genes) designs, canonical or not, known or not; about `count` of them, none if there are no parents."""

    def _new(self, wanted: int, rng: np.random.Generator) -> IntArray:
        """(k, genes) canonical designs that are not known: proposed ones, then random ones, then all that are left."""
        found: list[IntArray] = [self._none()]
        taken: set[bytes] = set()
        for draw in self._sources(rng):
            if len(taken) == wanted:
                break
            new = unseen(self.space.canonical(draw(wanted - len(taken))), wanted - len(taken), self.known, taken)
            taken.update(keys(new))
            found.append(new)
        return np.concatenate(found)

    def _sources(self, rng: np.random.Generator) -> Iterable[Callable[[int], IntArray]]:
        yield from [lambda count: self._propose(count, rng)] * self.attempts
        yield lambda count: self.space.sample(rng, DRAWS * count)
        yield lambda _: rng.permutation(self.space.enumerate())

    def _none(self) -> IntArray:
        return np.zeros((0, len(self.space.genes)), dtype=np.int64)
