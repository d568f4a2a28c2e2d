"""The search loop: what it asks, records, replays and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import pytest

import codesign
from codesign.accuracy import Quality
from codesign.accuracy.proxy import resolve
from codesign.cost import technology
from codesign.design import ModelShape
from codesign.errors import InputError, ProxyError, RunError
from codesign.evaluation import make_evaluator
from codesign.optimize.loop import Progress
from codesign.space_file import read_space
from tests.optimize.searches import edited_line, record_of, restore, small_search
from tests.optimize.spaces import NOTHING_FEASIBLE, write_space

Record = dict[str, bytes]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of a finished search of 110 designs, whose last batch is cut short by the budget."""
    directory = tmp_path_factory.mktemp("finished") / "run"
    small_search(directory, budget=110)
    return record_of(directory)


def cut(finished: Record, lines: int, more: int = 0) -> Record:
    """The record after its first lines, and some bytes of the next."""
    text = finished["evaluations.jsonl"]
    start = len(b"".join(text.splitlines(keepends=True)[:lines]))
    return finished | {"evaluations.jsonl": text[: start + more]}


@pytest.mark.parametrize("name", ["tiny", "survey_lm", "survey_lm_fixed_hw"])
def test_an_evaluation_does_not_depend_on_its_batch(name: str) -> None:
    """Evaluated alone, in pairs or all at once, a design gets the same numbers to the last bit."""
    space = read_space(name).content
    evaluator = make_evaluator(space, technology.read("gemmini_40nm").content, resolve("surrogate"))
    genomes = space.sample(np.random.default_rng(0), 60)
    whole = evaluator(genomes)
    for size in (1, 2, 7, 59):
        parts = [evaluator(genomes[start : start + size]) for start in range(0, 60, size)]
        for metric, column in whole.metrics.items():
            np.testing.assert_array_equal(np.concatenate([part.metrics[metric] for part in parts]), column, metric)
        for field in ("log_standard_error", "extrapolated", "violation"):
            np.testing.assert_array_equal(
                np.concatenate([getattr(part, field) for part in parts]), getattr(whole, field), field
            )


@pytest.mark.parametrize(
    ("lines", "more"), [(0, 0), (0, 30), (1, 0), (19, 0), (19, 250), (20, 0), (20, 1), (53, 100), (100, 0), (109, 400)]
)
def test_an_interrupted_search_ends_as_an_undisturbed_one(
    lines: int, more: int, finished: Record, tmp_path: Path
) -> None:
    """Cut at any line, between batches or within one, with a torn line or without: resumed, the record is the same."""
    directory = restore(tmp_path / "run", cut(finished, lines, more))
    codesign.resume(directory)
    assert record_of(directory) == finished


def test_resuming_a_finished_run_changes_nothing(finished: Record, tmp_path: Path) -> None:
    """Neither the bytes nor the dates of the record change."""
    directory = restore(tmp_path / "run", finished)
    before = [(directory / name).stat().st_mtime_ns for name in finished]
    codesign.resume(directory)
    assert record_of(directory) == finished
    assert before == [(directory / name).stat().st_mtime_ns for name in finished]


@pytest.mark.parametrize("budget", [1, 20, 53, 60])
def test_an_extended_search_is_a_longer_one(budget: int, finished: Record, tmp_path: Path) -> None:
    """A finished search given a larger budget ends with the record of one that had it from the start."""
    small_search(tmp_path / "run", budget=budget)
    codesign.resume(tmp_path / "run", budget=110)
    assert record_of(tmp_path / "run") == finished


def test_a_larger_budget_survives_an_interruption(finished: Record, tmp_path: Path) -> None:
    """An extension that is interrupted at once is continued without naming the budget again."""

    def stop(state: Progress) -> None:
        raise KeyboardInterrupt

    small_search(tmp_path / "run", budget=60)
    with pytest.raises(KeyboardInterrupt):
        codesign.resume(tmp_path / "run", budget=110, watch=stop)
    codesign.resume(tmp_path / "run")
    assert record_of(tmp_path / "run") == finished


def test_a_budget_below_what_is_done_is_refused(finished: Record, tmp_path: Path) -> None:
    """Evaluations are never thrown away; a smaller budget that none exceeds is taken."""
    directory = restore(tmp_path / "run", finished)
    with pytest.raises(RunError, match="budget: expected at least the 110 evaluations already made, got 109"):
        codesign.resume(directory, budget=109)
    assert record_of(directory) == finished
    restore(directory, cut(finished, 40))
    assert len(codesign.resume(directory, budget=50).evaluations) == 50


def test_a_record_of_other_costs_is_not_continued(finished: Record, tmp_path: Path) -> None:
    """A baseline that does not cost what the record says can be read, but its run is not resumed."""
    metrics = json.loads(finished["evaluations.jsonl"].splitlines()[0])["metrics"]
    damaged = edited_line(finished, 0, metrics=metrics | {"edp_js": 1.0})
    directory = restore(tmp_path / "run", damaged)
    with pytest.raises(RunError, match=r"edp_js of the baseline is 1 in the record and .* it cannot be continued"):
        codesign.resume(directory)
    assert record_of(directory) == damaged
    assert len(codesign.open_run(directory).front())


