"""The contract that every search algorithm keeps."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.design import FloatArray, IntArray
from codesign.errors import InputError
from codesign.optimize.algorithms import ALGORITHMS, make_algorithm
from codesign.space import SearchSpace
from tests.optimize.spaces import ONE_DESIGN, conflicting, space_of, tiny, tiny_text, very_small

every_algorithm = pytest.mark.parametrize("name", ALGORITHMS)


def asked(
    name: str, space: SearchSpace, population: int, seed: int, batches: int, violation: FloatArray | None = None
) -> list[IntArray]:
    """The genomes of each batch of a search; `violation` is what each position of the last gene is beyond its limit."""
    algorithm = make_algorithm(name, space, population, seed)
    found = []
    for _ in range(batches):
        genomes = algorithm.ask()
        found.append(genomes)
        if not len(genomes):
            break
        beyond = np.zeros(len(genomes)) if violation is None else violation[genomes[:, -1]]
        algorithm.tell(conflicting(genomes, space), beyond)
    return found


@every_algorithm
def test_same_seed_asks_the_same(name: str) -> None:
    """A search is a function of its seed: whatever the state of numpy's global generator, the same designs come."""
    np.random.seed(1)  # noqa: NPY002 - nothing may draw from it
    first = asked(name, tiny(), 12, seed=5, batches=8)
    np.random.seed(2)  # noqa: NPY002
    for ours, theirs in zip(first, asked(name, tiny(), 12, seed=5, batches=8), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@every_algorithm
def test_other_seed_asks_other_designs(name: str) -> None:
    """Two seeds share no more than the baseline and chance."""
    first, second = (np.concatenate(asked(name, tiny(), 20, seed, batches=2)) for seed in (0, 1))
    common = {tuple(row) for row in first.tolist()} & {tuple(row) for row in second.tolist()}
    assert len(common) < len(first) / 2


@every_algorithm
def test_baseline_is_asked_first(name: str) -> None:
    """The first design of every search is the baseline of its space."""
    for seed in range(5):
        genomes = make_algorithm(name, tiny(), 10, seed).ask()
        np.testing.assert_array_equal(tiny().encode(tiny().baseline)[0], genomes[0])


@every_algorithm
def test_what_is_asked_is_canonical_in_range_and_new(name: str) -> None:
    """Over a whole search no genome is out of range, not canonical, or asked twice."""
    genomes = np.concatenate(asked(name, tiny(), 20, seed=3, batches=60))
    assert len(genomes) > 1000
    assert genomes.dtype == np.int64
    assert ((genomes >= 0) & (genomes < tiny().sizes)).all()
    np.testing.assert_array_equal(tiny().canonical(genomes), genomes)
    assert len(np.unique(genomes, axis=0)) == len(genomes)


@every_algorithm
def test_feasible_designs_come_first(name: str) -> None:
    """Once told that half of the space is forbidden, a search asks mostly for the other half."""
    batches = asked(name, tiny(), 20, seed=0, batches=30, violation=np.array([1.0, 0.0]))
    last_gene = [batch[:, -1] for batch in batches]
    assert np.concatenate(last_gene[-10:]).mean() > 0.8
    assert last_gene[0].mean() == pytest.approx(0.5, abs=0.25)


@every_algorithm
def test_unknown_objectives_do_not_stop_a_search(name: str) -> None:
    """Designs without a cost are told as not a number and a violation; the search goes on with the others."""
    algorithm = make_algorithm(name, tiny(), 20, 0)
    for _ in range(10):
        genomes = algorithm.ask()
        objectives, lost = conflicting(genomes, tiny()), genomes[:, -1] == 0
        objectives[lost] = np.nan
        algorithm.tell(objectives, lost.astype(float))
    assert (algorithm.ask()[:, -1] == 1).mean() > 0.5


@every_algorithm
@pytest.mark.parametrize("population", [2, 3, 10, 100])
@pytest.mark.parametrize(
    "free", [("hidden",), ("hidden", "pe_rows"), ("hidden", "pe_rows", "dataflow"), ("heads", "ffn")]
)
def test_an_exhausted_space_ends_the_search(name: str, free: tuple[str, ...], population: int) -> None:
    """In a space of a few designs the search asks each at most once, and then for none, however often it is asked."""
    space = very_small(*free)
    batches = asked(name, space, population, seed=0, batches=10 * space.size())
    genomes = np.concatenate(batches)
    assert len(batches[-1]) == 0
    assert len(np.unique(genomes, axis=0)) == len(genomes) <= space.size()
    if space.size() <= 12:
        assert len(genomes) == space.size()


@every_algorithm
def test_a_space_of_one_choice_has_one_design(name: str) -> None:
    """A gene with a single choice leaves the baseline to ask for, and nothing else."""
    one = ONE_DESIGN | {"hidden = { choices = [64, 96, 128] }": "hidden = { choices = [128] }"}
    assert [len(batch) for batch in asked(name, space_of(tiny_text(one)), 10, seed=0, batches=5)] == [1, 0]


@every_algorithm
def test_a_space_in_which_nothing_varies_is_refused(name: str) -> None:
    """Without a gene there is nothing to search; the message points to the command that costs one design."""
    with pytest.raises(InputError, match="nothing varies; one design is costed with codesign estimate"):
        make_algorithm(name, very_small(), 10, 0)


@every_algorithm
@pytest.mark.parametrize("objectives", [["edp_js"], ["perplexity", "energy_j", "delay_s"]])
def test_any_number_of_objectives(name: str, objectives: list[str]) -> None:
    """One objective, or three, are searched like two."""
    space = space_of(tiny_text({'objectives = ["perplexity", "edp_js"]': f"objectives = {objectives}"}))
    algorithm = make_algorithm(name, space, 10, 0)
    for _ in range(5):
        genomes = algorithm.ask()
        assert len(genomes)
        values = np.repeat(conflicting(genomes, space)[:, :1], len(objectives), axis=1)
        algorithm.tell(values, np.zeros(len(genomes)))


def test_unknown_algorithm_lists_the_known_ones() -> None:
    """A misspelt algorithm is answered with all names."""
    with pytest.raises(InputError, match=r"unknown algorithm 'nsga3'; known: nsga2"):
        make_algorithm("nsga3", tiny(), 10, 0)
