"""Surrogates side by side on trained nets: ranking, error and intervals of predictions of nets that no fit has seen.

Two ways to hold nets out: pooled folds (each net is predicted by a fit to the other folds), and a learning curve (fits
to a random few, judged on all others). Whatever a method chooses, it chooses inside what it is fitted to.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau, spearmanr

from codesign.accuracy.fitted import Z80, Method, fit
from codesign.accuracy.fitted_features import Features
from codesign.accuracy.surrogate import spread, terms
from codesign.bench.surrogate_nets import Measured, read_measured
from codesign.design import BoolArray, FloatArray, IntArray
from codesign.errors import InputError

Figures = dict[str, object]
Column = tuple[FloatArray, FloatArray]
"""(n,) ln(perplexity) and (n,) standard errors."""

Predictor = Callable[[Measured, IntArray, IntArray, int], Column]
"""Nets, rows to fit to, rows to predict, seed."""

SEEDS = 10
FOLDS = 5
TRAIN_SIZES = (20, 40, 80, 160)
FEWEST_TESTED = 20
TOP = 0.2
STRATA = 5


def six_coefficients(nets: Measured, train: IntArray, test: IntArray, seed: int) -> Column:  # noqa: ARG001 - draws nothing
    """The shipped surrogate's form, refitted: least squares on a quadratic in log attention and log FFN parameters."""
    x = terms(nets.attention, nets.ffn)
    y = nets.log_perplexity[train]
    covariance = np.linalg.pinv(x[train].T @ x[train])
    coefficients = np.linalg.lstsq(x[train], y)[0]
    residual = y - x[train] @ coefficients
    deviation = np.sqrt(residual @ residual / max(len(train) - x.shape[1], 1))
    return x[test] @ coefficients, deviation * np.sqrt(1 + spread(x[test], np.asarray(covariance)))


def non_embedding(nets: Measured, train: IntArray, test: IntArray, seed: int) -> Column:  # noqa: ARG001 - fits nothing
    """Rank by non-embedding parameters alone; gives no error."""
    return -np.log(nets.non_embedding[test]), np.full(len(test), np.nan)


def fitted(method: Method, core_only: bool) -> Predictor:
    """A method of `codesign.accuracy.fitted` on sizes, or on sizes and layout."""

    def predict(nets: Measured, train: IntArray, test: IntArray, seed: int) -> Column:
        features = core(nets.features) if core_only else nets.features
        return fit(features.take(train), nets.log_perplexity[train], method, seed).predict(features.take(test))

    return predict


def core(features: Features) -> Features:
    """Return the core columns."""
    return features.columns(features.names[: features.core])


PREDICTORS: dict[str, Predictor] = {
    "non_embedding_parameters": non_embedding,
    "six_coefficients": six_coefficients,
    "ridge_sizes": fitted("ridge", True),
    "quadratic_sizes": fitted("quadratic", True),
    "quadratic_sizes_layout": fitted("quadratic", False),
    "mlp_sizes": fitted("mlp", True),
    "mlp_sizes_layout": fitted("mlp", False),
    "gp_sizes": fitted("gp", True),
    "gp_sizes_layout": fitted("gp", False),
    "auto": fitted("auto", False),
}
"""What is compared; the last is the default."""


def compare(path: Path, train_size: int | None = None, seeds: int = SEEDS) -> list[Figures]:
    """Return a row a predictor, on one table of nets.

    Args:
        path: the table; see `codesign.bench.surrogate_nets`.
        train_size: fit to so many random nets and judge on all others, instead of pooled folds and learning curve.
        seeds: figures are means over so many draws.

    Raises:
        InputError: a table that cannot be read, or a train size that leaves too few nets to fit or to judge.
    """
    nets = read_measured(path)
    most = len(nets) - FEWEST_TESTED
    if train_size is not None and not min(TRAIN_SIZES) <= train_size <= most:
        raise InputError(
            f"{path}: train size: expected {min(TRAIN_SIZES)}..{most} of {len(nets)} nets, "
            f"the others are predicted; got {train_size}"
        )
    return [_row(nets, name, predictor, train_size, seeds) for name, predictor in PREDICTORS.items()]


