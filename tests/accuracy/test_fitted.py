"""Surrogates fitted to measured models: what every method does, and what is particular to one."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from codesign.accuracy.fitted import METHODS, Fitted, Method, fit
from codesign.accuracy.fitted_features import Features
from codesign.accuracy.fitted_file import read, save
from codesign.accuracy.fitted_gp import PRIOR, _Posterior
from codesign.accuracy.fitted_ridge import fit_ridge
from codesign.errors import InputError

SINGLE = tuple(method for method in METHODS if method != "auto")


def models(n: int, columns: int = 4, seed: int = 0) -> Features:
    """Draw made-up features; the last column never varies."""
    values = np.random.default_rng(seed).normal(size=(n, columns))
    values[:, -1] = 7.0
    return Features(tuple(f"x{place}" for place in range(columns)), values, columns)


def law(features: Features, noise: float = 0.02, seed: int = 1) -> np.ndarray:
    """A smooth loss, almost linear in the first column, with noise."""
    x = features.values
    smooth = 3.0 - 0.3 * x[:, 0] + 0.05 * x[:, 0] * x[:, 1] + 0.03 * np.sin(x[:, 2])
    return smooth + noise * np.random.default_rng(seed).normal(size=len(x))


@pytest.mark.parametrize("method", METHODS)
def test_law_is_learned(method: Method) -> None:
    """Every method explains most of a smooth law on models that it has not seen, and knows how well."""
    train, test = models(120), models(200, seed=5)
    mean, error = fit(train, law(train), method).predict(test)
    residual = law(test, seed=6) - mean
    assert np.std(residual) < 0.3 * np.std(law(test))
    assert np.sqrt(np.mean((residual / error) ** 2)) == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_surrogate(method: Method) -> None:
    """A fit is a function of its rows and its seed."""
    train, test = models(60), models(20, seed=5)
    first, again = (fit(train, law(train), method, seed=3).predict(test) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("method", METHODS)
def test_units_do_not_matter(method: Method) -> None:
    """Columns and losses in other units give the same predictions in those units."""
    train, test = models(60), models(20, seed=5)
    factor = np.array([1e-3, 1.0, 1e3, 1e6])
    mean, error = fit(train, law(train), method).predict(test)
    scaled = fit(Features(train.names, train.values * factor, 4), 10 + 2 * law(train), method)
    other_mean, other_error = scaled.predict(Features(test.names, test.values * factor, 4))
    np.testing.assert_allclose(10 + 2 * mean, other_mean, rtol=1e-3)
    np.testing.assert_allclose(2 * error, other_error, rtol=1e-2)


@pytest.mark.parametrize("method", SINGLE)
def test_constant_columns_change_nothing(method: Method) -> None:
    """A column that never varies, or only by rounding, is as good as absent; another value of it is marked."""
    train, test = models(60), models(20, seed=5)
    without = [features.columns(train.names[:-1]) for features in (train, test)]
    train.values[0, -1] += 1e-13
    mean, _ = fit(train, law(train), method).predict(test)
    np.testing.assert_allclose(mean, fit(without[0], law(train), method).predict(without[1])[0], rtol=1e-9)
    test.values[:, -1] = 8.0
    assert fit(train, law(train), method).outside(test).all()


@pytest.mark.parametrize("method", SINGLE)
def test_equal_losses_are_predicted(method: Method) -> None:
    """Where all measured losses are equal, so are the predicted ones, and nothing is divided by nothing."""
    train = models(40)
    mean, error = fit(train, np.full(40, 3.0), method).predict(models(10, seed=5))
    np.testing.assert_allclose(mean, 3.0)
    assert np.isfinite(error).all()


@pytest.mark.parametrize("method", SINGLE)
def test_rare_columns_do_not_break_a_fit(method: Method) -> None:
    """A column that varies in a single row, and one that repeats another, leave predictions finite and near."""
    train, test = models(60, columns=6), models(50, columns=6, seed=5)
    for features in (train, test):
        features.values[:, 4] = features.values[:, 3]
        features.values[:, 5] = 0.0
    train.values[0, 5] = 1.0
    mean, error = fit(train, law(train), method).predict(test)
    assert np.isfinite(error).all()
    assert np.std(law(test) - mean) < 0.5 * np.std(law(test))


def test_no_fitted_model_is_outside() -> None:
    """Fitted rows are inside the range; one beyond it in one column is not."""
    train = models(30)
    fitted = fit(train, law(train), "ridge")
    assert not fitted.outside(train).any()
    train.values[4, 2] = 100
    assert fitted.outside(train).tolist() == [row == 4 for row in range(30)]


def test_ridge_leave_one_out_is_exact() -> None:
    """The deviation is the root mean square of residuals of fits that leave each row out, at the strength chosen."""
    x = models(25, columns=3).values[:, :2]
    z = x[:, 0] + 0.3 * np.sin(3 * x[:, 1])
    ridge = fit_ridge(x, z)
    terms = ridge.terms(x)
    penalty = np.linalg.inv(ridge.covariance) - terms.T @ terms
    left_out = []
    for row in range(25):
        rest = np.arange(25) != row
        bordered = np.column_stack([terms[rest], np.ones(24)])
        gram = bordered.T @ bordered
        gram[:2, :2] += penalty
        left_out.append(z[row] - np.append(terms[row], 1) @ np.linalg.solve(gram, bordered.T @ z[rest]))
    assert np.sqrt(np.mean(np.square(left_out))) == pytest.approx(ridge.deviation, rel=1e-6)


def test_gradient_of_the_process_is_exact() -> None:
    """The gradient by each logarithm is that of finite differences."""
    features = models(20)
    priors = np.array([PRIOR["length of a core column"]] * 3 + [PRIOR[n] for n in ("curvature", "slope", "noise")])
    problem = _Posterior(features.values[:, :3], law(features), priors[:, 0], priors[:, 1])
    at = priors[:, 0] + np.linspace(-0.4, 0.5, 6)
    slopes = [(problem(at + step)[0] - problem(at - step)[0]) / 2e-5 for step in 1e-5 * np.eye(6)]
    np.testing.assert_allclose(problem(at)[1], slopes, rtol=1e-5)


def test_many_one_hot_columns_are_fitted() -> None:
    """An additive law of hundreds of one-hot columns is found in thousands of rows."""
    rng = np.random.default_rng(0)
    hot = np.eye(5)[rng.integers(0, 5, (3000, 40))].reshape(3000, -1)
    features = Features(tuple(map(str, range(200))), hot, 200)
    truth = hot @ rng.normal(size=200)
    fitted = fit(features.take(slice(0, 2500)), truth[:2500] + 0.1 * rng.normal(size=2500), "ridge")
    mean, _ = fitted.predict(features.take(slice(2500, None)))
    assert np.std(mean - truth[2500:]) < 0.05


@pytest.mark.parametrize("method", SINGLE)
def test_file_is_read_back(method: Method, tmp_path: Path) -> None:
    """A surrogate read from a file predicts to the last bit what the written one does."""
    train, test = models(40), models(10, seed=5)
    fitted = fit(train, law(train), method)
    save(fitted, tmp_path / "one.npz")
    read_back = read(tmp_path / "one.npz")
    np.testing.assert_array_equal(read_back.predict(test), fitted.predict(test))
    np.testing.assert_array_equal(read_back.outside(test), fitted.outside(test))
    assert (read_back.method, read_back.names, read_back.held_out) == (method, train.names, fitted.held_out)
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]


def test_broken_files_are_refused(tmp_path: Path) -> None:
    """A missing, a truncated and a foreign file are answered with what was expected."""
    path = tmp_path / "one.npz"
    with pytest.raises(InputError, match="no such file"):
        read(path)
    save(fit(models(30), law(models(30)), "ridge"), path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="cannot be read"):
        read(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(InputError, match="cannot be read"):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "forest"}, "unknown method 'forest'; known: ridge, quadratic, gp, mlp, auto"),
        ({"log_loss": np.zeros(29)}, r"one loss a row \(30\), got shape \(29,\)"),
        ({"log_loss": np.full(30, np.nan)}, "expected finite numbers, got nan for row 0"),
        ({"features": models(5), "log_loss": np.zeros(5)}, "at least 10 measured models, got 5"),
        ({"features": models(30, columns=1)}, "expected a column that varies"),
        ({"features": models(2001), "log_loss": np.zeros(2001), "method": "gp"}, "at most 2000 rows of"),
        (
            {"features": models(1001, columns=160), "log_loss": np.zeros(1001), "method": "gp"},
            "at most 1000 rows",
        ),
        ({"features": models(30, columns=101), "method": "quadratic"}, "at most 100 columns, got 101"),
    ],
)
def test_unusable_measurements_are_refused(change: dict[str, object], message: str) -> None:
    """What cannot be fitted is refused before anything is fitted."""
    given = {"features": models(30), "log_loss": np.arange(30.0), "method": "ridge"} | change
    with pytest.raises(InputError, match=message):
        fit(**given)


def test_few_models_are_fitted_on_their_core() -> None:
    """The default reads columns beyond the core only where there are rows enough; many rows rule the process out."""
    features = models(700, columns=5)
    features = Features(features.names, features.values, 2)
    loss = law(features)
    few, some, many = (fit(features.take(slice(0, rows)), loss[:rows]) for rows in (25, 40, 700))
    assert [(one.method, len(one.names)) for one in (few, some)] == [("gp", 2), ("gp", 5)]
    assert many.method in ("ridge", "mlp")


def test_missing_column_is_refused() -> None:
    """A surrogate says which column it misses."""
    fitted: Fitted = fit(models(30), law(models(30)), "ridge")
    with pytest.raises(InputError, match="expected x3; got x0, x1, x2"):
        fitted.predict(models(5).columns(["x0", "x1", "x2"]))


def test_methods_are_all_named() -> None:
    """The tuple of methods is the type's."""
    assert get_args(Method) == METHODS
