"""Rank correlations, regret and ceilings by hand and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from codesign.bench.study_ranks import (
    best,
    ceiling,
    equal_parts,
    inside,
    interval,
    regret,
    resampled,
    seed_deviation,
    tau,
)

ONCE = np.ones((1, 6))
EVERYWHERE = np.ones((6, 6), dtype=bool)
few_values = st.lists(st.integers(0, 5), min_size=6, max_size=6).map(np.array)


@given(guess=few_values, loss=few_values)
def test_over_all_pairs_it_is_taub(guess: np.ndarray, loss: np.ndarray) -> None:
    """With every pair once, tau is scipy's tau b, ties and all."""
    expected = kendalltau(guess, loss).statistic if np.ptp(guess) and np.ptp(loss) else np.nan
    np.testing.assert_allclose(tau(guess, loss, EVERYWHERE, ONCE)[0], expected, atol=1e-12)


@given(guess=few_values, loss=few_values, counts=st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_resampling_repeats_networks(guess: np.ndarray, loss: np.ndarray, counts: list[int]) -> None:
    """A count is the network written down so often."""
    rows = np.repeat(np.arange(6), counts)
    varies = len(rows) and np.ptp(guess[rows]) and np.ptp(loss[rows])
    expected = kendalltau(guess[rows], loss[rows]).statistic if varies else np.nan
    found = tau(guess, loss, EVERYWHERE, np.array([counts], dtype=float))[0]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_inside_strata_by_hand() -> None:
    """Two strata of three: one ranked right, one with one of its three pairs right: (3 + 1 - 2) / 6."""
    guess = np.array([1.0, 2, 3, 10, 30, 20])
    loss = np.array([1.0, 2, 3, 30, 10, 20])
    strata = inside(np.array([0, 0, 0, 1, 1, 1]))
    # Guesses 10 < 30, 10 < 20, 20 < 30; losses 30 > 10, 30 > 20, 20 > 10: all three wrong.
    np.testing.assert_allclose(tau(guess, loss, strata, ONCE)[0], 0.0)
    loss[3] = 15.0  # now 15 > 10 is wrong, 15 < 20 right, 20 > 10 wrong
    np.testing.assert_allclose(tau(guess, loss, strata, ONCE)[0], (3 + 1 - 2) / 6)


def test_a_negative_label_belongs_nowhere() -> None:
    """Networks outside all groups make no pair, and a set without pairs has no tau."""
    assert not inside(np.array([-1, -1, 0, 1])).sum() > 2
    assert np.isnan(tau(ONCE[0], np.arange(6.0), inside(np.full(6, -1)), ONCE)[0])


def test_strata_are_equally_large() -> None:
    """Sizes are cut into parts of equal numbers, smallest first, equal sizes in their order."""
    np.testing.assert_array_equal(equal_parts(np.array([5.0, 1, 1, 9, 7, 3, 2, 8]), 4), [2, 0, 0, 3, 2, 1, 1, 3])


def test_the_best_are_a_share() -> None:
    """The lowest losses, rounded up, and two at least."""
    np.testing.assert_array_equal(best(np.array([3.0, 1, 2, 5, 4, 9]), 0.5), [1, 1, 1, 0, 0, 0])
    assert best(np.arange(4.0), 0.1).sum() == 2


COST = np.array([0.0, 1, 2, 3])
LOSS = np.array([4.0, 3, 3.5, 1])


@pytest.mark.parametrize("guess", [LOSS, np.exp(LOSS), 10 * LOSS - 3])
def test_a_perfect_proxy_loses_nothing(guess: np.ndarray) -> None:
    """Whatever rises with the loss chooses the true front."""
    found = regret(COST, guess, LOSS)
    assert (found.hypervolume_ratio, found.nats, found.chosen) == (1.0, 0.0, 3)


def test_regret_by_hand() -> None:
    """A guess that takes the third network for the second: its front has losses 4, 3.5, 1 at costs 0, 2, 3."""
    found = regret(COST, np.array([4.0, 5, 3, 1]), LOSS)
    # True front: (0, 4), (1, 3), (3, 1). At cost 1 the best that was chosen is 4, one nat too many.
    assert found.nats == pytest.approx((0 + 1 + 0) / 3)
    # Reference (3.3, 4.3): steps of .3 over (0..1), 1.3 over (1..3), 3.3 over (3..3.3); chosen .3 (0..2), .8 (2..3).
    true, chosen = 0.3 * 1 + 1.3 * 2 + 3.3 * 0.3, 0.3 * 2 + 0.8 * 1 + 3.3 * 0.3
    assert found.hypervolume_ratio == pytest.approx(chosen / true)


def test_the_ceiling_falls_with_the_errors() -> None:
    """Without errors a perfect proxy reaches 1; with errors as wide as the differences it does not."""
    loss = np.arange(6.0)
    assert ceiling(loss, np.zeros(6), EVERYWHERE, 0) == 1.0
    assert 0.3 < ceiling(loss, np.full(6, 2.0), EVERYWHERE, 0) < 0.8


def test_intervals_hold_the_middle() -> None:
    """The central 95 % of resampled values; what is not known is left out."""
    low, high = interval(np.append(np.linspace(0, 1, 1001), np.nan))
    assert (low, high) == pytest.approx((0.025, 0.975))
    assert all(np.isnan(interval(np.array([np.nan]))))
    assert (resampled(5, 0).sum(axis=1) == 5).all()


def test_seeds_by_hand() -> None:
    """The difference of two draws has twice the variance of one."""
    assert seed_deviation(np.array([1.0, 2.0]), np.array([1.2, 1.8])) == pytest.approx(0.2 / np.sqrt(2))
    assert np.isnan(seed_deviation(np.array([]), np.array([])))
