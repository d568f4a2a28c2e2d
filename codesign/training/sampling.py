"""Which sub-networks of a search space a step trains. Everything is a function of seed and step: nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from codesign.design import IntArray, ModelShape, Stack
from codesign.elastic.setting import Setting, settings
from codesign.errors import InputError
from codesign.space import SearchSpace

FIXED = 1
DRAWN = 2
"""What random numbers are for: the second number of their seed, so that streams never meet."""


class Draws(Protocol):
    """What a training asks for: `Sampler` has it, and `alone.Only`, which draws one sub-network again and again."""

    def largest(self) -> Setting:
        """Return the sub-network that teaches the others."""

    def smallest(self) -> Setting:
        """Return the one at the other end."""

    def fixed(self, count: int) -> list[Setting]:
        """Return sub-networks to measure again and again."""

    def sandwich(self, step: int, random_settings: int) -> list[Setting]:
        """Return the sub-networks of a step, the largest first."""


@dataclass(frozen=True)
class Sampler:
    """Draws sub-networks of a space; the accelerator's genes change nothing."""

    space: SearchSpace
    seed: int

    @property
    def stack(self) -> Stack:
        """The one stack of the space's models."""
        return self.space.family.stacks[0]

    def largest(self) -> Setting:
        """Return the sub-network whose genes have their last choices."""
        return self._settings(_extreme(self.space, last=True))[0]

    def smallest(self) -> Setting:
        """Return the sub-network whose genes have their first choices."""
        return self._settings(_extreme(self.space, last=False))[0]

    def fixed(self, count: int) -> list[Setting]:
        """Return sub-networks that are drawn once for a whole training, to measure them again and again."""
        return self._drawn(np.random.default_rng((self.seed, FIXED)), count)

    def sandwich(self, step: int, random_settings: int) -> list[Setting]:
        """Return the largest, the smallest and `random_settings` drawn uniformly, gene by gene (Yu 2019)."""
        drawn = self._drawn(np.random.default_rng((self.seed, DRAWN, step)), random_settings)
        return [self.largest(), self.smallest(), *drawn]

    def shapes(self, rng: np.random.Generator, count: int) -> ModelShape:
        """Return drawn shapes, each gene of the model uniform among its choices."""
        genomes = np.zeros((count, len(self.space.genes)), dtype=np.int64)
        model = _model_genes(self.space)
        genomes[:, model] = rng.integers(0, self.space.sizes[model], size=(count, len(model)))
        return self._shapes(genomes)

    def _drawn(self, rng: np.random.Generator, count: int) -> list[Setting]:
        return settings(self.shapes(rng, count), self.stack)

    def _shapes(self, genomes: IntArray) -> ModelShape:
        return self.space.decode(self.space.canonical(genomes)).shape

    def _settings(self, genome: IntArray) -> list[Setting]:
        return settings(self._shapes(genome), self.stack)


def largest_shape(space: SearchSpace) -> ModelShape:
    """Return the shape whose genes all have their last choice, (1,) rows."""
    return space.decode(space.canonical(_extreme(space, last=True))).shape


def check_trainable(space: SearchSpace) -> None:
    """Refuse a space of which no elastic model can be made.

    Raises:
        InputError: models of two stacks.
    """
    if len(space.family.stacks) != 1:
        raise InputError(
            f"search space {space.name}: expected models of one stack, got {', '.join(space.family.stacks)}; "
            "an encoder-decoder cannot be trained as an elastic network"
        )


def _extreme(space: SearchSpace, *, last: bool) -> IntArray:
    """(1, genes) the genome of first or last choices of the model; the accelerator has its first ones."""
    genome = np.zeros((1, len(space.genes)), dtype=np.int64)
    model = _model_genes(space)
    genome[0, model] = space.sizes[model] - 1 if last else 0
    return genome


def _model_genes(space: SearchSpace) -> list[int]:
    return [column for column, gene in enumerate(space.genes) if not gene.on_accelerator]
