"""Fitting and cross-validating the surrogate on the trained nets."""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec
import numpy as np
import pytest

import codesign.accuracy
from codesign.accuracy.surrogate import Fit, Surrogate, read_fit
from codesign.bench.surrogate import (
    COLUMNS,
    SOURCES,
    bench,
    fit,
    least_squares,
    read_nets,
    run,
    table,
    write_coefficients,
)
from codesign.design import ModelShape
from codesign.errors import InputError
from tests.accuracy.decoders import FAMILY


def flat(fitted: Fit) -> np.ndarray:
    """All numbers of a fit in a row."""
    numbers = [fitted.coefficients, *fitted.covariance, fitted.attention_range, fitted.ffn_range]
    return np.concatenate([*numbers, [fitted.residual_deviation, fitted.max_leverage, fitted.net_count]])


def write_table(path: Path, nets: int = 80, columns: tuple[str, ...] = COLUMNS, **other: str) -> Path:
    """Write a table of made-up nets; `other` replaces the text of a column in the second net."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in range(nets):
            sizes = {"n_layer": rng.integers(2, 16), "d_model": rng.integers(64, 512)}
            counts = {"ffn_params": rng.integers(10**5, 10**7), "nonembedding_params": 10**6 + row}
            net = {**sizes, **counts, "valid_ppl": rng.uniform(20, 70), **(other if row == 1 else {})}
            writer.writerow({name: net[name] for name in columns})
    return path


@pytest.mark.parametrize("name", list(SOURCES))
def test_committed_fit_is_reproduced(name: str, shared_data: Path) -> None:
    """Fitting the trained nets again gives the committed file (the covariance's condition number is 5e5)."""
    np.testing.assert_allclose(flat(fit(table(shared_data, name))), flat(read_fit(name)), rtol=1e-6)


def test_no_fitted_net_is_extrapolated(shared_data: Path) -> None:
    """The marks start outside the nets: none of them is marked when it is predicted as a shape."""
    with table(shared_data, "gpt2_wt103").open(newline="") as file:
        rows = list(csv.DictReader(file))
    layers, hidden = (np.array([int(row[key]) for row in rows]) for key in ("n_layer", "d_model"))
    ffn, heads, width = (np.zeros((len(rows), 1, layers.max()), dtype=np.int64) for _ in range(3))
    for row, column in enumerate(rows):
        for values, key in ((ffn, "d_inner"), (heads, "n_head"), (width, "d_head")):
            numbers = [int(text) for text in column[f"{key}_per_layer"].split()]
            values[row, 0, : len(numbers)] = numbers
    shape = ModelShape(FAMILY, layers[:, None], hidden, heads, heads, width, width, ffn)
    quality = Surrogate("surrogate", read_fit("gpt2_wt103")).predict(shape)
    measured = np.array([float(row["valid_ppl"]) for row in rows])
    assert not quality.extrapolated.any()
    assert np.mean(np.abs(quality.value / measured - 1)) < 0.05


def test_cross_validated_figures(shared_data: Path) -> None:
    """Error and ranking are those of the literature's release (4.2 %, 0.88; 3.8 %, 0.85), intervals cover near 95 %."""
    gpt2, txl = bench(shared_data, seeds=3)
    assert (gpt2["set"], gpt2["n_nets"]) == ("gpt2_wt103", 200)
    assert [gpt2["mape_percent"], gpt2["kendall_tau"]] == pytest.approx([4.2, 0.880], rel=0.03)
    assert [txl["mape_percent"], txl["kendall_tau"]] == pytest.approx([3.8, 0.851], rel=0.03)
    assert [row["interval_95_coverage_percent"] for row in (gpt2, txl)] == pytest.approx([95, 95], abs=3)


def test_least_squares_recovers_a_law() -> None:
    """Without noise the coefficients are those that made the data, and nothing is left over."""
    rows = np.random.default_rng(0).normal(size=(50, 3))
    coefficients, covariance, deviation = least_squares(rows, rows @ [1.0, -2.0, 0.5])
    np.testing.assert_allclose([1.0, -2.0, 0.5], coefficients)
    np.testing.assert_allclose(np.eye(3), covariance @ rows.T @ rows, atol=1e-12)
    assert deviation == pytest.approx(0, abs=1e-12)


def test_written_fit_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`write` puts both fits where the package reads them, without loss."""
    (tmp_path / "coefficients").mkdir()
    monkeypatch.setattr(codesign.accuracy, "__path__", [str(tmp_path)])
    for name in SOURCES:
        write_table(table(tmp_path, name))
    assert list(SOURCES) == [row["set"] for row in run(tmp_path, write=True)]
    fitted = fit(table(tmp_path, "txl_wt103"))
    written = write_coefficients(fitted)
    assert fitted == msgspec.json.decode(written.read_bytes(), type=Fit)
    assert (tmp_path / "coefficients" / "gpt2_wt103.json").is_file()


def test_missing_data_is_refused(tmp_path: Path) -> None:
    """A directory without the tables is answered with the file that was looked for."""
    with pytest.raises(InputError, match=r"lm_nets_gpt2_wt103.csv: cannot be read: .*--data DIR"):
        bench(tmp_path)


def test_missing_column_is_refused(tmp_path: Path) -> None:
    """A table without a column names it, and what the table has."""
    path = write_table(tmp_path / "nets.csv", columns=("n_layer", "d_model"))
    with pytest.raises(InputError, match=r"missing columns ffn_params, .*; it has: n_layer, d_model"):
        read_nets(path)


@pytest.mark.parametrize("text", ["", "abc", "-1", "nan", "inf"])
def test_bad_values_are_refused(tmp_path: Path, text: str) -> None:
    """A value that is no positive number is named by line and column."""
    path = write_table(tmp_path / "nets.csv", valid_ppl=text)
    with pytest.raises(InputError, match=r"line 3: valid_ppl: expected a positive number, got '.*'"):
        read_nets(path)


def test_too_few_nets_are_refused(tmp_path: Path) -> None:
    """Six coefficients are not fitted to a handful of nets."""
    with pytest.raises(InputError, match="expected at least 60 nets, got 7"):
        read_nets(write_table(tmp_path / "nets.csv", nets=7))


def test_set_without_a_source_is_refused(tmp_path: Path) -> None:
    """A fit is not made of nets whose origin is not recorded."""
    with pytest.raises(InputError, match="expected lm_nets_ and one of gpt2_wt103, txl_wt103"):
        fit(write_table(tmp_path / "lm_nets_mine.csv"))
