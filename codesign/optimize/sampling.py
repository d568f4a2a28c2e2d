"""Search without learning: designs drawn at random, or evenly spread."""

from __future__ import annotations

import numpy as np

from codesign.design import IntArray
from codesign.evaluation import Evaluations
from codesign.optimize.asking import Asking, Problem, keys


class Random(Asking):
    """Every gene is drawn uniformly, whatever was found (Bergstra and Bengio 2012); what any search has to beat."""

    def _learn(self, evaluations: Evaluations) -> None:
        pass

    def _propose(self, count: int, rng: np.random.Generator) -> IntArray:
        return self.space.sample(rng, count)


class Sobol(Asking):
    """A scrambled Sobol' sequence (Sobol' 1967, Owen 1998), a dimension a gene, mapped to choices of equal share.

    After the baseline and a warm start, the designs asked are the first ones of the sequence that are not known, so
    nothing but the seed and the known designs decides them. Genes that mean nothing in a design are blanked after the
    mapping, so shallow models come a little more than their share, as they do at random.
    """

    attempts = 1  # the same points would be found again

    def __init__(self, problem: Problem) -> None:
        from scipy.stats import qmc  # a second of loading, that no other algorithm needs

        super().__init__(problem, initial=1)
        self._sequence = qmc.Sobol(len(self.space.genes), scramble=True, rng=self.generator())
        self._points = self._none()
        self._first = 0
        """Position in the sequence before which all designs are known."""

    def _learn(self, evaluations: Evaluations) -> None:
        pass

    def _propose(self, count: int, rng: np.random.Generator) -> IntArray:  # noqa: ARG002 - the sequence is the source
        begin = position = self._first
        new: set[bytes] = set()
        while len(new) < count and position - begin < LONGEST_WALK:
            if position == len(self._points):
                self._extend()
            key = keys(self._points[position : position + 1])[0]
            if key not in self.known:
                new.add(key)
            elif position == self._first:
                self._first += 1
            position += 1
        return self._points[self._first : position]

    def _extend(self) -> None:
        points = np.floor(self._sequence.random(BLOCK) * self.space.sizes).astype(np.int64)
        self._points = np.concatenate([self._points, self.space.canonical(points)])


BLOCK = 256
"""Points drawn at a time; a power of two, for which the sequence is balanced."""

LONGEST_WALK = 2**12
"""Points looked through before a small space is taken as exhausted by the sequence."""
