"""How well guesses rank trained networks: plain functions of columns. A lower guess says a lower loss.

Kendall's tau b over a set of pairs (Kendall 1945): with s and t the signs of the differences of guess and loss,

tau = sum s t / sqrt(sum s² sum t²)

The set is all pairs, those inside a stratum, or those among the best; so a tau inside strata weighs each stratum by its
pairs. Resampled networks (bootstrap) weigh a pair by how often it was drawn; a network drawn twice is no pair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.design import BoolArray, FloatArray, IntArray
from codesign.front import dominated_volume, non_dominated

RESAMPLES = 2000
INTERVAL = (0.025, 0.975)
REFERENCE_MARGIN = 0.1
"""How far beyond the worst network the hypervolume's reference point lies, in ranges of each objective."""


def tau(guess: FloatArray, loss: FloatArray, pairs: BoolArray, counts: FloatArray) -> FloatArray:
    """Return (b,) tau b over a set of pairs; NaN where all guesses or all losses of it are equal.

    Args:
        guess: (n,).
        loss: (n,).
        pairs: (n, n) symmetric, True for pairs that count.
        counts: (b, n) how often each network counts.
    """
    s, t = (np.sign(column[:, None] - column[None, :]) for column in (guess, loss))
    agreeing, of_guess, of_loss = (_weighted(terms * pairs, counts) for terms in (s * t, s * s, t * t))
    norm = np.sqrt(of_guess * of_loss)
    return np.asarray(np.divide(agreeing, norm, out=np.full(len(counts), np.nan), where=norm > 0))


def resampled(n: int, seed: int) -> FloatArray:
    """Return (RESAMPLES, n) how often each of n networks is drawn, n at a time."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)


def interval(values: FloatArray) -> tuple[float, float]:
    """Return the central 95 % of resampled values, those that are NaN left out."""
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, INTERVAL) if len(known) else (np.nan, np.nan)
    return float(low), float(high)


def equal_parts(size: FloatArray, parts: int) -> IntArray:
    """(n,) 0 for the smallest n / parts networks ... parts - 1 for the largest."""
    return np.asarray(np.argsort(np.argsort(size, kind="stable"), kind="stable") * parts // len(size))


def inside(labels: IntArray) -> BoolArray:
    """(n, n) True for pairs of equal labels; a negative label belongs nowhere."""
    return np.asarray((labels[:, None] == labels[None, :]) & (labels >= 0))


def best(loss: FloatArray, share: float) -> BoolArray:
    """(n,) True for the lowest losses: a share of all networks, two at least."""
    count = max(2, int(np.ceil(share * len(loss))))
    return np.asarray(np.argsort(np.argsort(loss, kind="stable"), kind="stable") < count)


@dataclass(frozen=True)
class Regret:
    """What is lost by choosing the front of (cost, guess) instead of the true one."""

    hypervolume_ratio: float
    """Of the chosen networks' true points over the true front's; 1 = nothing lost."""
    nats: float
    """Mean over the true front of: the best loss chosen at no higher cost, less the true one."""
    chosen: int
    """Networks on the guessed front."""


def regret(log_cost: FloatArray, guess: FloatArray, loss: FloatArray) -> Regret:
    """Compare the guessed front with the true one, both by their true losses.

    Args:
        log_cost: (n,) known to both.
        guess: (n,) lower is better.
        loss: (n,) nats.
    """
    points = np.stack([log_cost, loss], axis=1)
    chosen, true = non_dominated(np.stack([log_cost, guess], axis=1)), non_dominated(points)
    low, high = points.min(axis=0), points.max(axis=0)
    reference = high + REFERENCE_MARGIN * np.where(high > low, high - low, 1.0)
    ratio = dominated_volume(points[chosen], reference) / dominated_volume(points[true], reference)
    reachable = np.where(log_cost[chosen][None, :] <= log_cost[true][:, None], loss[chosen][None, :], np.inf)
    # Of networks of one least cost, the guess may take another than the true best: its loss still counts.
    cheapest = loss[chosen][log_cost[chosen].argmin()]
    lost = np.where(np.isinf(reachable.min(axis=1)), cheapest, reachable.min(axis=1)) - loss[true]
    return Regret(float(ratio), float(lost.mean()), int(chosen.sum()))


def ceiling(loss: FloatArray, error: FloatArray, pairs: BoolArray, seed: int) -> float:
    """Return the mean tau of the losses with themselves after a draw of their errors: what a perfect proxy reaches.

    The losses have their errors in them already, which spreads them; so this is slightly too high.

    Args:
        loss: (n,) measured.
        error: (n,) standard errors, independent of each other.
        pairs: (n, n) pairs that count.
        seed: of the draws.
    """
    rng, once = np.random.default_rng(seed), np.ones((1, len(loss)))
    draws = [tau(loss + error * rng.standard_normal(len(loss)), loss, pairs, once)[0] for _ in range(RESAMPLES // 10)]
    return float(np.mean(draws))


def seed_deviation(first: FloatArray, second: FloatArray) -> float:
    """Return the standard deviation of a loss over seeds, from (k,) networks trained with two each; NaN for none."""
    return float(np.sqrt(np.mean((first - second) ** 2) / 2)) if len(first) else float("nan")


def _weighted(terms: FloatArray, counts: FloatArray) -> FloatArray:
    """(b,) sum over i, j of c_i terms_ij c_j."""
    return np.asarray(((counts @ terms) * counts).sum(axis=1))
