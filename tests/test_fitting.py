"""`codesign fit`: what runs have measured becomes a proxy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.accuracy import resolve
from codesign.accuracy.fitted_file import save
from codesign.errors import InputError, ProxyError
from codesign.fitting import fit_runs
from codesign.run import Run
from tests.optimize.rungs import Rungs, true_logs
from tests.optimize.searches import small_search
from tests.optimize.spaces import tiny, write_space

EXACT = Rungs(noise=0.0, dearer=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search with an exact proxy."""
    return small_search(tmp_path_factory.mktemp("fit") / "run", budget=120, proxy=EXACT, cost_model="gemmini_40nm")


@pytest.fixture(scope="module")
def name(run: Run) -> str:
    """The proxy fitted to it."""
    fit_runs([run], run.directory.parent / "surrogate.npz")
    return f"fitted:{run.directory.parent / 'surrogate.npz'}"


def test_a_fit_predicts_shapes_that_were_not_measured(name: str) -> None:
    """Other shapes of the space are ranked nearly as in truth, with a known error."""
    shape = tiny().decode(tiny().sample(np.random.default_rng(5), 50)).shape
    quality = resolve(name).predict(shape)
    assert quality.metric == "perplexity"
    assert np.corrcoef(np.log(quality.value), true_logs(shape))[0, 1] > 0.95
    assert (quality.log_standard_error > 0).all()


def test_a_search_goes_by_a_fit(name: str, tmp_path: Path) -> None:
    """As the proxy itself and as another one's screen, and its front has ties."""
    run = small_search(tmp_path / "run", proxy=name, cost_model="gemmini_40nm")
    assert run.manifest.proxy == name
    assert all(tied is not None for tied in run.ties().values())
    screened = small_search(tmp_path / "screened", proxy=EXACT, screen=name, cost_model="gemmini_40nm")
    assert screened.manifest.screen == name


def test_what_was_not_measured_is_refused(name: str, run: Run, tmp_path: Path) -> None:
    """Another family, a field that no measured shape varied, a file without its origin, none at all."""
    judge = resolve(name)
    with pytest.raises(ProxyError, match="cannot see head_width, which varies; measured shapes vary layers, hidden"):
        judge.check(tiny().family, tiny().choices() | {"head_width": (16.0, 32.0)})
    other = write_space(tmp_path, {"vocabulary = 1000": "vocabulary = 999"})
    with pytest.raises(ProxyError, match=r"family\.vocabulary = 999; measured: 1000"):
        small_search(tmp_path / "run", space=other, proxy=name)
    plain = tmp_path / "plain.npz"
    save(fit_runs([run], tmp_path / "again.npz").fitted, plain)
    with pytest.raises(ProxyError, match="write the file with codesign fit"):
        resolve(f"fitted:{plain}").check(tiny().family, tiny().choices())
    with pytest.raises(InputError, match="no such file"):
        resolve("fitted:nowhere.npz").predict(tiny().baseline.shape)


def test_useless_runs_are_refused(run: Run, tmp_path: Path) -> None:
    """Too few shapes, runs of two spaces, or a place that cannot be written: nothing is left behind."""
    few = small_search(tmp_path / "few", budget=6, population=3, proxy=EXACT)
    with pytest.raises(InputError, match="expected at least 10 measured models"):
        fit_runs([few], tmp_path / "few.npz")
    space = write_space(tmp_path, {'description = "': 'description = "other '})
    other = small_search(tmp_path / "other", space=space, proxy=EXACT, cost_model="gemmini_40nm")
    with pytest.raises(InputError, match="search space: expected that of"):
        fit_runs([run, codesign.open_run(other.directory)], tmp_path / "two.npz")
    with pytest.raises(InputError, match="cannot be written"):
        fit_runs([run], tmp_path / "nowhere" / "fit.npz")
    assert not list(tmp_path.glob("*.npz"))
