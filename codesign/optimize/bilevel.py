"""The default search: over shapes outside, and inside, for each shape, over accelerators exactly.

What is special here: costs are exact and nearly free, and quality, which is dear, depends on the shape alone. So the
search is over shapes. Each is paired with the accelerators on which it costs least (`inner`) and measured once. What is
measured next is chosen by the expected improvement of the hypervolume (`improvement`), under a Gaussian process
fitted to what was measured so far (`guess`). Candidates are bred from shapes that are on the front, or are believed to
be nearest to it, each gene changing with probability 1/N as in NSGA-II.

Where all shapes have been measured there is nothing left to ask, though most designs were never evaluated: the others
cost more for the same quality. The front is then exact, if the accelerators could all be looked at.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import ThreadpoolController

from codesign.design import BoolArray, IntArray
from codesign.evaluation import Evaluations
from codesign.optimize.asking import Choose, Problem, keys, unseen
from codesign.optimize.candidates import Candidates, joined, most_worth
from codesign.optimize.guess import Guess, learn
from codesign.optimize.improvement import Belief, Target
from codesign.optimize.inner import Inner
from codesign.optimize.told import Told, behind

FIRST = 12
"""Shapes measured before the first fit."""

LEAST_BATCH, BATCH_SHARE, MOST_BATCH = 4, 0.25, 32
"""Shapes measured between two fits, where nobody asks for another number: a share of those measured so far."""

ROUNDS, CHILDREN, PARENTS = 4, 256, 48
"""How often candidates are bred, how many each time (or half as many as are asked for), from how many of the best."""

STRANGERS = 64
"""Candidates that are drawn, not bred."""

WEIGHED = 512
"""Candidates whose expected improvement is computed: those believed nearest to the front."""

FITTED_ROWS = 400
"""Measured shapes that a fit reads; its time goes with their square."""

CAUTION = 2.0
"""Standard errors by which a candidate is taken to be better than expected, when the nearest ones are chosen."""

DRAWS = 10
"""Times that shapes are drawn where some are known already."""

SPREAD = 0.25
"""Standard deviation of a drawn shape's genes around its size, both 0..1 over the choices."""


THREADS = ThreadpoolController()
"""Products of this size are too small to share among threads, which on busy cores wait for each other."""


def own_batch(measured: int) -> int:
    """Return how many shapes to measure before the next fit: few while each teaches much.

    Of 3,240 shapes of `sotu_grid`, 40 found 0.986 of the exact hypervolume so, and 0.977 in batches of 16.
    """
    return min(MOST_BATCH, max(LEAST_BATCH, int(BATCH_SHARE * measured)))


