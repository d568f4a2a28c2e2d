"""A search over precision, sparsity and spans, from the space file to the tables, the report and the exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.accuracy.proxy import resolve
from codesign.cost import technology
from codesign.design import ModelShape
from codesign.errors import InputError, ProxyError
from codesign.evaluation import make_evaluator
from codesign.layer_fields import GROUPED
from codesign.parameters import stored_bits
from codesign.picks import export_pick
from codesign.report.page import write_report
from codesign.run import Run
from codesign.space_file import read_space
from codesign.tables import design_record, design_table
from tests.optimize.searches import record_of

SPACE = "survey_lm_compressed"


def fewer_bits_are_worse(shape: ModelShape) -> dict[str, np.ndarray]:
    """A user's proxy that sees all groups: less storage and shorter spans cost quality."""
    assert shape.spans is not None
    kept = stored_bits(shape, 8) / 8e6 + shape.spans.span.sum(axis=(1, 2)) / 100
    return {"perplexity": 20 + 100 / kept}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search of 60 designs with the user's proxy."""
    directory = tmp_path_factory.mktemp("compressed") / "run"
    return codesign.search(
        SPACE,
        "gemmini_40nm",
        proxy=fewer_bits_are_worse,
        algorithm="nsga2",
        budget=60,
        population=20,
        directory=directory,
    )


def test_every_group_is_searched(run: Run) -> None:
    """Designs differ in all optional fields, the baseline is 8-bit, dense and sees everything."""
    shape = run.space.decode(run.evaluations.genomes).shape
    columns = shape.layer_columns()
    for name in set(GROUPED) - {"activation_bits"}:
        assert len(np.unique(columns[name][shape.active])) > 1
    first = {name: set(column[0].ravel().tolist()) for name, column in columns.items() if name in GROUPED}
    assert first == {
        "weight_bits": {8},
        "activation_bits": {8},
        "attention_density": {1.0},
        "ffn_density": {1.0},
        "span": {512},
    }
    assert len(run.front_ids()) > 1


def test_the_record_resumes(run: Run, tmp_path: Path) -> None:
    """Half of the search, resumed, is the whole of it, byte for byte."""
    half = codesign.search(
        SPACE,
        "gemmini_40nm",
        proxy=fewer_bits_are_worse,
        algorithm="nsga2",
        budget=30,
        population=20,
        directory=tmp_path / "half",
    )
    assert len(half.evaluations) == 30
    codesign.resume(tmp_path / "half", budget=60)
    assert record_of(tmp_path / "half") == record_of(run.directory)


def test_tables_and_json_say_the_groups(run: Run) -> None:
    """Table and JSON have a value a layer of every optional field, and they agree."""
    table = design_table(run, np.arange(10))
    for id_ in range(10):
        model = design_record(run, id_)["model"]
        for name in GROUPED:
            assert len(model[name]) == model["layers"]
            assert " ".join(map(str, model[name])) == table.loc[id_][name]


def test_the_report_shows_the_groups(run: Run, tmp_path: Path) -> None:
    """The layer table of the report has a row of each field that varies."""
    page = tmp_path / "report.html"
    write_report([run], page)
    for words in ("Weight bits", "Attention density", "FFN density", "Attention span"):
        assert words in page.read_text()


def test_a_pick_is_exported_as_json_only(run: Run, tmp_path: Path) -> None:
    """The design goes out with its groups, and not as a Hugging Face config that would be another model."""
    (path,) = export_pick(run, "knee", ["json"], tmp_path / "json")
    assert set(GROUPED) < set(json.loads(path.read_bytes())["model"])
    with pytest.raises(InputError, match=r"huggingface: weight_bits, .*span: a config has no words for them yet"):
        export_pick(run, "knee", ["huggingface"], tmp_path / "hf")


def test_the_surrogate_refuses_the_space() -> None:
    """The shipped proxy sees none of it; the message names the gene and the way out."""
    with pytest.raises(ProxyError, match=r"cannot judge weight_bits \[4, 8\].*--proxy module:function"):
        make_evaluator(read_space(SPACE).content, technology.read("gemmini_40nm").content, resolve("surrogate"))
