"""What a proxy is worth, given trained networks; made-up ones with known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codesign.bench.study_guesses import Guess
from codesign.bench.study_judge import COMPARED, Truth, judged

COUNT = 16


@pytest.fixture(scope="module")
def truth() -> Truth:
    """Return sixteen networks, every second in one of four groups; the cost rises with the size, the loss falls."""
    rng = np.random.default_rng(0)
    group = [f"equal {i // 2 % 4 + 1}" if i % 2 else "uniform" for i in range(COUNT)]
    size = 1e4 * (1 + np.arange(COUNT) // 2 % 4) * rng.uniform(0.99, 1.01, COUNT)
    loss = 5 - 0.1 * np.log(size) + rng.normal(0, 0.05, COUNT)
    return Truth(loss, np.full(COUNT, 0.01), size, group, np.log(size))


def test_a_perfect_proxy_is_perfect(truth: Truth) -> None:
    """Tau 1 everywhere, nothing lost on the front, and a gain over size."""
    size = Guess(COMPARED["size"], -truth.size, 0.0)
    first, second = judged(truth, [size, Guess("perfect", np.exp(truth.loss), 3.0, refused=True)])
    assert (first["proxy"], second["proxy"]) == ("perfect", COMPARED["size"])
    for part in ("", "_in_strata", "_at_equal_size", "_top", "_low", "_high", "_stratum_1", "_stratum_4"):
        assert first[f"kendall_tau{part}"] == 1.0
    assert (first["spearman"], first["hypervolume_ratio"], first["regret_nats"]) == (pytest.approx(1.0), 1.0, 0.0)
    assert (first["seconds"], first["refused"], first["nets"], first["top_nets"]) == (3.0, True, COUNT, 4)
    assert first["gain_over_size_in_strata"] == pytest.approx(1 - second["kendall_tau_in_strata"])
    assert second["gain_over_size_in_strata"] == second["gain_over_size_in_strata_low"] == 0.0
    assert first["gain_over_size_in_strata_low"] > 0
    assert (first["pairs_in_strata"], first["pairs_at_equal_size"]) == (4 * 6, 4 * 1)


def test_a_reversed_proxy_is_worst(truth: Truth) -> None:
    """Tau -1, and its front has worse networks."""
    (row,) = judged(truth, [Guess("reversed", -truth.loss, 0.0)])
    assert row["kendall_tau"] == row["kendall_tau_in_strata"] == -1.0
    assert row["hypervolume_ratio"] < 1
    assert row["regret_nats"] > 0


def test_a_proxy_is_judged_where_it_has_an_opinion(truth: Truth) -> None:
    """Networks without a guess are left out, a guess that is the same for all has no tau, too few are not judged."""
    some = np.where(np.arange(COUNT) < 10, truth.loss, np.nan)
    few = np.where(np.arange(COUNT) < 3, truth.loss, np.nan)
    guesses = [Guess("some", some, 0.0), Guess("flat", np.ones(COUNT), 0.0), Guess("few", few, 0.0)]
    rows = {row["proxy"]: row for row in judged(truth, guesses)}
    assert (rows["some"]["nets"], rows["some"]["kendall_tau"]) == (10, 1.0)
    assert np.isnan(rows["flat"]["kendall_tau"])
    assert rows["few"]["not_judged"] == "fewer than 4 networks"


def test_proxies_are_compared_pair_by_pair(truth: Truth) -> None:
    """A gain is the difference of two tau; of the same guess it is 0 in every resample; an unknown other has none."""
    noisy = truth.loss + np.random.default_rng(1).normal(0, 0.05, COUNT)
    guesses = [Guess(COMPARED["supernet"], noisy, 0.0), Guess("the same", noisy, 0.0), Guess("best", truth.loss, 0.0)]
    rows = {row["proxy"]: row for row in judged(truth, guesses)}
    same, best = rows["the same"], rows["best"]
    assert same["gain_over_supernet"] == same["gain_over_supernet_low"] == same["gain_over_supernet_high"] == 0.0
    assert best["gain_over_supernet"] == pytest.approx(1 - same["kendall_tau"])
    assert 0 < best["gain_over_supernet_low"] < best["gain_over_supernet"] < best["gain_over_supernet_high"]
    assert not any("gain_over_size" in column for column in same)


def test_who_has_no_opinion_is_not_compared_with(truth: Truth) -> None:
    """An other that knows fewer networks says nothing of those that it does not know."""
    partly = np.where(np.arange(COUNT) < 10, truth.loss, np.nan)
    rows = {
        row["proxy"]: row for row in judged(truth, [Guess(COMPARED["size"], partly, 0), Guess("all", truth.loss, 0)])
    }
    assert "gain_over_size" not in rows["all"]
    assert rows[COMPARED["size"]]["gain_over_size"] == 0.0


def test_truth_of_some_networks(truth: Truth) -> None:
    """Taking networks takes all that is known of them."""
    part = truth.take(np.arange(COUNT) < 5)
    assert (len(part.loss), len(part.group)) == (5, 5)
    assert replace(part, loss=truth.loss[:5]).group == truth.group[:5]
