"""What is believed of shapes that nobody has measured."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from codesign.accuracy.proxy import resolve
from codesign.design import FloatArray, IntArray
from codesign.optimize.guess import columns, learn
from codesign.space import SearchSpace
from codesign.space_file import read_space


@pytest.fixture(scope="module")
def measured() -> tuple[SearchSpace, IntArray, FloatArray]:
    """The space whose every shape is measured, 1,200 of its shapes, and the logarithms of their perplexities."""
    space = read_space("sotu_grid").content
    every = space.enumerate_shapes()
    shapes = every[np.random.default_rng(0).permutation(len(every))[:1200]]
    return space, shapes, np.log(resolve("measured").predict(space.decode(shapes).shape).value)


@pytest.mark.parametrize("known", [50, 200])
def test_unseen_shapes_are_ranked_and_their_errors_are_honest(
    measured: tuple[SearchSpace, IntArray, FloatArray], known: int
) -> None:
    """Of real networks the order is right, guesses are nearer than the mean is, and most intervals hold the truth."""
    space, shapes, logs = measured
    genes = tuple(gene for gene in space.genes if not gene.on_accelerator)
    guess = learn(genes, space.decode(shapes[:known]).shape, logs[:known])
    mean, error = guess.of(space.decode(shapes[200:]).shape)
    truth = logs[200:]
    missed = np.abs(mean - truth)
    assert spearmanr(mean, truth).statistic > (0.9 if known == 50 else 0.97)
    assert missed.mean() < (0.4 if known == 50 else 0.2) * np.abs(truth - truth.mean()).mean()
    assert (missed < 2 * error).mean() > 0.8
    assert np.median(error) < truth.std()


def test_more_measurements_make_surer(measured: tuple[SearchSpace, IntArray, FloatArray]) -> None:
    """What was measured is known better than what was not, and more of it narrows the errors elsewhere."""
    space, shapes, logs = measured
    genes = tuple(gene for gene in space.genes if not gene.on_accelerator)
    few, many = (learn(genes, space.decode(shapes[:n]).shape, logs[:n]) for n in (40, 300))
    _, at_known = many.of(space.decode(shapes[:300]).shape)
    _, elsewhere = many.of(space.decode(shapes[300:]).shape)
    _, earlier = few.of(space.decode(shapes[300:]).shape)
    assert np.median(at_known) < np.median(elsewhere) < np.median(earlier)


def test_shapes_that_are_one_network_look_alike(measured: tuple[SearchSpace, IntArray, FloatArray]) -> None:
    """Genes of layers that do not exist, and of the accelerator, change no column."""
    space, shapes, _ = measured
    genes = tuple(gene for gene in space.genes if not gene.on_accelerator)
    rng = np.random.default_rng(1)
    others = rng.integers(0, space.sizes, size=shapes.shape)
    own = np.array([not gene.on_accelerator for gene in space.genes])
    depth = space.decode(shapes).shape.layers[:, 0]
    beyond = np.array([gene.layer for gene in space.genes])[None] >= depth[:, None]
    changed = np.where(~own[None] | beyond, others, shapes)
    assert (changed != shapes).any()
    ours = columns(genes, space.decode(shapes).shape).values
    np.testing.assert_array_equal(ours, columns(genes, space.decode(changed).shape).values)


def test_a_gene_that_varies_the_model_moves_a_column(measured: tuple[SearchSpace, IntArray, FloatArray]) -> None:
    """Distinct shapes have distinct columns: nothing that can be chosen is invisible."""
    space, shapes, _ = measured
    genes = tuple(gene for gene in space.genes if not gene.on_accelerator)
    values = columns(genes, space.decode(shapes).shape).values
    assert len(np.unique(values, axis=0)) == len(shapes)
