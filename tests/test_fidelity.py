"""Calibrated time from the search to the report: recorded, resumed, named, with its interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.comparison import check_comparable
from codesign.cost import technology
from codesign.errors import InputError, RunError
from codesign.estimates import ScenarioOptions, estimate_input
from codesign.report import write_report
from codesign.run import Run
from codesign.tables import front_record
from tests.optimize.searches import record_of, run_command, small_search
from tests.report.pages import Page
from tests.test_startup import design_file

NONE_GIVEN = ScenarioOptions(None, None, 1, "prefill")
COST = "gemmini_40nm"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small calibrated search."""
    return small_search(tmp_path_factory.mktemp("calibrated") / "run", cost_model=COST, fidelity="calibrated")


def test_a_calibrated_search_is_slower_and_as_frugal_in_its_record(run: Run, tmp_path: Path) -> None:
    """Its designs take more cycles than ideal time gives them, for the same MACs; the record says which time."""
    assert run.manifest.fidelity == "calibrated"
    ideal = small_search(tmp_path / "ideal", cost_model=COST)
    both = [search.evaluations.metrics for search in (run, ideal)]
    assert both[0]["cycles"][0] > both[1]["cycles"][0]
    assert both[0]["macs"][0] == both[1]["macs"][0]
    with pytest.raises(InputError, match="fidelity: expected calibrated"):
        check_comparable([run, ideal])


def test_resuming_keeps_the_fidelity(run: Run, tmp_path: Path) -> None:
    """A calibrated search that is extended has the bytes of a longer one."""
    small_search(tmp_path / "short", cost_model=COST, fidelity="calibrated", budget=30)
    codesign.resume(tmp_path / "short", budget=60)
    assert record_of(tmp_path / "short") == record_of(run.directory)


def test_the_same_search_in_other_time_is_another_run(run: Run) -> None:
    """A directory that holds a calibrated run is not taken for the ideal one."""
    with pytest.raises(RunError, match="fidelity calibrated instead of ideal"):
        small_search(run.directory, cost_model=COST)


def test_the_front_says_how_sure_time_is(run: Run) -> None:
    """The record of a front names the fidelity and gives the 10th and 90th percentile of time."""
    record = front_record([(run, run.front_ids())])
    calibration = technology.read(COST).content.calibration
    assert calibration is not None
    assert record["fidelity"] == "calibrated"
    for design in record["designs"]:
        for name in ("edp_js", "delay_s", "cycles"):
            low, high = design["intervals"][name]
            assert low == design["metrics"][name] * calibration.low_ratio.value
            assert high == design["metrics"][name] * calibration.high_ratio.value
        assert "energy_j" not in design["intervals"]


def test_report_and_terminal_name_the_fidelity(run: Run, tmp_path: Path) -> None:
    """The page and the printed front say calibrated, and the page recomputes the same costs."""
    text = Page(write_report([run], tmp_path / "page.html")).text
    assert "calibrated (as RTL; " in text
    assert "costs these designs differently" not in text
    assert "fidelity calibrated" in run_command("front", run.directory).stdout


def test_an_estimate_has_the_interval_and_the_gap(tmp_path: Path) -> None:
    """A calibrated estimate carries the interval of delay; both kinds say how far they are from the bounds."""
    ideal, calibrated = (
        estimate_input(design_file(tmp_path), COST, NONE_GIVEN, time) for time in ("ideal", "calibrated")
    )
    assert ideal["intervals"] == {}
    low, high = calibrated["intervals"]["delay_s"]
    assert low < calibrated["metrics"]["delay_s"] < high
    assert calibrated["metrics"]["delay_s"] > ideal["metrics"]["delay_s"]
    for result in (ideal, calibrated):
        assert min(result["bounds"].values()) >= 1 - 1e-9
        assert result["deployment"]["time_per_output_token_s"] > 0
    printed = run_command("estimate", design_file(tmp_path), COST, "--fidelity", "calibrated").stdout
    for word in ("calibrated time", "10th..90th percentile", "cycles_over_bound", "time_to_first_token_s"):
        assert word in printed


def test_buffering_of_a_file_of_matmuls(tmp_path: Path) -> None:
    """The choice between halved and whole buffers is never worse than either."""
    import pandas as pd

    (tmp_path / "in.csv").write_text(
        "m,k,n,pe_rows,pe_cols,scratchpad_bytes,accumulator_bytes\n512,768,768,16,16,16384,16384\n100,64,90,8,8,512,512\n"
    )
    edp = {}
    for kind in ("double", "single", "best"):
        done = run_command(
            "estimate", "--matmuls", tmp_path / "in.csv", COST, "-o", tmp_path / "out.csv", "--buffering", kind
        )
        assert done.returncode == 0, done.stderr
        table = pd.read_csv(tmp_path / "out.csv")
        edp[kind] = table["edp_pj_cycles"].to_numpy()
        assert (table["cycles_over_bound"] >= 1).all()
        assert list(table.columns[-3:]) == ["reason", "cycles_over_bound", "energy_over_bound"]
    np.testing.assert_allclose(edp["best"], np.minimum(edp["double"], edp["single"]))
