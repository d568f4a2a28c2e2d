"""Surrogates fitted to measured models: named columns in, ln(loss) and its calibrated standard error out.

| method | what it is | for |
|---|---|---|
| ridge | linear in the columns | many one-hot columns, many rows |
| quadratic | ridge on the columns and all their products | few columns |
| gp | Gaussian process | few columns, at most some hundred rows |
| mlp | ensemble of small networks on top of the ridge | anything |
| auto | gp where rows and columns are few enough (very few rows: on the core), otherwise ridge or mlp | any |

Between ridge and mlp, auto takes the smaller held-out error. It does not pick so among all: on 40 to 160 trained nets
that ranked no better than always taking the process, and the winner's standard error was too small.

Whatever the method, the target is standardised, columns that do not vary are left out, and each row is predicted
by a fit without its fold, the same five folds for all methods. The standard error is stretched so that these held-out
errors, in units of it, have mean square 1.

Left out: measurements of different precision (all rows count the same).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from codesign.accuracy.fitted_features import Features
from codesign.accuracy.fitted_gp import GaussianProcess, fit_gp
from codesign.accuracy.fitted_mlp import Networks, fit_networks
from codesign.accuracy.fitted_ridge import Ridge, fit_ridge
from codesign.accuracy.fitted_scale import Column
from codesign.design import BoolArray, FloatArray
from codesign.errors import InputError

Model = Ridge | GaussianProcess | Networks
Method = Literal["ridge", "quadratic", "gp", "mlp", "auto"]
METHODS: tuple[Method, ...] = ("ridge", "quadratic", "gp", "mlp", "auto")

FEWEST_ROWS = 10
FOLDS = 5

# Beyond these, auto does not take the process: it inverts rows x rows in each of some sixty steps a fold.
MOST_GP_ROWS = 600
MOST_GP_COLUMNS = 40
# Beyond this, gp itself refuses: it would take minutes and then hours. Time goes with rows² x columns.
REFUSED_GP_ROWS = 2000
# Beyond this, quadratic refuses: 5,150 products of each row.
MOST_QUADRATIC_COLUMNS = 100
# With fewer, auto reads the core only: the process cannot tell which other columns matter.
ROWS_A_COLUMN = 6
SCALING: tuple[Method, ...] = ("ridge", "mlp")

# Numbers at the edge of the fitted range must stay inside although other machines round them differently.
ROUNDING = 1e-9

COVERED = 0.8
Z80 = NormalDist().inv_cdf(0.5 + COVERED / 2)


@dataclass(frozen=True)
class HeldOut:
    """How far predictions of fitted rows, each made without itself, are from what was measured."""

    rms: float
    """Root mean square error of ln(loss)."""
    z_mean: float
    """Mean of error / standard error."""
    z_rms: float
    """Root mean square of the same, before the stretch: 1 if the method's own standard error was right."""
    covered_80: float
    """Share of rows inside their 80 % interval, after the stretch."""


@dataclass(frozen=True)
class Fitted:
    """A surrogate; `predict` is all that it is for."""

    method: str
    names: tuple[str, ...]
    """Columns that it reads."""
    low: FloatArray  # (f,) smallest fitted value of each column
    high: FloatArray  # (f,)
    mean: float
    """Of the fitted ln(loss)."""
    deviation: float
    """Of the fitted ln(loss); 1 where all are equal."""
    stretch: float
    """Factor on the method's own standard error."""
    rows: int
    held_out: HeldOut
    model: Model

    def predict(self, features: Features) -> Column:
        """Return (n,) ln(loss) and (n,) standard errors of a model measured like the fitted ones.

        The last bits of an answer may depend on how many rows are asked for together.

        Raises:
            InputError: a column that it reads is missing.
        """
        mean, error = self.model.predict(features.columns(self.names).values)
        return self.mean + self.deviation * mean, self.deviation * self.stretch * error

    def outside(self, features: Features) -> BoolArray:
        """(n,) True where a column is beyond the fitted rows; one that they did not vary counts too."""
        values = features.columns(self.names).values
        room = ROUNDING * np.maximum(np.abs(self.low), np.abs(self.high))
        return np.asarray(((values < self.low - room) | (values > self.high + room)).any(axis=1))


