"""The contract that every search algorithm keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codesign.design import IntArray
from codesign.errors import InputError
from codesign.evaluation import Evaluations, joined
from codesign.optimize.algorithms import ALGORITHMS, default_population, make_algorithm
from codesign.optimize.asking import initial_sample
from codesign.optimize.pymoo_named import HORIZON
from codesign.space import SearchSpace
from tests.optimize.problems import judged, of_objectives, problem, searched
from tests.optimize.searches import small_search
from tests.optimize.spaces import ONE_DESIGN, space_of, tiny, tiny_text, very_small

PYMOO = ("pymoo:NSGA3", "pymoo:UNSGA3", "pymoo:SPEA2", "pymoo:RVEA", "pymoo:CTAEA")
SLOW = ("optuna:tpe", "optuna:gp")
NAMES = (*ALGORITHMS, *PYMOO)
LONG = ("age_moea2", *SLOW)
"""Those that compile or think for long: the whole contract is for the longer tests, its heart for all."""

every_algorithm = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in LONG else name for name in NAMES]
)

designs_one_by_one = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long) if name in LONG else name for name in NAMES if name != "bilevel"],
)
"""Those that search designs; `bilevel` searches shapes, and tests of its own say what holds instead."""


def batches_of(name: str, seed: int = 0, batches: int = 5, space: SearchSpace | None = None) -> list[IntArray]:
    """The genomes of each batch of a search of `tiny`, smaller where asking takes long."""
    space = tiny() if space is None else space
    size, batches = (4, 4) if name in SLOW else (12, batches)
    algorithm = make_algorithm(name, problem(space, size, seed))
    return [batch.genomes for batch in searched(algorithm, space, batches, size)]


@designs_one_by_one
def test_what_is_asked_depends_on_the_seed_alone(name: str) -> None:
    """Whatever the state of numpy's global generator, a seed gives the same designs, and another one others."""
    np.random.seed(1)  # noqa: NPY002 - nothing may draw from it
    first = batches_of(name, seed=5)
    np.random.seed(2)  # noqa: NPY002
    for ours, theirs in zip(first, batches_of(name, seed=5), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    ours, theirs = (
        {tuple(row) for batch in batches for row in batch.tolist()} for batches in (first, batches_of(name))
    )
    assert len(ours & theirs) < len(ours) / 2


@every_algorithm
def test_what_is_asked_is_canonical_in_range_and_new(name: str) -> None:
    """The baseline is first, and over a whole search no genome is out of range, not canonical, or asked twice."""
    found = batches_of(name, seed=3, batches=20)
    genomes = np.concatenate(found)
    np.testing.assert_array_equal(tiny().encode(tiny().baseline)[0], genomes[0])
    assert len(genomes) >= (14 if name in SLOW else 200)
    assert genomes.dtype == np.int64
    assert ((genomes >= 0) & (genomes < tiny().sizes)).all()
    np.testing.assert_array_equal(tiny().canonical(genomes), genomes)
    assert len(np.unique(genomes, axis=0)) == len(genomes)


@every_algorithm
@pytest.mark.parametrize("count", [1, 5])
def test_a_resumed_search_goes_on_as_if_undisturbed(name: str, count: int) -> None:
    """Told the first batches of another one's search, a new algorithm asks what that one asked next, and after."""
    space, size = tiny(), 4 if name in SLOW else 10
    one = make_algorithm(name, problem(space, size))
    told = searched(one, space, (13 if count == 1 else 4) if name in SLOW else 40 // count, count)
    other = make_algorithm(name, problem(space, size))
    for batch in told:
        other.tell(batch)
    for ours, theirs in zip(searched(one, space, 2, count), searched(other, space, 2, count), strict=True):
        np.testing.assert_array_equal(ours.genomes, theirs.genomes)


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_algorithm_resumes_and_asks_nothing_twice(name: str) -> None:
    """Just past its initial sample, told what another was told, it asks the same, and what is new."""
    one, other = (make_algorithm(name, problem(tiny(), 4)) for _ in range(2))
    told = searched(one, tiny(), 4, 3)
    for batch in told:
        other.tell(batch)
    asked = one.ask(2)
    np.testing.assert_array_equal(asked, other.ask(2))
    genomes = np.concatenate([*(batch.genomes for batch in told), asked])
    assert len(np.unique(genomes, axis=0)) == len(genomes) == 12


@every_algorithm
def test_designs_are_told_in_any_portions(name: str) -> None:
    """Asked for or not, one by one, many at once or a second time: what is known is not asked for."""
    space = tiny()
    algorithm = make_algorithm(name, problem(space, 6))
    strangers = judged(np.unique(space.sample(np.random.default_rng(9), 30), axis=0), space)
    asked = judged(algorithm.ask(6), space)
    for portion in (slice(0, 1), slice(1, 20), slice(5, None)):
        algorithm.tell(strangers.take(portion))
    algorithm.tell(joined([asked, strangers]))
    known = {tuple(row) for row in np.concatenate([asked.genomes, strangers.genomes]).tolist()}
    for _ in range(2):
        genomes = algorithm.ask(3)
        assert len(genomes) >= 3
        assert not known & {tuple(row) for row in genomes.tolist()}
        known |= {tuple(row) for row in genomes.tolist()}


def lost(evaluations: Evaluations, rows: IntArray) -> Evaluations:
    """The evaluations of which some have no cost, and so are not feasible."""
    for column in evaluations.metrics.values():
        column[rows] = np.nan
    evaluations.violation[rows] = 1.0
    return evaluations


@every_algorithm
@pytest.mark.parametrize("share", ["some", "all"])
def test_unknown_objectives_do_not_stop_a_search(name: str, share: str) -> None:
    """Designs without a cost, even if all are, are told as not a number and a violation; the search goes on."""
    size = 4 if name in SLOW else 12
    algorithm = make_algorithm(name, problem(tiny(), size))
    for _ in range(4):
        genomes = algorithm.ask(size)
        rows = np.flatnonzero(genomes[:, -1] == 0) if share == "some" else np.arange(len(genomes))
        algorithm.tell(lost(judged(genomes, tiny()), rows))
    assert len(algorithm.ask(size)) >= size


LEARNING = [name for name in NAMES if name not in ("random", "sobol", "bilevel", *LONG)]


@pytest.mark.parametrize("name", LEARNING)
def test_feasible_designs_come_first(name: str) -> None:
    """Once told that half of the space is forbidden, a search asks mostly for the other half."""
    algorithm, asked = make_algorithm(name, problem(tiny(), 20)), []
    for _ in range(16):
        genomes = algorithm.ask(20)
        algorithm.tell(judged(genomes, tiny(), violation=np.where(genomes[:, -1] == 0, 1.0, 0.0)))
        asked.append(genomes[:, -1])
    assert asked[0].mean() == pytest.approx(0.5, abs=0.25)
    assert np.concatenate(asked[-6:]).mean() > 0.6


@designs_one_by_one
@pytest.mark.parametrize("free", [("hidden",), ("hidden", "pe_rows", "dataflow"), ("heads", "ffn")])
def test_a_small_space_is_exhausted(name: str, free: tuple[str, ...]) -> None:
    """In a space of a few designs the search asks for each once, and then for none, however often it is asked."""
    space = very_small(*free)
    algorithm = make_algorithm(name, problem(space, 5))
    found = searched(algorithm, space, 10 * space.size(), 7)
    genomes = np.concatenate([batch.genomes for batch in found])
    assert len(found[-1]) == 0
    assert len(algorithm.ask(1)) == 0
    assert len(np.unique(genomes, axis=0)) == len(genomes) == space.size()


@every_algorithm
def test_a_space_of_one_choice_has_one_design(name: str) -> None:
    """A gene with a single choice leaves the baseline to ask for, and nothing else."""
    one = ONE_DESIGN | {"hidden = { choices = [64, 96, 128] }": "hidden = { choices = [128] }"}
    assert [len(batch) for batch in batches_of(name, space=space_of(tiny_text(one)))] == [1, 0]


@every_algorithm
@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_objectives(name: str, count: int) -> None:
    """One objective, or three, are searched like two; a class of pymoo that cannot is refused before it starts."""
    space = of_objectives(count)
    if name == "pymoo:RVEA" and count == 1:
        with pytest.raises(InputError, match="pymoo:RVEA cannot search: it cannot be set up for 1 objective"):
            make_algorithm(name, problem(space, 12))
        return
    assert all(len(batch) for batch in batches_of(name, space=space))


def test_a_horizon_is_no_end() -> None:
    """RVEA, whose rule looks forward to its last generation, goes on after it."""
    algorithm = make_algorithm("pymoo:RVEA", problem(tiny(), 3))
    assert len(searched(algorithm, tiny(), HORIZON + 10, 3)[-1]) == 3


@every_algorithm
def test_a_warm_start_comes_right_after_the_baseline(name: str) -> None:
    """Before anything that the algorithm thinks of itself, each once."""
    given = tuple(tuple(row) for row in tiny().sample(np.random.default_rng(1), 3).tolist())
    baseline = tuple(tiny().encode(tiny().baseline)[0].tolist())
    algorithm = make_algorithm(name, problem(tiny(), 6, first=given))
    asked = [tuple(row) for row in np.concatenate([algorithm.ask(2), algorithm.ask(2)]).tolist()]
    assert asked[:4] == [baseline, *given]
    assert len(set(asked)) == len(asked)


def test_a_screen_chooses_among_more() -> None:
    """After the initial sample, several times as many are proposed as are asked for; what is left may come again."""
    offered: list[int] = []

    def last(candidates: IntArray, wanted: int) -> IntArray:
        offered.append(len(candidates))
        return np.arange(len(candidates) - wanted, len(candidates))

    algorithm = make_algorithm("nsga2", problem(tiny(), 10))
    algorithm.tell(judged(algorithm.ask(10, last), tiny()))
    assert offered == []
    assert len(algorithm.ask(6, last)) == 6
    assert offered == [24]


def test_the_initial_sample_has_the_size_of_the_population() -> None:
    """Distinct designs, the baseline first, for any population that the space has room for."""
    for population in (2, 5, 50):
        sample = initial_sample(problem(tiny(), population))
        assert len(np.unique(sample, axis=0)) == len(sample) == population


@pytest.mark.parametrize("name", [name for name in LEARNING if name not in PYMOO])
def test_learning_pays(name: str, tmp_path: Path) -> None:
    """With as many evaluations, every algorithm that learns covers more than random designs do, on average."""
    budget, population = 160, 20
    volumes = [
        [
            small_search(tmp_path / f"{algorithm}{seed}", budget, population, seed, cost_model="gemmini_40nm",
                         algorithm=algorithm).hypervolume()
            for seed in range(2)
        ]
        for algorithm in (name, "random")
    ]  # fmt: skip
    assert np.mean(volumes[0]) > np.mean(volumes[1])


@every_algorithm
def test_a_space_in_which_nothing_varies_is_refused(name: str) -> None:
    """Without a gene there is nothing to search; the message points to the command that costs one design."""
    with pytest.raises(InputError, match="nothing varies; one design is costed with codesign estimate"):
        make_algorithm(name, problem(very_small(), 10))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nsga3", r"unknown algorithm 'nsga3'; known: .*nsga2, optuna:gp.*pymoo:CLASS"),
        ("pymoo:NSGA4", r"unknown pymoo algorithm 'NSGA4'; known: .*NSGA3.*SPEA2"),
        ("pymoo:MOEAD", "pymoo:MOEAD cannot search: it evaluates one design after the other"),
        ("pymoo:CMOPSO", "it moves points through real numbers; genes are choices"),
        ("pymoo:GDE3", "it moves points through real numbers; genes are choices"),
        ("pymoo:RNSGA2", "it needs ref_points, which nobody here can choose"),
        ("pymoo:PINSGA2", "it asks a person which designs to prefer"),
        ("pymoo:GA", "it has one objective, this search 2"),
    ],
)
def test_an_algorithm_that_cannot_search_is_refused(name: str, message: str) -> None:
    """A misspelt one is answered with all names, an unfit one of pymoo with the reason."""
    with pytest.raises(InputError, match=message):
        make_algorithm(name, problem(tiny(), 10))


def test_the_survey_names_its_population() -> None:
    """40, as Kim et al. 2023 have it; others take the common default."""
    assert (default_population("survey"), default_population("nsga2")) == (40, 100)