class Bilevel:
    """Shapes by expected improvement, each on all accelerators exactly; the default."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.space = problem, problem.space
        self.inner = Inner(problem.evaluator, problem.quality)
        self.genes = tuple(gene for gene in self.space.genes if not gene.on_accelerator)
        self.told = Told(self.space.objectives, problem.quality, len(self.space.genes))
        self.known: set[bytes] = set()
        """Designs that were asked for or told."""
        self._pending: dict[bytes, IntArray] = {}
        """Shapes that were asked for and not told yet."""
        limit = problem.evaluator.limits.get(problem.quality)
        self.most_quality = np.inf if limit is None else float(np.log(limit))

    @property
    def batch(self) -> int:
        """See `Algorithm`."""
        return own_batch(len(self.told))

    def tell(self, evaluations: Evaluations) -> None:
        """See `Algorithm.tell`."""
        shapes = self._shape(evaluations.genomes)
        self.told.add(shapes, evaluations)
        # Here and not when asked: a search that is resumed is told all portions, and asked only once.
        self.inner.widen(self.told.elite)
        self.known.update(keys(evaluations.genomes))
        for shape in keys(shapes):
            self._pending.pop(shape, None)

    def ask(self, count: int, choose: Choose | None = None) -> IntArray:  # noqa: ARG002 - the protocol's
        """See `Algorithm.ask`: so many new shapes, each on all of its accelerators.

        Nothing is left to `choose`: what is asked for was chosen already.
        """
        with THREADS.limit(limits=1, user_api="blas"):
            wanted = self._wanted(count)
        designs = unseen(wanted, len(wanted), self.known)
        self.known.update(keys(designs))
        shapes = self._shape(designs)
        self._pending |= {
            key: shape for key, shape in zip(keys(shapes), shapes, strict=True) if key not in self.told.known
        }
        return designs

    def _wanted(self, count: int) -> IntArray:
        """(k, genes) designs, of which some may be known."""
        rng = np.random.default_rng((self.problem.seed, len(self.known)))
        if not self.known:
            baseline = self.space.encode(self.space.baseline)
            given = self._stacked([np.array(genome) for genome in self.problem.first])
            first = self._shape(np.concatenate([baseline, given]))
            shapes = np.concatenate([first, self._drawn(rng, max(FIRST, count) - len(first))])
            return np.concatenate([baseline, given, self._paired(shapes)])
        owed = self._paired(self._shape(self.told.elite))  # a front shape whose accelerators are not all evaluated yet
        logs = self.told.measured()[1]
        wanted = self._chosen(rng, count) if len(logs) > 1 else self._drawn(rng, count)
        return np.concatenate([owed, self._paired(wanted)])

    def _chosen(self, rng: np.random.Generator, count: int) -> IntArray:
        """Return (k, genes) the shapes most worth measuring, of candidates bred in several rounds."""
        guess, target = self._learned(), self._target()
        for belief in self._believed(self._stacked(list(self._pending.values())), guess).beliefs:
            target = target.with_point(belief)
        pool = self._believed(self._drawn(rng, STRANGERS), guess)
        parents = self._shape(self.told.elite)
        for _ in range(ROUNDS):
            if not len(parents):
                parents = pool.shapes
            if not len(parents):
                break  # all shapes are measured, and no design is within the limits
            children = self._bred(rng, parents, max(CHILDREN, count // 2))
            pool = joined(pool, self._believed(self._fresh(children, pool.shapes), guess))
            parents = np.concatenate([self._shape(self.told.elite), pool.nearest(PARENTS).shapes])
        if len(pool.shapes) < count:  # a small space, or few of its shapes are left
            pool = joined(pool, self._believed(self._fresh(self.space.enumerate_shapes(), pool.shapes), guess))
        return most_worth(pool.nearest(max(WEIGHED, count)), target, count)

    def _learned(self) -> Guess:
        """Fit to what was measured: the shapes nearest to the front, and a quarter spread over all."""
        shapes, logs, points = self.told.measured()
        if len(shapes) > FITTED_ROWS:
            order = np.argsort(behind(points, self.told.front), kind="stable")
            near, far = order[: FITTED_ROWS * 3 // 4], order[FITTED_ROWS * 3 // 4 :]
            spread = far[np.linspace(0, len(far) - 1, FITTED_ROWS - len(near)).astype(np.int64)]
            rows = np.sort(np.concatenate([near, spread]))
            shapes, logs = shapes[rows], logs[rows]
        return learn(self.genes, self.space.decode(shapes.astype(np.int64)).shape, logs)

    def _target(self) -> Target:
        names, reference = self.space.objectives, self.told.reference
        assert reference is not None
        place = names.index(self.problem.quality) if self.problem.quality in names else None
        return Target(self.told.front, reference, place, self.most_quality)

    def _believed(self, shapes: IntArray, guess: Guess) -> Candidates:
        """Return what is believed of n shapes on their best accelerators."""
        if not len(shapes):
            return Candidates(shapes, [], np.zeros(0), np.zeros(0))
        quality, error = guess.of(self.space.decode(shapes).shape)
        best = self.inner.best(shapes)
        beliefs = [
            Belief(mean, deviation, one.costs)
            for mean, deviation, one in zip(quality.tolist(), error.tolist(), best, strict=True)
        ]
        target = self._target()
        points = [target.points(belief.quality - CAUTION * belief.error, belief.costs) for belief in beliefs]
        row = np.repeat(np.arange(len(shapes)), [len(part) for part in points])
        nearest = np.full(len(shapes), np.inf)
        np.minimum.at(nearest, row, behind(np.concatenate(points), self.told.front))
        return Candidates(shapes, beliefs, np.array([one.excess for one in best]), nearest)

    def _fresh(self, shapes: IntArray, others: IntArray) -> IntArray:
        """Return the distinct shapes that nobody asked for and that are not among the others, in their order."""
        return unseen(shapes, len(shapes), self.told.known, set(self._pending), set(keys(others)))

    def _bred(self, rng: np.random.Generator, parents: IntArray, count: int) -> IntArray:
        """Return so many children of pairs of shapes: half are mixed gene by gene, all change in at least one gene."""
        one, two = parents[rng.integers(0, len(parents), size=(2, count))]
        mixed = (rng.random(one.shape) < 0.5) & (rng.random(count) < 0.5)[:, None]
        children = np.where(mixed, two, one)
        own = self._own
        change = rng.random(one.shape) < 1.0 / max(own.sum(), 1)
        change[np.arange(count), rng.choice(np.flatnonzero(own), count)] = True
        sizes, ordered = self.space.sizes, np.array([gene.ordered for gene in self.space.genes])
        stepped = np.clip(children + np.where(rng.random(one.shape) < 0.5, 1, -1), 0, sizes - 1)
        redrawn = rng.integers(0, sizes, size=one.shape)
        fresh = np.where(ordered & (rng.random(one.shape) < 0.5), stepped, redrawn)
        return self._shape(self.space.canonical(np.where(change & own, fresh, children)))

    def _drawn(self, rng: np.random.Generator, count: int) -> IntArray:
        """Return at most `count` shapes that nobody asked for, of all sizes: genes vary around a size of the shape.

        Drawn gene by gene alone, nearly all shapes would be of middle size, and a front spans all.
        """
        found = self._stacked([])
        for _ in range(DRAWS):
            missing = max(count - len(found), 0)
            size = (rng.permutation(missing) + rng.random(missing)) / max(missing, 1)
            position = np.clip(size[:, None] + SPREAD * rng.normal(size=(missing, len(self.space.genes))), 0, 1)
            ordered = np.array([gene.ordered for gene in self.space.genes])
            position = np.where(ordered, position, rng.random(position.shape))
            genomes = np.rint(position * (self.space.sizes - 1)).astype(np.int64)
            found = np.concatenate([found, self._fresh(self._shape(self.space.canonical(genomes)), found)])
        if len(found) < count:  # a small space, or few of its shapes are left
            others = self._fresh(rng.permutation(self.space.enumerate_shapes()), found)
            found = np.concatenate([found, others[: count - len(found)]])
        return found

    def _paired(self, shapes: IntArray) -> IntArray:
        """Return the designs of shapes, each on all of its accelerators."""
        designs = [self.inner.designs(shape, best) for shape, best in zip(shapes, self.inner.best(shapes), strict=True)]
        return np.concatenate([np.zeros((0, len(self.space.genes)), dtype=np.int64), *designs])

    def _stacked(self, rows: list[IntArray]) -> IntArray:
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(self.space.genes))

    def _shape(self, genomes: IntArray) -> IntArray:
        """Return genomes with the genes of the accelerator 0."""
        shapes = np.array(genomes, dtype=np.int64)
        shapes[:, self.inner.columns] = 0
        return shapes

    @property
    def _own(self) -> BoolArray:
        """(genes,) True for those of the model."""
        return np.array([not gene.on_accelerator for gene in self.space.genes], dtype=np.bool_)
