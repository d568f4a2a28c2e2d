"""Screening: which candidates are measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import codesign
from codesign.accuracy.memory import Remembering
from codesign.accuracy.proxy import FunctionProxy, resolve
from codesign.cost import technology
from codesign.design import FloatArray, ModelShape
from codesign.errors import InputError, ProxyError
from codesign.evaluation import make_evaluator
from codesign.front import non_dominated
from codesign.optimize.screening import FITTED_FROM, guess_fitted, guess_mapped, make_screen, promising
from codesign.space_file import read_space
from tests.optimize.rungs import Rungs, true_logs
from tests.optimize.searches import record_of, small_search
from tests.optimize.spaces import tiny, write_space


def dominated(values: FloatArray, others: FloatArray) -> list[bool]:
    """Whether each row of `values` is beaten by a row of `others`."""
    return [bool(((others <= row).all(axis=1) & (others < row).any(axis=1)).any()) for row in values]


@given(
    objectives=arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.integers(0, 6).map(float)),
    rivals=arrays(np.float64, st.tuples(st.integers(0, 6), st.just(2)), elements=st.integers(0, 6).map(float)),
    wanted=st.integers(1, 30),
)
def test_no_dominated_candidate_takes_the_place_of_another(
    objectives: FloatArray, rivals: FloatArray, wanted: int
) -> None:
    """As many as wanted are chosen, in order; a dominated one only when all non-dominated ones are."""
    chosen = promising(objectives, np.zeros(len(objectives)), rivals, wanted)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == min(wanted, len(objectives))
    beaten = np.array(dominated(objectives, np.concatenate([objectives, rivals])))
    if beaten[chosen].any():
        assert set(np.flatnonzero(~beaten)) <= set(chosen)


def test_feasible_candidates_come_first() -> None:
    """Then those that miss the limits by least, whatever their objectives, which may be unknown."""
    objectives = np.array([[1.0, 1.0], [np.nan, np.nan], [9.0, 9.0], [0.0, 0.0]])
    violation = np.array([0.0, 1.0, 0.0, 0.2])
    for wanted, expected in ((1, [0]), (2, [0, 2]), (3, [0, 2, 3]), (4, [0, 1, 2, 3])):
        assert promising(objectives, violation, np.zeros((0, 2)), wanted).tolist() == expected


def test_a_perfect_screen_measures_no_dominated_design_needlessly() -> None:
    """Real shapes, real costs: with exact predictions, a measured candidate is dominated only if none else was left."""
    judge = resolve(Rungs(noise=0.0, dearer=False))
    evaluator = make_evaluator(tiny(), technology.read("gemmini_40nm").content, judge)
    screen = make_screen("fitted", evaluator, "perplexity")
    assert screen is not None
    perfect = type(screen)(evaluator, "perplexity", lambda _one, _logs, shapes: true_logs(shapes))
    for seed in range(5):
        rng = np.random.default_rng(seed)
        past, candidates = evaluator(tiny().sample(rng, 40)), tiny().sample(rng, 80)
        chosen = perfect.choose(past, candidates, 20)
        values = evaluator(candidates).objectives(tiny().objectives)
        everything = np.concatenate([values, past.objectives(tiny().objectives)])
        best = np.flatnonzero(~np.array(dominated(values, everything)))
        assert set(best[:20]) <= set(chosen) or set(chosen) <= set(best)


def test_a_fit_finds_the_front_with_fewer_measurements(tmp_path: Path) -> None:
    """On a smooth quality, screening never leaves the front behind that of as many unscreened designs by much."""
    volumes = {
        screen: [
            small_search(tmp_path / f"{screen}{seed}", budget=100, seed=seed, screen=screen, cost_model="gemmini_40nm",
                         proxy=Rungs(noise=0.0, dearer=False)).hypervolume()
            for seed in range(3)
        ]
        for screen in ("none", "fitted")
    }  # fmt: skip
    assert np.mean(volumes["fitted"]) > np.mean(volumes["none"])


def shapes(n: int, seed: int = 0) -> ModelShape:
    """Random shapes of `tiny`."""
    return tiny().decode(tiny().sample(np.random.default_rng(seed), n)).shape


def test_a_cheap_proxy_is_mapped_onto_the_measured_scale() -> None:
    """Any increasing power law of the truth predicts it; one that ranks backwards or not at all tells nothing."""

    def cheap(power: float) -> Remembering:
        return Remembering(FunctionProxy("cheap", lambda shape: {"score": np.exp(power * true_logs(shape) - 2.0)}))

    measured, wanted = shapes(40), shapes(10, 1)
    for power in (0.3, 5.0):
        guess = guess_mapped(cheap(power), measured, true_logs(measured), wanted)
        assert guess is not None
        np.testing.assert_allclose(guess, true_logs(wanted), rtol=1e-9)
    for power in (-1.0, 0.0):
        assert guess_mapped(cheap(power), measured, true_logs(measured), wanted) is None


def test_a_misspelt_screen_lists_those_that_are_none_of_the_proxies() -> None:
    """A name that is no proxy is answered with the screens' own names too."""
    evaluator = make_evaluator(
        read_space("sotu_lm").content, technology.read("gemmini_40nm").content, resolve("supernet")
    )
    with pytest.raises(InputError, match="screen 'bogus': expected fitted, none or a proxy: unknown proxy 'bogus'"):
        make_screen("bogus", evaluator, "perplexity")


