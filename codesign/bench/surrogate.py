"""Fit the perplexity surrogate to trained nets, and measure by cross-validation how far it can be trusted.

The nets come from the CSV files of a data directory; the fit that ships with the package is written by `run`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from scipy.stats import kendalltau, spearmanr

import codesign.accuracy
from codesign.accuracy.surrogate import Fit, spread, terms
from codesign.bench.surrogate_compare import compare
from codesign.design import BoolArray, FloatArray, IntArray
from codesign.errors import InputError
from codesign.front import Z95

ARCHAI = (
    "microsoft/archai, branch neurips-lts, commit 47770415327900684ed95c0bc9bf7cd0d0047fad, "
    "archai/nlp/nas/saved_logs/{folder}; MIT, (c) Microsoft Corporation"
)
SOURCES = {
    "gpt2_wt103": ARCHAI.format(folder="random_GPT2_wt103"),
    "txl_wt103": ARCHAI.format(folder="random_TransXL_wt103"),
}

# A search looks at validation perplexity, as the case study does; test perplexity gives the same picture.
PERPLEXITY = "valid_ppl"
COLUMNS = ("n_layer", "d_model", "ffn_params", "nonembedding_params", PERPLEXITY)

# Two-sided 95 % of a normal error; Student's factor for 194 degrees of freedom is 1.972.
FEWEST_NETS = 60  # ten a coefficient


@dataclass(frozen=True)
class Nets:
    """n trained nets."""

    attention: IntArray  # (n,) parameters
    ffn: IntArray  # (n,) parameters
    non_embedding: IntArray  # (n,) parameters
    perplexity: FloatArray  # (n,)

    def __len__(self) -> int:
        return len(self.perplexity)

    @property
    def terms(self) -> FloatArray:
        """(n, 6) terms of the quadratic."""
        return terms(self.attention, self.ffn)


@dataclass(frozen=True)
class Prediction:
    """ln(perplexity) of nets that a fit has not seen, and its standard error; both (n,)."""

    log_perplexity: FloatArray
    error: FloatArray


def run(data_dir: Path, write: bool, train_size: int | None = None) -> list[dict[str, object]]:
    """Measure the shipped surrogate and other fits on all sets, or other fits on the nets of one file.

    Args:
        data_dir: directory of the tables, or one table in their format.
        train_size: with one table, fit to so many nets and judge on all others.
        write: measure the shipped surrogates only, fit them again and replace their coefficients in the package.

    Raises:
        InputError: `write` with one table, or tables that cannot be read.
    """
    if not data_dir.is_dir():
        if write:
            raise InputError(f"{data_dir}: --write: expected the directory of all tables; one table is only measured")
        return compare(data_dir, train_size)
    rows = bench(data_dir)
    if not write:
        return rows + [row for name in SOURCES for row in compare(table(data_dir, name))]
    for fitted in [fit(table(data_dir, name)) for name in SOURCES]:
        write_coefficients(fitted)
    return rows


def bench(data_dir: Path, seeds: int = 10, folds: int = 5) -> list[dict[str, object]]:
    """Return one row of named figures a set; cross-validated ones are pooled over folds and averaged over seeds."""
    return [_figures(name, read_nets(table(data_dir, name)), seeds, folds) for name in SOURCES]


def fit(path: Path) -> Fit:
    """Fit the quadratic to the nets of one file, whose name says which set it is (see `table`)."""
    nets, name = read_nets(path), path.stem.removeprefix("lm_nets_")
    if name not in SOURCES:
        raise InputError(f"{path}: expected lm_nets_ and one of {', '.join(SOURCES)} as name; its source is not known")
    coefficients, covariance, deviation = least_squares(nets.terms, np.log(nets.perplexity))
    leverage = spread(nets.terms, covariance)
    return Fit(
        format=1,
        nets=name,
        source=SOURCES[name],
        perplexity=PERPLEXITY,
        net_count=len(nets),
        coefficients=tuple(coefficients.tolist()),
        covariance=tuple(map(tuple, covariance.tolist())),
        residual_deviation=deviation,
        attention_range=(int(nets.attention.min()), int(nets.attention.max())),
        ffn_range=(int(nets.ffn.min()), int(nets.ffn.max())),
        max_leverage=float(leverage.max()),
    )


def write_coefficients(fitted: Fit) -> Path:
    """Write a fit to the place where the package reads it, and return that place."""
    path = Path(codesign.accuracy.__path__[0]) / "coefficients" / f"{fitted.nets}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(fitted), indent=2) + b"\n")
    return path


def least_squares(rows: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return the coefficients (k,), (XᵀX)⁻¹ (k, k), and the residual deviation with n - k degrees of freedom."""
    covariance = np.asarray(np.linalg.inv(rows.T @ rows), dtype=np.float64)
    coefficients = np.asarray(np.linalg.lstsq(rows, target)[0], dtype=np.float64)
    residuals = target - rows @ coefficients
    deviation = float(np.sqrt(residuals @ residuals / (len(rows) - rows.shape[1])))
    return coefficients, covariance, deviation


