"""Choosing designs of real runs, and handing one on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codesign.errors import CodesignError, InputError
from codesign.picks import caveat, choose, export_pick, pick_id, where_ids
from codesign.run import Run, open_run
from codesign.tables import design_record
from tests.optimize.searches import record_of, restore, small_search
from tests.optimize.spaces import NOTHING_FEASIBLE, write_space


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search of 120 designs."""
    return small_search(tmp_path_factory.mktemp("picks") / "run", budget=120, cost_model="gemmini_40nm")


@pytest.fixture
def hopeless(tmp_path: Path) -> Run:
    """A run without a feasible design."""
    return small_search(tmp_path / "run", space=write_space(tmp_path, NOTHING_FEASIBLE))


def test_picks_agree_with_the_columns(run: Run) -> None:
    """A pick is the best of all feasible designs, not of the front only; the knee and ids name themselves."""
    metrics, feasible = run.evaluations.metrics, run.evaluations.feasible
    assert pick_id(run, "min edp_js") == np.argmin(np.where(feasible, metrics["edp_js"], np.inf))
    assert pick_id(run, "knee") == run.knee()
    assert pick_id(run, "119") == 119
    budget = metrics["perplexity"] <= metrics["perplexity"][0] * 1.045
    expected = np.argmin(np.where(feasible & budget, metrics["edp_js"], np.inf))
    assert pick_id(run, "min edp_js where perplexity <= baseline * 1.045") == expected == run.gains()[1].id
    heads = pick_id(run, "max hidden where heads == '1' and dataflow == 'output_stationary'")
    assert design_record(run, heads)["model"]["heads"] == [1]


def test_what_a_record_of_best_accelerators_cannot_answer_is_said(run: Run, tmp_path: Path) -> None:
    """A wish by a cost or accelerator that the default search did not choose by is named; no other wish, or search."""
    default = small_search(tmp_path / "run", budget=30, cost_model="gemmini_40nm", algorithm="bilevel")
    said = caveat(default, None, "min area_mm2 where pe_rows == 8 and perplexity <= 80 and heads == '1'")
    assert "better designs by area_mm2, pe_rows:" in said
    for wish in ("knee", "3", "min edp_js where perplexity <= baseline * 1.1 and layers < 3"):
        assert caveat(default, wish) == ""
    assert caveat(run, "min area_mm2") == ""


def test_where_keeps_front_designs_in_their_order(run: Run) -> None:
    """A condition that all fulfil keeps the front as it is; one that none fulfils leaves nothing."""
    ids = run.front_ids()
    assert where_ids(run, "area_mm2 > 0", ids).tolist() == ids.tolist()
    assert where_ids(run, "area_mm2 < 0", ids).tolist() == []
    half = where_ids(run, "edp_js < baseline * 0.5", ids)
    assert set(half.tolist()) < set(ids.tolist())


def test_wishes_that_no_run_fulfils_are_refused(run: Run) -> None:
    """Ids beyond the run and conditions without a design are answered, not raised as bugs."""
    for wish, message in (
        ("120", "no design 120 here"),
        ("min edp_js where area_mm2 < 0", "no feasible design in this record fulfils 'area_mm2 < 0' and has a edp_js"),
        ("cheapest", "expected 'knee', an id"),
    ):
        with pytest.raises(InputError, match=message):
            pick_id(run, wish)
    with pytest.raises(InputError, match="--where and --pick: expected one of them"):
        choose([run], "area_mm2 < 1", "knee")


def test_without_a_feasible_design_there_is_nothing_to_pick(hopeless: Run) -> None:
    """Fronts are empty, knee and minima are refused with the reason, and a single design can still be looked at."""
    ((_, ids),) = choose([hopeless], None, None)
    assert ids.tolist() == []
    ((_, ids),) = choose([hopeless], "area_mm2 > 0", None)
    assert ids.tolist() == []
    with pytest.raises(InputError, match="no knee: none of the 60 designs evaluated is feasible"):
        pick_id(hopeless, "knee")
    with pytest.raises(InputError, match="no feasible design in this record has a edp_js"):
        pick_id(hopeless, "min edp_js")
    assert pick_id(hopeless, "5") == 5


def test_a_run_without_evaluations_says_how_to_go_on(run: Run, tmp_path: Path) -> None:
    """Nothing can be chosen before anything is evaluated."""
    empty = open_run(restore(tmp_path / "run", record_of(run.directory) | {"evaluations.jsonl": b""}))
    for use in (lambda: pick_id(empty, "knee"), lambda: pick_id(empty, "0"), lambda: choose([empty], None, None)):
        with pytest.raises(InputError, match="nothing is evaluated yet; continue it with: codesign resume"):
            use()


def test_the_exported_design_is_the_picked_one(run: Run, tmp_path: Path) -> None:
    """The JSON that is written holds the model and accelerator of the pick, and exporting again changes nothing."""
    (path,) = export_pick(run, "min edp_js", [" json "], tmp_path)
    text = path.read_text()
    written = json.loads(text)
    record = design_record(run, pick_id(run, "min edp_js"))
    assert written["accelerator"] == record["accelerator"]
    assert written["model"]["ffn"] == record["model"]["ffn"]
    assert [path] == export_pick(run, "min edp_js", ["json"], tmp_path)
    assert path.read_text() == text
    with pytest.raises(CodesignError, match=r"unknown export format 'yaml'; known: .*json"):
        export_pick(run, "knee", ["yaml"], tmp_path)
