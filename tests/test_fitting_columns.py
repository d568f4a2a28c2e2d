"""`codesign fit --columns`: sizes of a shape, or these and the genes of the space that was measured."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from codesign import fitting
from codesign.accuracy import Quality, resolve
from codesign.accuracy.fitted_file import ABOUT, read_measured
from codesign.cli import app
from codesign.design import ModelShape
from codesign.errors import InputError, ProxyError
from codesign.fitting import Outcome, fit_runs
from codesign.run import Run
from tests.optimize.rungs import Rungs
from tests.optimize.searches import small_search
from tests.optimize.spaces import space_of, tiny, tiny_text, write_space

EFFECTS = {128: 0.0, 192: 0.3, 256: -0.1, 512: 0.1}
"""Of an FFN size in the first layer; in the second the other way round. No size or slope says it."""
FEWER = {"hidden = { choices = [64, 96, 128] }": "hidden = { choices = [64, 128] }"}
OTHER = {"choices = [128, 192, 256, 512]": "choices = [128, 192, 320, 512]"}


@dataclass(frozen=True)
class Placed(Rungs):
    """What a shape reaches depends on which FFN size stands where."""

    def predict(self, shape: ModelShape) -> Quality:
        """See `true`."""
        nothing = np.zeros(len(shape))
        return Quality("perplexity", np.exp(true(shape)), nothing, nothing.astype(np.bool_))


def true(shape: ModelShape) -> np.ndarray:
    """(n,) logarithms."""
    effect = np.vectorize(lambda ffn: EFFECTS.get(int(ffn), 0.0))(shape.ffn[:, 0]) * shape.active[:, 0]
    return np.asarray(3.0 + effect[:, 0] - effect[:, 1] - 0.1 * np.log(shape.hidden) - 0.2 * shape.layers[:, 0])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search that has measured many shapes of `tiny`."""
    directory = tmp_path_factory.mktemp("columns") / "run"
    return small_search(directory, budget=200, population=50, proxy=Placed(dearer=False), cost_model="gemmini_40nm")


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the shapes of the run be enough to try genes."""
    monkeypatch.setattr(fitting, "GENE_ROWS", 50)


def fitted(run: Run, folder: Path, **how: str) -> tuple[str, Outcome]:
    """Name of a proxy fitted to the run, and what was written."""
    outcome = fit_runs([run], folder / "fit.npz", **how)  # type: ignore[arg-type]
    return f"fitted:{folder / 'fit.npz'}", outcome


@pytest.mark.usefixtures("many")
def test_auto_takes_genes_where_they_err_less(run: Run, tmp_path: Path) -> None:
    """Both columns are tried; the file reads what was better on held-out shapes, and ranks others by it."""
    name, outcome = fitted(run, tmp_path)
    errors = {columns: one.held_out.rms for columns, one in outcome.tried.items()}
    assert errors["genes"] < errors["sizes"] / 2
    assert outcome.columns == "genes"
    shape = tiny().decode(tiny().sample(np.random.default_rng(5), 60)).shape
    errors_seen = np.log(resolve(name).predict(shape).value) - true(shape)
    assert np.median(np.abs(errors_seen)) < 2 * errors["genes"]  # most; a search measures few shapes far from the front


def test_few_shapes_are_fitted_on_sizes(run: Run, tmp_path: Path) -> None:
    """Below so many shapes held-out errors would not tell, and genes are not tried."""
    _, outcome = fitted(run, tmp_path)
    assert outcome.fitted.rows < fitting.GENE_ROWS
    assert list(outcome.tried) == ["sizes"]


def test_sizes_are_written_as_ever(run: Run, tmp_path: Path) -> None:
    """A file on sizes says no more than before there were genes, so that files of then and now are read by both."""
    fitted(run, tmp_path, columns="sizes")
    with np.load(tmp_path / "fit.npz") as content:
        about = json.loads(content[ABOUT].tobytes())
    assert set(about["measured"]) == {"metric", "family", "varied"}
    measured = read_measured(tmp_path / "fit.npz")
    assert measured is not None
    assert measured.genes == ()


@pytest.mark.parametrize("method", ["ridge", "mlp", "gp"])
def test_a_search_goes_by_genes(method: str, run: Run, tmp_path: Path) -> None:
    """As the proxy and as the screen, in the space of the genes and in a part of it."""
    name, outcome = fitted(run, tmp_path, columns="genes", method=method)
    assert (outcome.columns, outcome.fitted.method) == ("genes", method)
    if method == "ridge":
        part = write_space(tmp_path, FEWER)
        small_search(tmp_path / "run", space=part, proxy=name, cost_model="gemmini_40nm")
        screened = small_search(tmp_path / "screened", proxy=Placed(), screen=name, cost_model="gemmini_40nm")
        assert screened.manifest.screen == name


def test_space_of_other_genes_is_refused(run: Run, tmp_path: Path) -> None:
    """A value that no gene had, or a field that they lack, is named with both spaces; sizes see the value."""
    name, _ = fitted(run, tmp_path, columns="genes")
    other = space_of(tiny_text(OTHER))
    expected = r"genes of another space: ffn can be 320; its genes are those of space tiny, where ffn is 128, 192, 256"
    with pytest.raises(ProxyError, match=expected):
        resolve(name).check(other.family, other.choices())
    with pytest.raises(ProxyError, match="this space has span, space tiny has none"):
        resolve(name).check(tiny().family, tiny().choices() | {"span": (16.0,)})
    on_sizes, _ = fitted(run, tmp_path, columns="sizes")
    resolve(on_sizes).check(other.family, other.choices())


def test_value_without_a_gene_is_marked(run: Run, tmp_path: Path) -> None:
    """A shape asked from Python whose FFN size no column stands for is extrapolated; the measured ones are not."""
    name, _ = fitted(run, tmp_path, columns="genes")
    measured = run.space.decode(run.evaluations.genomes[:5]).shape
    assert not resolve(name).predict(measured).extrapolated.any()
    other = replace(measured, ffn=np.where(measured.ffn == measured.ffn[:, :, :1], 320, measured.ffn))
    assert resolve(name).predict(other).extrapolated.all()


def test_unknown_columns_are_refused(run: Run, tmp_path: Path) -> None:
    """The known ones are named, and nothing is written."""
    with pytest.raises(InputError, match="unknown columns 'words'; known: sizes, genes, auto"):
        fitted(run, tmp_path, columns="words")
    assert not list(tmp_path.glob("*.npz"))


@pytest.mark.usefixtures("many")
def test_the_verb_prints_held_out_errors(run: Run, tmp_path: Path) -> None:
    """Of what was chosen and of what was not, in text and in JSON."""
    arguments = ["fit", str(run.directory), "-o", str(tmp_path / "fit.npz")]
    text = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    assert "shapes, genes, " in text
    assert "not taken: sizes, gp: held-out error" in text
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json", "--method", "ridge"]).stdout)
    assert (told["columns"], told["method"]) == ("genes", "ridge")
    assert {one["columns"]: one["held_out_rms"] for one in told["tried"]}["genes"] == told["held_out_rms"]
