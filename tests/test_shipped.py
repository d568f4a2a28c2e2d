"""What comes with the package can be listed, shown, and edited."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codesign import files
from codesign.accuracy.proxy import resolve
from codesign.cost import technology
from codesign.errors import InputError
from codesign.evaluation import make_evaluator
from codesign.fits import fitting
from codesign.shipped import catalogue, shipped_text
from codesign.space import SearchSpace
from codesign.space_file import parse_space, read_space

ROOT = Path(__file__).parent.parent


def test_every_shipped_file_is_listed_and_shown_verbatim() -> None:
    """Each file of the two folders is found by its bare name, with its description, and shown as it is."""
    listed = catalogue()
    for kind, folder in files.FOLDERS.items():
        paths = sorted((ROOT / folder).glob("*.toml"))
        assert list(listed[f"{kind}s"]) == [path.stem for path in paths]
        for path in paths:
            assert shipped_text(path.stem) == path.read_text()
            assert listed[f"{kind}s"][path.stem] in path.read_text()


def test_every_listed_thing_has_a_description() -> None:
    """Nothing is listed without a line that says what it is."""
    for kind, entries in catalogue().items():
        assert entries, kind
        for name, description in entries.items():
            assert description, name
            assert "\n" not in description


def test_every_proxy_and_screen_is_listed() -> None:
    """What `--proxy` and `--screen` know by name is listed, and what is listed without capitals is a proxy."""
    listed = catalogue()
    assert {"supernet", "supernet_sentences", "surrogate", "published_mnli", "fitted:FILE"} < listed["proxies"].keys()
    assert {"fitted", "none"} < listed["screens"].keys()
    for name in listed["proxies"]:
        if name.islower() and ":" not in name:
            assert resolve(name).name == name


def test_a_shown_file_can_be_used(tmp_path: Path) -> None:
    """`codesign show NAME > mine.toml` gives a file that means the same."""
    for name in files.shipped("search space"):
        (tmp_path / "mine.toml").write_text(shipped_text(name))
        ours, theirs = read_space(str(tmp_path / "mine.toml")).content, read_space(name).content
        assert (ours.genes, ours.limits, ours.objectives) == (theirs.genes, theirs.limits, theirs.objectives)
    for name in files.shipped("cost model"):
        (tmp_path / "mine.toml").write_text(shipped_text(name))
        assert technology.read(str(tmp_path / "mine.toml")).content == technology.read(name).content


def test_what_a_cost_model_does_not_know_fits_nothing(tmp_path: Path) -> None:
    """Widths that its number format lacks, and costs that it does not know, are refused before a search begins."""

    def mine(*edits: tuple[str, str]) -> SearchSpace:
        text = shipped_text("tiny")
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        return parse_space(text, "mine", "mine.toml").content

    leaking = mine(('"edp_js"]', '"leakage_j"]'))
    assert set(fitting(leaking)) < set(fitting(mine()))
    assert "unit" not in fitting(leaking)
    with pytest.raises(InputError, match=r"mine: leakage_j: this cost model does not know it; .* fit: gemmini_40nm"):
        make_evaluator(leaking, technology.read("unit").content, resolve("surrogate"))
    bits = ("[accelerator]", "weight_bits = { choices = [4, 5, 8] }\nactivation_bits = 8\n\n[accelerator]")
    odd = mine(bits, ("[baseline.accelerator]", "weight_bits = 8\nactivation_bits = 8\n\n[baseline.accelerator]"))
    assert "unit" not in fitting(odd)
    anything = resolve(lambda shape: {"perplexity": np.ones(len(shape))})
    with pytest.raises(InputError, match=r"mine: weight bits: expected one of .*, got 5; shipped cost models that fit"):
        make_evaluator(odd, technology.read("unit").content, anything)


def test_unknown_names_list_the_known_ones() -> None:
    """A misspelt file is answered with all names of both folders."""
    with pytest.raises(InputError, match=r"unknown shipped file 'tyni'; known: .*gemmini_40nm, .*survey_lm, .*unit"):
        shipped_text("tyni")


SPECIAL = ("edgebert_12nm", "eyeriss_like", "tpu_like")
"""Cost models of machines that lack a dataflow or an accumulator."""


@pytest.fixture(scope="module")
def fits() -> dict[str, str]:
    """The names of the cost models that are listed for each space."""
    return catalogue()["cost models that fit a search space"]


@pytest.mark.parametrize("model", files.shipped("cost model"))
@pytest.mark.parametrize("space", files.shipped("search space"))
def test_every_shipped_space_works_with_every_shipped_cost_model(space: str, model: str, fits: dict[str, str]) -> None:
    """What is listed as fitting can be combined; where a machine lacks what the space varies, these are named."""
    searched, costs = read_space(space).content, technology.read(model).content
    quality = next(name for name in searched.objectives if name in ("answer_error", "error", "perplexity"))
    anything = resolve(lambda shape: {quality: np.ones(len(shape))})
    if model in fits[space].split(", "):
        judge = make_evaluator(searched, costs, anything)
        assert judge(judge.space.encode(judge.space.baseline)).feasible.all()
    else:
        assert model in SPECIAL
        with pytest.raises(InputError, match=rf"{space}: accelerator\.(dataflow|accumulator): .*fit: {fits[space]}$"):
            make_evaluator(searched, costs, anything)