def held_out(nets: Measured, predictor: Predictor, train_size: int | None, seed: int) -> tuple[IntArray, Column]:
    """Return the rows that were held out, and their predictions: all in pooled folds, or those beyond a train size."""
    order = np.random.default_rng(seed).permutation(len(nets))
    if train_size is not None:
        train, test = order[:train_size], order[train_size:]
        return test, predictor(nets, train, test, seed)
    mean, error = np.empty(len(nets)), np.empty(len(nets))
    for fold in range(FOLDS):
        test = order[fold::FOLDS]
        mean[test], error[test] = predictor(nets, np.setdiff1d(order, test), test, seed)
    return np.arange(len(nets)), (mean, error)


def _row(nets: Measured, name: str, predictor: Predictor, train_size: int | None, seeds: int) -> Figures:
    setting: Figures = {"set": nets.name, "n_nets": len(nets), "predictor": name, "seeds": seeds}
    if train_size is not None:
        return setting | {"train_size": train_size} | _averaged(nets, predictor, train_size, seeds)
    curve = {}
    for size in [size for size in TRAIN_SIZES if size <= len(nets) - FEWEST_TESTED]:
        few = [held_out(nets, predictor, size, seed) for seed in range(seeds)]
        curve[f"kendall_tau_train_{size}"] = _mean([_tau(mean, nets.log_perplexity[rows]) for rows, (mean, _) in few])
    return setting | {"folds": FOLDS} | _averaged(nets, predictor, None, seeds) | curve


def _averaged(nets: Measured, predictor: Predictor, train_size: int | None, seeds: int) -> dict[str, float]:
    runs = [_judged(nets, *held_out(nets, predictor, train_size, seed)) for seed in range(seeds)]
    keys = dict.fromkeys(key for run in runs for key in run)
    return {key: _mean([run[key] for run in runs if key in run]) for key in keys}


def _judged(nets: Measured, rows: IntArray, prediction: Column) -> dict[str, float]:
    """Ranking and errors over all held-out nets, inside quintiles of non-embedding size and among the best; intervals.

    No errors and intervals where a predictor gives no standard error; nothing of a quintile that equal sizes leave with
    fewer than two nets.
    """
    (mean, error), truth = prediction, nets.log_perplexity[rows]
    size, predicts = nets.non_embedding[rows], not np.isnan(error).any()
    quintile = np.searchsorted(np.quantile(size, np.arange(1, STRATA) / STRATA), size)
    strata = {f"_size_quintile_{k + 1}": quintile == k for k in range(STRATA)}
    parts = {"": np.ones(len(truth), dtype=np.bool_), **strata, "_top_20_percent": truth <= np.quantile(truth, TOP)}
    found: dict[str, float] = {}
    for name, chosen in parts.items():
        if np.sum(chosen) < 2:
            continue
        ours, theirs = mean[chosen], truth[chosen]
        found[f"kendall_tau{name}"] = _tau(ours, theirs)
        found[f"spearman{name}"] = float(spearmanr(ours, theirs).statistic)
        if predicts:
            found[f"mape_percent{name}"] = 100 * _mean(np.abs(np.expm1(ours - theirs)))
    if not predicts:
        return found
    z = (truth - mean) / error
    intervals = {"interval_80_coverage_percent": 100 * _mean(np.abs(z) <= Z80), "z_rms": float(np.sqrt(np.mean(z**2)))}
    return found | intervals


def _tau(score: FloatArray, truth: FloatArray) -> float:
    return float(kendalltau(score, truth).statistic)


def _mean(values: list[float] | FloatArray | BoolArray) -> float:
    return float(np.mean(values))