def test_a_watcher_sees_every_batch(tmp_path: Path) -> None:
    """It is called at the start and after each batch, with the evaluations so far and why the search ended."""
    seen: list[Progress] = []
    small_search(tmp_path / "run", budget=50, watch=seen.append)
    assert [len(state.run.evaluations) for state in seen] == [0, 20, 40, 50]
    assert [state.finished for state in seen] == ["", "", "", "budget used"]
    seen.clear()
    codesign.resume(tmp_path / "run", budget=60, watch=seen.append)
    assert {state.replayed for state in seen} == {50}


def test_a_small_space_ends_before_its_budget(tmp_path: Path) -> None:
    """When nothing is left to ask for, the search says so and is finished; resuming it is no error."""
    fixed = {
        "layers = { choices = [1, 2] }": "layers = 2",
        "hidden = { choices = [64, 96, 128] }": "hidden = 128",
        "heads = { choices = [1, 2], per_layer = true }": "heads = 2",
        "ffn = { choices = [128, 192, 256, 512], per_layer = true }": "ffn = 512",
    }
    seen: list[Progress] = []
    run = small_search(tmp_path / "run", budget=500, space=write_space(tmp_path, fixed), watch=seen.append)
    assert len(run.evaluations) == run.space.size() == 64
    assert seen[-1].finished == "all designs of the space are evaluated"
    before = record_of(tmp_path / "run")
    codesign.resume(tmp_path / "run", budget=1000)
    assert record_of(tmp_path / "run")["evaluations.jsonl"] == before["evaluations.jsonl"]


