"""Which neighbours on a front are in no certain order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.design import FloatArray
from codesign.evaluation import Evaluations, no_failures
from codesign.ties import TIE, ties_of


def of_qualities(values: FloatArray) -> Evaluations:
    """Evaluations of which only quality is read."""
    n = len(values)
    no, zero = np.zeros(n, dtype=np.bool_), np.zeros(n)
    return Evaluations(np.zeros((n, 1), dtype=np.int64), {"perplexity": values}, zero, no, zero, no_failures(n))


@given(
    steps=st.lists(st.floats(0, 1), min_size=1, max_size=12),
    errors=st.lists(st.sampled_from([0.0, 0.01, 0.3, np.inf, np.nan]), min_size=12, max_size=12),
)
def test_ties_are_symmetric_and_between_neighbours(steps: list[float], errors: list[float]) -> None:
    """Whoever is tied with a design has it among its own ties; two apart are never tied directly."""
    values = np.exp(np.cumsum([0.0, *steps]))
    ids = np.arange(len(values))
    ties = ties_of(of_qualities(values), "perplexity", ids, np.array(errors[: len(steps)]))
    for id_, tied in ties.items():
        for other in tied or []:
            assert abs(other - id_) == 1
            assert id_ in (ties[other] or [])


@pytest.mark.parametrize("equal", [False, True])
def test_no_noise_ties_nothing_and_endless_noise_everything(equal: bool) -> None:
    """Even equal qualities are no tie where they are exact; unknown noise is not the same as none."""
    values = np.full(5, 3.0) if equal else np.arange(1.0, 6.0)
    ids, found = np.arange(5), of_qualities(values)
    assert set(map(tuple, ties_of(found, "perplexity", ids, np.zeros(4)).values())) == {()}  # type: ignore[arg-type]
    everything = ties_of(found, "perplexity", ids, np.full(4, np.inf))
    assert everything == {0: [1], 1: [0, 2], 2: [1, 3], 3: [2, 4], 4: [3]}
    assert set(ties_of(found, "perplexity", ids, np.full(4, np.nan)).values()) == {None}


def test_a_tie_is_below_two_standard_errors() -> None:
    """The limit itself is no tie."""
    found = of_qualities(np.exp([0.0, 0.5]))
    for share, tied in ((0.99, []), (1.0, []), (1.01, [1])):
        assert ties_of(found, "perplexity", np.array([0, 1]), np.array([share * 0.5 / TIE]))[0] == tied


def test_one_design_has_no_neighbour() -> None:
    """A front of one is tied with nobody, an empty one has no ties."""
    assert ties_of(of_qualities(np.ones(1)), "perplexity", np.array([0]), np.array([])) == {0: []}
    assert ties_of(of_qualities(np.ones(1)), "perplexity", np.array([], dtype=np.int64), np.array([])) == {}