def fit(features: Features, log_loss: FloatArray, method: Method = "auto", seed: int = 0) -> Fitted:
    """Fit a surrogate.

    Args:
        features: of n measured models.
        log_loss: (n,) natural logarithm of what was measured; lower is better.
        method: see the module.
        seed: of the folds and of the networks.

    Raises:
        InputError: too few rows, numbers that are not finite, no column that varies, an unknown method, or too many
            rows or columns for it.
    """
    _check(features, log_loss, method)
    if method != "auto":
        return _fit_one(features, log_loss, method, seed)
    rows, columns = features.values.shape
    if rows <= MOST_GP_ROWS and columns <= MOST_GP_COLUMNS:
        core = features.columns(features.names[: features.core])
        few = rows < ROWS_A_COLUMN * columns and np.ptp(core.values, axis=0).any()
        return _fit_one(core if few else features, log_loss, "gp", seed)
    return min((_fit_one(features, log_loss, one, seed) for one in SCALING), key=lambda fitted: fitted.held_out.rms)


def _fit_one(features: Features, log_loss: FloatArray, method: Method, seed: int) -> Fitted:
    mean, spread = float(log_loss.mean()), float(log_loss.std())
    deviation = spread if spread > 0 else 1.0
    model, (guess, error) = _fit_model(features, (log_loss - mean) / deviation, method, seed)
    residual = (log_loss - mean) / deviation - guess
    # Losses that are all equal leave nothing over: no error to stretch.
    z = np.divide(residual, error, out=np.zeros_like(residual), where=error > 0)
    rms = float(np.sqrt(np.mean(z**2)))
    covered = float(np.mean(np.abs(z) <= Z80 * rms))
    return Fitted(
        method=method,
        names=features.names,
        low=features.values.min(axis=0),
        high=features.values.max(axis=0),
        mean=mean,
        deviation=deviation,
        stretch=rms or 1.0,
        rows=len(log_loss),
        held_out=HeldOut(deviation * float(np.sqrt(np.mean(residual**2))), float(z.mean()), rms, covered),
        model=model,
    )


def _fit_model(features: Features, z: FloatArray, method: Method, seed: int) -> tuple[Model, Column]:
    """Return the model, and what models without a row's fold predict of each row."""
    fold = np.random.default_rng(seed).permutation(len(z)) % FOLDS
    if method == "mlp":
        return fit_networks(features.values, z, fold, seed)
    guess, error = np.empty_like(z), np.empty_like(z)
    for held_out in range(FOLDS):
        test = fold == held_out
        part = _fit_smooth(features.values[~test], z[~test], method, features.core)
        guess[test], error[test] = part.predict(features.values[test])
    return _fit_smooth(features.values, z, method, features.core), (guess, error)


def _fit_smooth(x: FloatArray, z: FloatArray, method: Method, core: int) -> Ridge | GaussianProcess:
    return fit_gp(x, z, core) if method == "gp" else fit_ridge(x, z, quadratic=method == "quadratic")


def _check_size(rows: int, columns: int, method: str) -> None:
    """Refuse what would take hours or all memory."""
    most = int(REFUSED_GP_ROWS * min(1, (MOST_GP_COLUMNS / columns) ** 0.5))
    if method == "gp" and rows > most:
        raise InputError(f"fit: gp: expected at most {most} rows of {columns} columns, got {rows}; use ridge or mlp")
    if method == "quadratic" and columns > MOST_QUADRATIC_COLUMNS:
        raise InputError(f"fit: quadratic: expected at most {MOST_QUADRATIC_COLUMNS} columns, got {columns}, whose "
                         "products are too many; use ridge or mlp")  # fmt: skip


def _check(features: Features, log_loss: FloatArray, method: str) -> None:
    if method not in METHODS:
        raise InputError(f"fit: unknown method {method!r}; known: {', '.join(METHODS)}")
    if log_loss.shape != (len(features),):
        raise InputError(f"fit: expected one loss a row ({len(features)}), got shape {log_loss.shape}")
    if len(features) < FEWEST_ROWS:
        raise InputError(f"fit: expected at least {FEWEST_ROWS} measured models, got {len(features)}")
    _check_size(len(features), len(features.names), method)
    if not np.isfinite(log_loss).all():
        row = int(np.argmin(np.isfinite(log_loss)))
        raise InputError(f"fit: log_loss: expected finite numbers, got {log_loss[row]} for row {row}")
    if not np.ptp(features.values, axis=0).any():
        raise InputError("fit: expected a column that varies; all measured models have the same features")