def test_a_space_without_a_feasible_design_is_searched_to_the_end(tmp_path: Path) -> None:
    """A limit that nothing meets gives an empty front, no exception, and a record that resumes."""
    run = small_search(tmp_path / "run", space=write_space(tmp_path, NOTHING_FEASIBLE))
    assert len(run.evaluations) == 60
    assert (len(run.front()), run.hypervolume()) == (0, 0.0)
    assert [gain.id for gain in run.gains()] == [0, 0]
    with pytest.raises(InputError, match="no knee: none of the 60 designs evaluated is feasible"):
        run.knee()
    before = record_of(tmp_path / "run")
    codesign.resume(tmp_path / "run")
    assert record_of(tmp_path / "run") == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget: expected at least 1, got 0"),
        ({"budget": -5}, "budget: expected at least 1, got -5"),
        ({"population": 1}, "population: expected at least 2, got 1"),
        ({"seed": -1}, "seed: expected at least 0, got -1"),
        ({"batch": 0}, "batch: expected at least 1, got 0"),
        ({"budget": "20"}, "budget: expected a whole number, got '20'"),
        ({"budget": 20.5}, "budget: expected a whole number, got 20.5"),
        ({"population": 20.0}, "population: expected a whole number, got 20.0"),
        ({"batch": 2.0}, "batch: expected a whole number, got 2.0"),
        ({"seed": None}, "seed: expected a whole number, got None"),
        ({"patience": -1}, "patience: expected at least 0, got -1"),
        ({"patience": 2.5}, "patience: expected a whole number, got 2.5"),
        ({"patience": 50, "plateau": -0.1}, "plateau: expected a share of the hypervolume, at least 0 and below 1"),
        ({"patience": 50, "plateau": 2}, "plateau: expected a share of the hypervolume.*, got 2"),
        ({"patience": 50, "plateau": "0.1"}, "plateau: expected a share of the hypervolume.*, got '0.1'"),
        ({"plateau": 0.5}, "plateau: expected a patience with it, got a plateau of 0.5 alone; give --patience N"),
        ({"patience": 0, "plateau": -1}, "plateau: expected a patience with it"),
        ({"order": "Async"}, "unknown order 'Async'; known: async, ordered"),
        ({"fidelity": "rtl"}, "unknown fidelity 'rtl'; known: calibrated, ideal"),
        ({"warm_start": "earlier"}, "warm start: expected a list of runs, got the text 'earlier'"),
        ({"algorithm": "nsga3"}, "unknown algorithm 'nsga3'; known: age_moea2, bilevel, nsga2, .*pymoo:CLASS"),
        ({"proxy": "surogate"}, "unknown proxy 'surogate'; known: .*surrogate, surrogate_txl"),
        ({"space": "tyni"}, "unknown search space .*'tyni'; known: .*survey_lm.*tiny"),
        ({"cost_model": "units"}, "unknown cost model .*'units'; known: .*gemmini_40nm, horowitz_45nm, .*unit"),
    ],
)
def test_refused_searches_leave_nothing(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    """A search that cannot begin makes no directory."""
    with pytest.raises(InputError, match=message):
        small_search(tmp_path / "run", **options)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_other_libraries_are_numbers(finished: Record, tmp_path: Path) -> None:
    """NumPy's integers and floats give the record that Python's give, from the start and when a search goes on."""
    numbers = {"budget": np.int64(60), "population": np.int32(20), "batch": np.int64(20), "seed": np.uint8(3)}
    rule = {"patience": np.int64(1000), "plateau": np.float32(0.5)}
    small_search(tmp_path / "run", **numbers, **rule)
    codesign.resume(tmp_path / "run", budget=np.int64(110), patience=np.int8(0))
    assert record_of(tmp_path / "run") == finished
    with pytest.raises(InputError, match=r"budget: expected a whole number, got 200\.5"):
        codesign.resume(tmp_path / "run", budget=200.5)  # type: ignore[arg-type]
    assert record_of(tmp_path / "run") == finished


class Failing:
    """A proxy function that fails once it has judged some designs."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, shape: ModelShape) -> Quality:
        """Judge by size."""
        self.left -= len(shape)
        if self.left < 0:
            raise RuntimeError("out of memory")
        value = 1e3 / shape.hidden
        return Quality("loss", value, np.full(len(shape), 0.01), np.zeros(len(shape), dtype=bool))


def test_a_proxy_that_breaks_loses_nothing(tmp_path: Path) -> None:
    """Twenty shapes that fail in a row end a search with what was found and how to go on; then it is continued."""
    space = write_space(tmp_path, {'"perplexity"': '"loss"'})
    with pytest.raises(
        ProxyError, match=r"(?s)the last 20 shapes all failed.*out of memory.* evaluations are kept; once"
    ):
        small_search(tmp_path / "run", budget=400, space=space, proxy=Failing(28))
    kept = codesign.open_run(tmp_path / "run").evaluations
    assert (kept.failure == "").sum() >= 28
    whole = codesign.resume(tmp_path / "run", proxy=Failing(10**6)).evaluations
    assert len(whole) == 400
    np.testing.assert_array_equal(whole.genomes[: len(kept)], kept.genomes)
    assert (whole.failure[len(kept) :] == "").any()


def test_shapes_that_cannot_be_measured_are_recorded_as_failed(tmp_path: Path) -> None:
    """The search goes on; a failed design has its traceback, no quality, a violation, and is on no front."""

    def picky(shape: ModelShape) -> dict[str, Any]:
        if (shape.hidden == 96).any():
            raise RuntimeError("96 is odd")
        return {"loss": 1e3 / shape.hidden}

    run = small_search(tmp_path / "run", space=write_space(tmp_path, {'"perplexity"': '"loss"'}), proxy=picky)
    failed = run.evaluations.failure != ""
    np.testing.assert_array_equal(failed, run.space.decode(run.evaluations.genomes).shape.hidden == 96)
    assert failed.any()
    assert all("RuntimeError: 96 is odd" in text for text in run.evaluations.failure[failed])
    assert np.isnan(run.evaluations.metrics["loss"][failed]).all()
    assert (run.evaluations.violation[failed] >= 1).all()
    assert not failed[run.front_ids()].any()


def test_another_proxy_does_not_continue_a_run(tmp_path: Path) -> None:
    """A run is only continued by the proxy that it was started with."""
    small_search(tmp_path / "run", budget=20)
    with pytest.raises(RunError, match="expected proxy surrogate, got surrogate_txl"):
        codesign.resume(tmp_path / "run", proxy="surrogate_txl")
    with pytest.raises(RunError, match=r"expected proxy surrogate, got .*Failing"):
        codesign.resume(tmp_path / "run", proxy=Failing(10))


def test_an_objective_that_nobody_measures_is_refused(tmp_path: Path) -> None:
    """An objective or limit that is no column of cost or proxy is named with the known ones."""
    for changes, message in (
        ({'"perplexity", "edp_js"': '"perplexity", "watts"'}, "objective 'watts' is no column of this search; known: "),
        ({"[baseline.model]": "[limits]\nloss = { max = 1.0 }\n[baseline.model]"}, "limit 'loss' is no column"),
    ):
        with pytest.raises(InputError, match=message + ".*perplexity, edp_js"):
            small_search(tmp_path / "run", space=write_space(tmp_path, changes))


def test_a_baseline_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """Everything is compared with the baseline, so it has to run on its own accelerator."""
    changes = {
        "scratchpad_kib = { choices = [4, 16] }": "scratchpad_kib = { choices = [0.0009765625, 16] }",
        "scratchpad_kib = 16\n": "scratchpad_kib = 0.0009765625\n",
    }
    with pytest.raises(InputError, match="baseline: no tile fits on chip"):
        small_search(tmp_path / "run", space=write_space(tmp_path, changes))


def test_the_search_learns(tmp_path: Path) -> None:
    """With the same number of evaluations a search covers more than designs drawn at random do."""
    run = small_search(tmp_path / "run", budget=300, cost_model="gemmini_40nm")
    evaluator = make_evaluator(run.space, run.technology, run.proxy)
    drawn = evaluator(run.space.sample(np.random.default_rng(0), 300))
    ours, theirs = (evaluations.objectives(run.space.objectives) for evaluations in (run.evaluations, drawn))
    reference = np.maximum(ours.max(axis=0), theirs.max(axis=0))
    assert moocore.hypervolume(ours, ref=reference) > moocore.hypervolume(theirs, ref=reference)