def test_few_measurements_are_no_ground_to_screen_on() -> None:
    """Below FITTED_FROM shapes, or where all are alike, everything proposed is measured."""
    few = shapes(FITTED_FROM - 1)
    assert guess_fitted(few, true_logs(few), shapes(5)) is None
    alike = shapes(1).take(np.zeros(FITTED_FROM, dtype=np.int64))
    assert guess_fitted(alike, true_logs(alike), shapes(5)) is None


def test_a_screen_is_part_of_the_search(tmp_path: Path) -> None:
    """It is in run.json, changes what is measured, and the same search gives the same bytes."""
    options: dict[str, Any] = {"proxy": Rungs(), "screen": "surrogate", "cost_model": "gemmini_40nm"}
    run = small_search(tmp_path / "one", **options)
    assert run.manifest.screen == "surrogate"
    small_search(tmp_path / "two", **options)
    assert record_of(tmp_path / "one") == record_of(tmp_path / "two")
    plain = small_search(tmp_path / "plain", **options | {"screen": None})
    assert plain.manifest.screen is None
    assert not np.array_equal(plain.evaluations.genomes, run.evaluations.genomes)
    assert np.array_equal(plain.evaluations.genomes[:20], run.evaluations.genomes[:20])


def test_a_space_names_a_screen_for_its_own_proxy(tmp_path: Path) -> None:
    """It holds where the user names neither a proxy nor another screen."""
    space = write_space(tmp_path, {'objectives = ["': 'screen = "surrogate_txl"\nobjectives = ["'})
    for options, expected in (
        ({}, "surrogate_txl"), ({"screen": "none"}, None), ({"screen": "fitted"}, "fitted"), ({"proxy": Rungs()}, None),
    ):  # fmt: skip
        run = small_search(tmp_path / f"{len(list(tmp_path.iterdir()))}", space=space, **options)
        assert run.manifest.screen == expected


@pytest.mark.parametrize(
    ("screen", "error", "message"),
    [
        ("surogate", InputError, "unknown proxy 'surogate'"),
        ("surrogate", InputError, "screen 'surrogate': expected a cheaper proxy than the one that measures"),
        ("published_mnli", ProxyError, "published_mnli"),
    ],
)
def test_a_useless_screen_is_refused(screen: str, error: type[Exception], message: str, tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(error, match=message):
        small_search(tmp_path / "run", screen=screen)
    assert not (tmp_path / "run").exists()


def test_a_small_space_is_still_exhausted(tmp_path: Path) -> None:
    """With a screen too, every design is measured in the end, each once."""
    fixed = {"ffn = { choices = [128, 192, 256, 512], per_layer = true }": "ffn = 512",
             "heads = { choices = [1, 2], per_layer = true }": "heads = 2"}  # fmt: skip
    space = write_space(tmp_path, fixed)
    run = small_search(tmp_path / "run", space=space, budget=10_000, proxy=Rungs(), screen="fitted")
    assert len(run.evaluations) == run.space.size()
    assert len(np.unique(run.evaluations.genomes, axis=0)) == run.space.size()
    assert non_dominated(run.judged.objectives(run.space.objectives)[run.front_ids()]).all()
    assert codesign.resume(tmp_path / "run", proxy=Rungs()).full is not None
