"""Variation of genomes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.design import IntArray
from codesign.optimize.operators import (
    BaselineAndRandom,
    CanonicalForm,
    PairCrossover,
    StepOrReset,
)
from codesign.space import SearchSpace
from codesign.space_file import read_space
from tests.optimize.spaces import tiny, very_small

SEEDS = st.integers(0, 2**32 - 1)


def genomes(space: SearchSpace, seed: int, n: int) -> IntArray:
    """(n, genes) any genomes, canonical or not."""
    return np.random.default_rng(seed).integers(0, space.sizes, size=(n, len(space.genes)))


def crossed(space: SearchSpace, parents: IntArray, seed: int) -> IntArray:
    """The children of (2, n, genes) parents."""
    return PairCrossover(space)._do(None, parents, random_state=np.random.default_rng(seed))


def mutated(space: SearchSpace, population: IntArray, seed: int) -> IntArray:
    """The population after mutation."""
    return StepOrReset(space)._do(None, population, random_state=np.random.default_rng(seed))


@given(seed=SEEDS, n=st.integers(0, 5))
def test_sample_begins_with_the_baseline(seed: int, n: int) -> None:
    """The first of any number of sampled designs is the baseline; all are canonical."""
    rng = np.random.default_rng(seed)
    drawn = BaselineAndRandom(tiny())._do(None, n, random_state=rng)
    assert drawn.shape == (n, len(tiny().genes))
    np.testing.assert_array_equal(tiny().encode(tiny().baseline)[:n], drawn[:1])
    np.testing.assert_array_equal(tiny().canonical(drawn), drawn)


@given(seed=SEEDS)
def test_children_share_out_their_parents_genes(seed: int) -> None:
    """At each position the two children hold what the two parents held."""
    space = tiny()
    parents = np.stack([genomes(space, seed, 20), genomes(space, seed + 1, 20)])
    children = crossed(space, parents, seed)
    np.testing.assert_array_equal(np.sort(parents, axis=0), np.sort(children, axis=0))


def test_half_of_the_matings_exchange_whole_accelerators() -> None:
    """In about half of all matings the children are each parent's model with the other parent's chip."""
    space = tiny()
    chip = np.array([gene.on_accelerator for gene in space.genes])
    n = 4000
    parents = np.stack([np.zeros((n, len(chip)), dtype=np.int64), np.ones((n, len(chip)), dtype=np.int64)])
    first, second = crossed(space, parents, 0)
    exchanged = (first == chip).all(axis=1) & (second == ~chip).all(axis=1)
    assert exchanged.mean() == pytest.approx(0.5, abs=0.05)
    assert first[~exchanged].mean(axis=0) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("free", [("hidden", "ffn"), ("pe_rows", "pe_cols")])
def test_a_space_of_one_side_crosses_gene_by_gene(free: tuple[str, ...]) -> None:
    """Where only the model or only the chip varies, there is no accelerator to exchange and children are new."""
    space = very_small(*free)
    n = 2000
    parents = np.stack([np.zeros((n, len(space.genes)), dtype=np.int64)] * 2)
    parents[1] = 1
    assert crossed(space, parents, 0)[0].mean(axis=0) == pytest.approx(0.5, abs=0.05)


@given(seed=SEEDS)
def test_mutants_stay_in_range(seed: int) -> None:
    """A mutation never leaves the choices of a gene."""
    space = tiny()
    mutants = mutated(space, genomes(space, seed, 50), seed)
    assert (mutants >= 0).all()
    assert (mutants < space.sizes).all()


@pytest.mark.parametrize("name", ["tiny", "survey_lm"])
def test_each_gene_is_touched_at_the_textbook_rate(name: str) -> None:
    """A gene changes with probability 1/N, less the draws that return what was there already."""
    space = read_space(name).content
    sizes, n = space.sizes, 40_000
    before = np.tile(sizes // 2, (n, 1))
    changed = (mutated(space, before, 1) != before).mean(axis=0)
    redrawn = 1.0 - 1.0 / sizes  # a redraw differs
    stepped = np.where(sizes > 2, 1.0, np.where(sizes == 2, 0.5, 0.0))  # a step at the edge stays
    ordered = np.array([gene.ordered for gene in space.genes])
    expected = np.where(ordered, (stepped + redrawn) / 2, redrawn) / len(sizes)
    np.testing.assert_allclose(expected, changed, atol=4 * np.sqrt(0.03 / n) + 1e-9)


def test_ordered_genes_mostly_step_to_a_neighbour() -> None:
    """At least half of the changes of an ordered gene move it by one position."""
    space = read_space("survey_lm").content
    before = np.tile(space.sizes // 2, (40_000, 1))
    after = mutated(space, before, 2)
    long = np.array([gene.ordered and len(gene.values) > 8 for gene in space.genes])
    moves = np.abs(after - before)[:, long]
    assert (moves[moves > 0] == 1).mean() > 0.5


@given(seed=SEEDS)
def test_repair_is_the_canonical_form(seed: int) -> None:
    """What the repair returns is canonical, and the same design as before."""
    space = tiny()
    raw = genomes(space, seed, 20)
    repaired = CanonicalForm(space)._do(None, raw)
    np.testing.assert_array_equal(repaired, CanonicalForm(space)._do(None, repaired))
    for field in ("layers", "heads", "ffn"):
        np.testing.assert_array_equal(
            getattr(space.decode(raw).shape, field), getattr(space.decode(repaired).shape, field)
        )