def table(data_dir: Path, name: str) -> Path:
    """Return the file of a set in a data directory."""
    return data_dir / f"lm_nets_{name}.csv"


def read_nets(path: Path) -> Nets:
    """Read the nets of one file.

    Attention is counted from depth and width as 4 d² + 4 d a layer, as `codesign.parameters` does. Transformer-XL has
    one more d × d matrix for relative positions in each layer, which shapes here do not have: it is not counted.

    Raises:
        InputError: no such file, missing columns, a value that is no positive number, or too few nets.
    """
    columns = _read_columns(path)
    if len(columns[PERPLEXITY]) < FEWEST_NETS:
        raise InputError(f"{path}: expected at least {FEWEST_NETS} nets, got {len(columns[PERPLEXITY])}")
    layers, hidden = columns["n_layer"].astype(np.int64), columns["d_model"].astype(np.int64)
    return Nets(
        attention=layers * (4 * hidden**2 + 4 * hidden),
        ffn=columns["ffn_params"].astype(np.int64),
        non_embedding=columns["nonembedding_params"].astype(np.int64),
        perplexity=columns[PERPLEXITY],
    )


def cross_validate(nets: Nets, folds: int, seed: int) -> Prediction:
    """Predict every net from a fit to the other folds, drawn at random."""
    x, y = nets.terms, np.log(nets.perplexity)
    fold = np.random.default_rng(seed).permutation(len(nets)) % folds
    predicted, error = np.empty_like(y), np.empty_like(y)
    for held_out in range(folds):
        test = fold == held_out
        coefficients, covariance, deviation = least_squares(x[~test], y[~test])
        predicted[test] = x[test] @ coefficients
        error[test] = deviation * np.sqrt(1 + spread(x[test], covariance))
    return Prediction(predicted, error)


def _figures(name: str, nets: Nets, seeds: int, folds: int) -> dict[str, object]:
    runs = [_errors(nets, cross_validate(nets, folds, seed)) for seed in range(seeds)]
    averaged = {key: float(np.mean([one[key] for one in runs])) for key in runs[0]}
    size_only = {f"size_only_{key}": value for key, value in _ranking(nets, -np.log(nets.non_embedding)).items()}
    coefficients, _, deviation = least_squares(nets.terms, np.log(nets.perplexity))
    setting = {"set": name, "n_nets": len(nets), "perplexity_column": PERPLEXITY, "folds": folds, "seeds": seeds}
    whole = {"residual_sd_percent": 100 * deviation, **_rising(nets, coefficients)}
    return {**setting, **averaged, **whole, **size_only}


def _errors(nets: Nets, prediction: Prediction) -> dict[str, float]:
    """Size of the errors, and ranking; perplexity errors are relative to the measured one."""
    log_error = prediction.log_perplexity - np.log(nets.perplexity)
    return {
        "mape_percent": 100 * float(np.mean(np.abs(np.expm1(log_error)))),
        "interval_95_coverage_percent": 100 * float(np.mean(np.abs(log_error) <= Z95 * prediction.error)),
        **_ranking(nets, prediction.log_perplexity),
    }


def _ranking(nets: Nets, score: FloatArray) -> dict[str, float]:
    """Rank correlation of a score with perplexity: over all nets, among the best tenth, and inside fifths of size."""
    best = nets.perplexity <= np.quantile(nets.perplexity, 0.1)
    fifth = np.searchsorted(np.quantile(nets.non_embedding, (0.2, 0.4, 0.6, 0.8)), nets.non_embedding)
    return {
        "kendall_tau": _tau(nets, score, np.ones(len(nets), np.bool_)),
        "spearman": float(spearmanr(score, nets.perplexity).statistic),
        "kendall_tau_best_tenth": _tau(nets, score, best),
        **{f"kendall_tau_size_fifth_{k + 1}": _tau(nets, score, fifth == k) for k in range(5)},
    }


def _tau(nets: Nets, score: FloatArray, chosen: BoolArray) -> float:
    return float(kendalltau(score[chosen], nets.perplexity[chosen]).statistic)


def _rising(nets: Nets, coefficients: FloatArray) -> dict[str, float]:
    """Share of nets at which the fitted perplexity rises when one of the two counts grows and the other stays."""
    u, v = nets.terms[:, 1], nets.terms[:, 2]
    _, b1, b2, b3, b4, b5 = coefficients
    return {
        "rising_with_attention_percent": 100 * float(np.mean(b1 + 2 * b3 * u + b4 * v > 0)),
        "rising_with_ffn_percent": 100 * float(np.mean(b2 + b4 * u + 2 * b5 * v > 0)),
    }


def _read_columns(path: Path) -> dict[str, FloatArray]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, header = list(reader), reader.fieldnames or ()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}; expected a table of trained nets (--data DIR)") from None
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise InputError(f"{path}: missing columns {', '.join(missing)}; it has: {', '.join(header) or 'none'}")
    return {
        column: np.array([_positive(row[column], path, line, column) for line, row in enumerate(rows, 2)])
        for column in COLUMNS
    }


def _positive(text: str | None, path: Path, line: int, column: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise InputError(f"{path}: line {line}: {column}: expected a positive number, got {text!r}")
    return value
