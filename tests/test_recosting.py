"""A run under other costs: the same designs and qualities, priced and judged anew, with nothing measured."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.errors import CodesignError, RunError
from codesign.run import Run
from tests.command_line import call
from tests.optimize.rungs import Rungs
from tests.optimize.searches import record_of, small_search


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished search whose front was measured again, with a proxy that nobody finds by its name."""
    where = tmp_path_factory.mktemp("recosting") / "run"
    return small_search(where, budget=60, cost_model="gemmini_40nm", proxy=Rungs())


def test_under_its_own_costs_a_run_is_the_same(run: Run, tmp_path: Path) -> None:
    """Evaluations byte for byte; of the full budget what was on the plan, with the violations it had."""
    same = codesign.recost(run.directory, "gemmini_40nm", directory=tmp_path / "same")
    name = "evaluations.jsonl"
    assert (same.directory / name).read_bytes() == (run.directory / name).read_bytes()
    assert run.full is not None
    assert same.again is not None
    known = {design.id: design for design in run.full.designs}
    assert [known[design.id] for design in same.again.designs] == list(same.again.designs)
    assert set(run.screened_front_ids().tolist()) <= {design.id for design in same.again.designs}


def test_under_other_costs_designs_and_qualities_stay(run: Run, tmp_path: Path) -> None:
    """Costs are those of the other model, limits those of the baseline under it, the manifest says where from."""
    other = codesign.recost(run, "unit", directory=tmp_path / "other")
    ours, theirs = run.evaluations, other.evaluations
    np.testing.assert_array_equal(ours.genomes, theirs.genomes)
    for column in ("log_standard_error", "extrapolated", "failure"):
        np.testing.assert_array_equal(getattr(ours, column), getattr(theirs, column))
    np.testing.assert_array_equal(ours.metrics["perplexity"], theirs.metrics["perplexity"])
    searched = small_search(tmp_path / "searched", budget=2, cost_model="unit", proxy=Rungs()).evaluations
    for name in ("edp_js", "area_mm2", "violation"):
        column = (searched.violation, theirs.violation) if name == "violation" else (
            searched.metrics[name], theirs.metrics[name]
        )  # fmt: skip
        assert column[0][0] == column[1][0]
    assert (ours.metrics["energy_j"] != theirs.metrics["energy_j"]).all()
    lines = (run.directory / "evaluations.jsonl").read_bytes()
    assert other.manifest.recosted_from is not None
    assert other.manifest.recosted_from.name == run.name
    assert other.manifest.recosted_from.sha256 == hashlib.sha256(lines).hexdigest()
    assert other.manifest.cost_model.name == "unit"
    assert other.manifest.budget == len(ours)


def test_resuming_measures_what_the_new_front_lacks_and_nothing_else(run: Run, tmp_path: Path) -> None:
    """The ladder is completed under the new costs; what was measured at the full budget is taken over."""
    other = codesign.recost(run, "unit", directory=tmp_path / "other")
    assert other.full is None
    before = {design.id: design.value for design in other.again.designs} if other.again else {}
    evaluations = record_of(other.directory)["evaluations.jsonl"]
    done = codesign.resume(other.directory, proxy=Rungs())
    assert done.full is not None
    assert set(other.screened_front_ids().tolist()) <= set(done.full.ids.tolist())
    assert before.items() <= {design.id: design.value for design in done.full.designs}.items()
    assert record_of(other.directory)["evaluations.jsonl"] == evaluations
    with pytest.raises(RunError, match=r"found under other costs.*--warm-start"):
        codesign.resume(other.directory, proxy=Rungs(), budget=100)


def test_a_recosting_that_cannot_be_leaves_nothing(run: Run, tmp_path: Path) -> None:
    """An occupied place, an unknown model and one that cannot run the baseline are refused; no file is left."""
    occupied = tmp_path / "occupied"
    occupied.mkdir()
    (occupied / "file").write_text("mine")
    with pytest.raises(RunError, match="occupied: expected a new or empty directory"):
        codesign.recost(run, "unit", directory=occupied)
    assert [path.name for path in tmp_path.rglob("*")] == ["occupied", "file"]
    for cost in ("no_such", "edgebert_12nm"):
        with pytest.raises(CodesignError):
            codesign.recost(run, cost, directory=tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_the_scenario_and_fidelity_are_those_given_else_the_runs(run: Run, tmp_path: Path) -> None:
    """From the command line; a shorter sequence costs less."""
    scenario = tmp_path / "short.toml"
    scenario.write_text("format = 1\n[scenario]\nsequence_length = 32\n")
    arguments = ("recost", run.directory, "gemmini_40nm", "--run", tmp_path / "short", "--scenario", scenario, "--json")
    result = call(*arguments)
    assert json.loads(result)["fidelity"] == "ideal"
    shorter = codesign.open_run(tmp_path / "short")
    assert shorter.space.scenario.sequence_length == 32
    assert (shorter.evaluations.metrics["macs"] < run.evaluations.metrics["macs"]).all()
    twice = codesign.recost(shorter, "gemmini_40nm", directory=tmp_path / "twice", fidelity="calibrated")
    assert twice.space.scenario.sequence_length == 32
    assert twice.manifest.fidelity == "calibrated"
