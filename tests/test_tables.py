"""Designs of a run as tables and as plain data."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

import codesign
from codesign.front import interval
from codesign.run import Run
from codesign.tables import design_record, design_table, front_record, select_columns
from tests.optimize.searches import small_search
from tests.optimize.spaces import NOTHING_FEASIBLE, write_space


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search of 100 designs."""
    return small_search(tmp_path_factory.mktemp("tables") / "run", budget=100, cost_model="gemmini_40nm")


def test_a_table_has_a_row_a_design(run: Run) -> None:
    """Rows come in the order asked for, under their ids; metrics are those of the record."""
    table = design_table(run, np.array([7, 0, 42]))
    assert table.index.tolist() == [7, 0, 42]
    for name, column in run.evaluations.metrics.items():
        np.testing.assert_array_equal(table[name], column[[7, 0, 42]])
    low, high = interval(run.evaluations.metrics["perplexity"], run.evaluations.log_standard_error)
    np.testing.assert_array_equal(table["perplexity_low"], low[[7, 0, 42]])
    np.testing.assert_array_equal(table["perplexity_high"], high[[7, 0, 42]])


def test_table_and_record_say_the_same_design(run: Run) -> None:
    """Model and accelerator read alike in the table, in the JSON, and back through the search space."""
    table = design_table(run, np.arange(100))
    for id_ in (0, 13, 99):
        record, row = design_record(run, id_), table.loc[id_]
        model, chip = record["model"], record["accelerator"]
        assert (model["layers"], model["hidden"]) == (row["layers"], row["hidden"])
        for name in ("heads", "kv_heads", "head_width", "value_width", "ffn"):
            assert " ".join(map(str, model[name])) == row[name]
            assert len(model[name]) == model["layers"]
        for name in chip:
            assert chip[name] == row[name]
        assert record["metrics"]["edp_js"] == row["edp_js"]
        assert record["intervals"]["perplexity"] == [row["perplexity_low"], row["perplexity_high"]]


def test_csv_reads_back(run: Run, tmp_path: Path) -> None:
    """Written as CSV and read again, a table is the same to the last bit."""
    import pandas as pd

    table = design_table(run, np.arange(100))
    table.to_csv(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(
        table, pd.read_csv(tmp_path / "table.csv", index_col="id", dtype=dict(table.dtypes)), check_exact=True
    )


def test_front_record_is_plain_json(run: Run) -> None:
    """The record has the promised keys, holds no NaN, and survives JSON."""
    record = front_record([(run, run.front_ids())])
    assert json.loads(msgspec.json.encode(record)) == record
    assert set(record) == {"format", "run", "fidelity", "baseline", "designs"}
    assert record["baseline"]["id"] == 0
    assert [design["id"] for design in record["designs"]] == run.front_ids().tolist()
    assert set(record["designs"][0]) == {
        "run", "id", "metrics", "intervals", "extrapolated", "remeasured", "feasible", "model", "accelerator", "policy",
        "tied_with",
    }  # fmt: skip


def test_an_empty_front_is_an_empty_table(tmp_path: Path) -> None:
    """Where nothing is feasible, tables have their columns and no rows, and the record a baseline and no designs."""
    run = small_search(tmp_path / "run", space=write_space(tmp_path, NOTHING_FEASIBLE))
    assert len(run.front()) == 0
    assert "edp_js" in run.front().columns
    record = front_record([(run, run.front_ids())])
    assert record["designs"] == []
    assert record["baseline"]["feasible"] is False
    columns, baseline = select_columns(run, run.front_ids())
    assert {len(column) for column in columns.values()} == {0}
    assert baseline["feasible"] == np.False_


def test_a_proxy_without_an_error_gives_no_interval(tmp_path: Path) -> None:
    """Unknown errors are empty in the table and absent from the record."""
    run = codesign.search(
        "tiny", "unit", proxy=lambda shape: {"perplexity": 1e3 / shape.hidden}, budget=10, population=5,
        directory=tmp_path / "run",
    )  # fmt: skip
    assert run.front()["perplexity_low"].isna().all()
    assert design_record(run, 0)["intervals"] == {}
