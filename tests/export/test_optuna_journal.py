"""A run as an Optuna journal: read back by Optuna, it is the same run with the same front."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import TrialState

from codesign.errors import InputError
from codesign.export.optuna_journal import FULL_BUDGET, JOURNAL, render
from codesign.run import Run
from tests.command_line import call, refusal
from tests.optimize.rungs import Rungs
from tests.optimize.searches import ROOT, small_search

SPACE = """[limits]
area_mm2 = { times_baseline = 0.9 }
perplexity = { times_baseline = 1.05 }

[baseline.model]"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished search with limits, whose front was not measured again."""
    where = tmp_path_factory.mktemp("journal")
    text = (ROOT / "search_spaces" / "tiny.toml").read_text().replace("[baseline.model]", SPACE)
    (where / "limited.toml").write_text(text)
    return small_search(where / "run", space=where / "limited.toml", cost_model="gemmini_40nm")


@pytest.fixture(scope="module")
def laddered(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished search whose front was measured again."""
    return small_search(tmp_path_factory.mktemp("journal") / "run", cost_model="gemmini_40nm", proxy=Rungs())


def study_of(run: Run, directory: Path) -> optuna.Study:
    """What Optuna reads."""
    directory.mkdir()
    (directory / JOURNAL).write_bytes(render(run)[JOURNAL])
    storage = JournalStorage(JournalFileBackend(str(directory / JOURNAL)))
    return optuna.load_study(study_name=run.name, storage=storage)


@pytest.mark.parametrize("which", ["run", "laddered"])
def test_the_best_trials_are_our_front(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """By Optuna's own dominance and constraints, also where only some designs were measured again."""
    run: Run = request.getfixturevalue(which)
    assert 0 < len(run.front_ids()) < run.comparable.sum() < len(run.evaluations)
    study = study_of(run, tmp_path / "there")
    best = {tuple(trial.values) for trial in study.best_trials}
    front = np.stack([run.judged.metrics[name][run.front_ids()] for name in run.space.objectives], axis=1)
    assert best == set(map(tuple, front.tolist()))
    assert {trial.number for trial in study.best_trials} >= set(run.front_ids().tolist())


def test_trials_are_the_evaluations(run: Run, tmp_path: Path) -> None:
    """In order, with each gene's value, all metrics, and constraints that hold exactly where a design is feasible."""
    study = study_of(run, tmp_path / "there")
    assert study.metric_names == list(run.space.objectives)
    assert {direction.name for direction in study.directions} == {"MINIMIZE"}
    assert study.user_attrs["cost_model"] == "gemmini_40nm"
    assert [trial.user_attrs["id"] for trial in study.trials] == list(range(len(run.evaluations)))
    genomes = [
        [trial.distributions[gene.name].choices.index(trial.params[gene.name]) for gene in run.space.genes]
        for trial in study.trials
    ]
    np.testing.assert_array_equal(run.space.canonical(np.array(genomes)), run.evaluations.genomes)
    for name, column in run.evaluations.metrics.items():
        np.testing.assert_array_equal(column, [trial.user_attrs[name] for trial in study.trials])
    kept = [all(value <= 0 for value in trial.constraints.values()) for trial in study.trials]
    np.testing.assert_array_equal(kept, run.evaluations.feasible)
    assert set(study.trials[0].constraints) == {"area_mm2", "perplexity"}


def test_what_failed_is_failed_and_says_why(run: Run, tmp_path: Path) -> None:
    """A design without quality and one without a mapping are FAIL trials with the reason; the others stay."""
    metrics = {name: column.copy() for name, column in run.evaluations.metrics.items()}
    failure = run.evaluations.failure.copy()
    metrics["perplexity"][3], failure[3] = np.nan, "Traceback: no"
    for name in metrics:
        metrics[name][5] = np.nan
    broken = replace(run, evaluations=replace(run.evaluations, metrics=metrics, failure=failure))
    of_costs = replace(broken, space=replace(run.space, objectives=("edp_js", "area_mm2"), limits={}))
    failed = [trial.number for trial in study_of(of_costs, tmp_path / "costs").trials if not trial.values]
    assert failed == [3, 5]  # also where quality is no objective
    trials = study_of(broken, tmp_path / "there").trials
    assert [trial.number for trial in trials if trial.state is TrialState.FAIL] == [3, 5]
    assert trials[3].user_attrs["failure"] == "Traceback: no"
    assert "no tile fits" in trials[5].user_attrs["failure"]
    assert sum(trial.state is TrialState.COMPLETE for trial in trials) == len(run.evaluations) - 2


def test_equal_runs_give_equal_files_and_nothing_is_printed(
    run: Run, laddered: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    """No clock, process or random number is in the file, and Optuna's messages are back as they were."""
    level = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert render(run) == render(run)
    assert optuna.logging.get_verbosity() == level
    assert capfd.readouterr() == ("", "")
    assert FULL_BUDGET.encode() in render(laddered)[JOURNAL]
    assert FULL_BUDGET.encode() not in render(run)[JOURNAL]


def test_the_command_writes_it_beside_other_formats(run: Run, tmp_path: Path) -> None:
    """One export of a design and of the run; twice changes nothing; an unknown format names both kinds."""
    arguments = ("export", run.directory, "--format", "optuna,json", "--to", tmp_path / "to")
    assert call(*arguments).split() == [str(tmp_path / "to" / name) for name in ("design.json", JOURNAL)]
    assert call(*arguments) == call(*arguments)
    assert "optuna" in refusal("export", run.directory, "--format", "yaml", "--to", tmp_path / "to")


def test_a_run_without_evaluations_is_refused(run: Run) -> None:
    """There is nothing to show."""
    with pytest.raises(InputError, match="expected evaluations to export"):
        render(replace(run, evaluations=run.evaluations.take(slice(0, 0))))
