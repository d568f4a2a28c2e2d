"""The front at the full budget: what is measured again, what is believed, and that nothing disturbs it."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codesign
from codesign.errors import ProxyError, RunError
from codesign.front import front_ids
from codesign.optimize.remeasure import NEAR_SHARE, planned_ids
from codesign.picks import joint_front, pick_id
from codesign.run import Run
from codesign.tables import design_record, front_record, full_text
from tests.optimize.rungs import Rungs
from tests.optimize.searches import record_of, resealed, restore, small_search

Record = dict[str, bytes]
REMEASURED = "remeasured.jsonl"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished search of 110 designs, screened by what it measured, whose front was measured again."""
    where = tmp_path_factory.mktemp("ladder") / "run"
    return small_search(where, budget=110, cost_model="gemmini_40nm", proxy=Rungs(), screen="fitted")


@pytest.fixture(scope="module")
def finished(run: Run) -> Record:
    """Its files."""
    return record_of(run.directory)


def lines(finished: Record, name: str, count: int, more: int = 0) -> bytes:
    """The first lines of a file, and some bytes of the next."""
    text = finished[name]
    start = len(b"".join(text.splitlines(keepends=True)[:count]))
    return text[: start + more]


def test_the_front_is_of_what_was_measured_again(run: Run) -> None:
    """Baseline and screened front are measured again; the front is the non-dominated of these, at the new values."""
    assert run.full is not None
    assert {0, *run.screened_front_ids().tolist()} <= set(run.full.ids.tolist())
    assert len(run.full.ids) <= 1 + (1 + NEAR_SHARE) * len(run.screened_front_ids())
    assert set(run.front_ids().tolist()) <= set(run.full.ids.tolist())
    again = Rungs().full()
    assert again is not None
    expected = again.predict(run.space.decode(run.evaluations.genomes[run.full.ids]).shape)
    np.testing.assert_allclose(run.judged.metrics["perplexity"][run.full.ids], expected.value)
    np.testing.assert_array_equal(run.judged.log_standard_error[run.full.ids], expected.log_standard_error)
    for name, column in run.evaluations.metrics.items():
        if name != "perplexity":
            np.testing.assert_array_equal(run.judged.metrics[name], column)


def test_everybody_shows_the_full_budget(run: Run) -> None:
    """Table, JSON, picks, joint front and gains say the same quality; a design judged by the screen is not picked."""
    front, record = run.front(), front_record([(run, run.front_ids())])
    assert front["remeasured"].all()
    assert [design["metrics"]["perplexity"] for design in record["designs"]] == front["perplexity"].tolist()
    assert joint_front([run])[0][1].tolist() == run.front_ids().tolist()
    best = pick_id(run, "min perplexity")
    assert best == run.front_ids()[0]
    other = int(np.flatnonzero(~run.remeasured)[0])
    assert not design_record(run, pick_id(run, str(other)))["remeasured"]
    for gain in run.gains():
        assert gain.id == 0 or run.remeasured[gain.id]
        assert gain.change_low <= gain.change <= gain.change_high
    assert "designs measured again" in full_text(run)


def test_ties_come_from_the_record(run: Run) -> None:
    """Reading needs no proxy; neighbours closer than the noise are tied, in table and JSON alike."""
    values, errors = np.log(run.front().sort_values("perplexity")["perplexity"]), run.full.noise.standard_errors  # type: ignore[union-attr]
    tied = np.abs(np.diff(values)) < 2 * np.array(errors, dtype=float)
    ties = run.ties()
    assert sum(len(found or []) for found in ties.values()) == 2 * tied.sum()
    shown = run.front()["tied_with"]
    for design in front_record([(run, run.front_ids())])["designs"]:
        assert design["tied_with"] == ties[design["id"]]
        assert shown[design["id"]] == (" ".join(map(str, ties[design["id"]] or [])) or "none")


@pytest.mark.parametrize("count", [0, 1, 2, 7])
@pytest.mark.parametrize("more", [0, 20])
def test_a_killed_remeasurement_is_continued(count: int, more: int, finished: Record, tmp_path: Path) -> None:
    """Cut at any line or within one, the file ends as if nothing had happened; until then it is not believed."""
    cut = finished | {REMEASURED: lines(finished, REMEASURED, count, more)}
    directory = restore(tmp_path / "run", cut)
    assert codesign.open_run(directory).full is None
    again = codesign.resume(directory, proxy=Rungs())
    assert record_of(directory) == finished
    assert again.full is not None


@pytest.mark.parametrize("count", [0, 19, 20, 53, 100, 109])
def test_a_killed_screened_search_ends_as_an_undisturbed_one(count: int, finished: Record, tmp_path: Path) -> None:
    """Between batches or within one: what was screened out before is screened out again."""
    cut = {"run.json": finished["run.json"], "evaluations.jsonl": lines(finished, "evaluations.jsonl", count, 30)}
    codesign.resume(restore(tmp_path / "run", cut), proxy=Rungs())
    assert record_of(tmp_path / "run") == finished


def test_an_extended_search_measures_the_new_front_again(finished: Record, tmp_path: Path) -> None:
    """What the shorter search measured is taken over, what is not on the longer one's list left out."""
    options: dict[str, Any] = {"cost_model": "gemmini_40nm", "proxy": Rungs(), "screen": "fitted"}
    short = small_search(tmp_path / "run", budget=50, **options)
    assert short.full is not None
    dear = Rungs(fails_after=[10_000])
    codesign.resume(tmp_path / "run", budget=110, proxy=dear)
    assert record_of(tmp_path / "run") == finished


def test_resuming_a_finished_run_measures_nothing(finished: Record, tmp_path: Path) -> None:
    """Neither bytes nor dates change, and the dear rung is not asked."""
    directory = restore(tmp_path / "run", finished)
    before = [(directory / name).stat().st_mtime_ns for name in finished]
    codesign.resume(directory, proxy=Rungs(fails_after=[0]))
    assert before == [(directory / name).stat().st_mtime_ns for name in finished]


def test_a_failing_rung_keeps_what_it_measured(tmp_path: Path, finished: Record) -> None:
    """The message says that all evaluations are kept and how to go on; going on ends as if it had not failed."""
    options: dict[str, Any] = {"cost_model": "gemmini_40nm", "screen": "fitted", "budget": 110}
    with pytest.raises(ProxyError, match=r"out of order; all evaluations are kept.*codesign resume"):
        small_search(tmp_path / "run", proxy=Rungs(fails_after=[6]), **options)
    kept = codesign.open_run(tmp_path / "run")
    assert kept.again is not None
    assert 0 < len(kept.again.designs) < len(kept.again.plan.ids)
    assert "not used yet" in full_text(kept)
    assert set(kept.ties().values()) == {None}
    codesign.resume(tmp_path / "run", proxy=Rungs())
    assert record_of(tmp_path / "run") == finished


def test_a_full_disk_loses_nothing(finished: Record, tmp_path: Path) -> None:
    """Where the file cannot grow, the message says so, and with room again it ends the same."""
    directory = restore(tmp_path / "run", finished | {REMEASURED: lines(finished, REMEASURED, 3)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(lines(finished, REMEASURED, 3)) + 50, hard))
    try:
        with pytest.raises(RunError, match=r"remeasured\.jsonl: cannot be written: .*2 re-measured designs are kept"):
            codesign.resume(directory, proxy=Rungs())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    codesign.resume(directory, proxy=Rungs())
    assert record_of(directory) == finished


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.split(b"\n", 1)[1], "line 1: expected the plan first, got kind design"),
        (
            lambda text: resealed(text.replace(b'"evaluations":110', b'"evaluations":111')),
            "at most 110 evaluations, got 111",
        ),
        (lambda text: resealed(text.replace(b'"ids":[0,', b'"ids":[-1,')), "line 1: expected ids of the record"),
        (lambda text: text.replace(b'"kind":"design"', b'"kind":"other"', 1), "line 2 is damaged: its checksum"),
        (lambda text: resealed(text.replace(b'"kind":"design"', b'"kind":"other"', 1)), "line 2 is damaged: Invalid"),
        (lambda text: text + text.splitlines(keepends=True)[1], "expected no line of kind design here"),
        (lambda text: b"".join(text.splitlines(keepends=True)[i] for i in (0, 1, 1)), "not planned or stands there"),
        (lambda text: b"".join(text.splitlines(keepends=True)[i] for i in (0, 1, -1)), "all measured"),
    ],
)
def test_damage_is_refused(damage: object, message: str, finished: Record, tmp_path: Path) -> None:
    """With file, line and what to do; nothing is written."""
    damaged = finished | {REMEASURED: damage(finished[REMEASURED])}  # type: ignore[operator]
    directory = restore(tmp_path / "run", damaged)
    for use in (codesign.open_run, lambda where: codesign.resume(where, proxy=Rungs())):
        with pytest.raises(RunError, match=message + r".*restore the file from a copy, or remove it"):
            use(directory)
    assert record_of(directory) == damaged


def test_old_runs_are_read_and_completed(finished: Record, tmp_path: Path) -> None:
    """Without the file and without a screen in run.json a run is what it was; resumed, it gets its re-measurement."""
    manifest = json.loads(finished["run.json"])
    del manifest["screen"]
    old = {"run.json": json.dumps(manifest).encode(), "evaluations.jsonl": finished["evaluations.jsonl"]}
    kept = codesign.open_run(restore(tmp_path / "old", old))
    assert kept.manifest.screen is None
    assert kept.full is None
    assert kept.front_ids().tolist() == kept.screened_front_ids().tolist()
    assert full_text(kept) == ""
    plain = small_search(tmp_path / "plain", proxy=Rungs(), budget=40)
    (tmp_path / "plain" / REMEASURED).unlink()
    assert codesign.resume(tmp_path / "plain", proxy=Rungs()).full is not None
    assert plain.full is not None


def test_a_proxy_of_one_rung_is_not_asked_again(tmp_path: Path) -> None:
    """Surrogates have no dearer rung: no file, and all is as the search saw it; their error still ties neighbours."""
    run = small_search(tmp_path / "run")
    assert run.full is None
    assert not (tmp_path / "run" / REMEASURED).exists()
    assert any(run.ties().values())
    for tied in run.ties().values():
        assert tied is not None


def test_noise_decides_who_is_near(run: Run) -> None:
    """Without noise only front and baseline are measured again; with endless noise as many more as the rule allows."""
    objectives = run.space.objectives
    front = front_ids(run.evaluations, objectives).tolist()
    exact = planned_ids(run.evaluations, objectives, "perplexity", lambda *_: 0.0)
    unknown = planned_ids(run.evaluations, objectives, "perplexity", lambda *_: float("nan"))
    assert exact == unknown == sorted({0, *front})
    endless = planned_ids(run.evaluations, objectives, "perplexity", lambda *_: float("inf"))
    assert len(set(endless) - set(exact)) in (int(NEAR_SHARE * len(front)), int(NEAR_SHARE * len(front)) - 1)
    assert planned_ids(run.evaluations, ("edp_js", "area_mm2"), "perplexity", lambda *_: float("inf"))[0] == 0


def test_a_dear_proxy_may_be_its_own_last_rung(tmp_path: Path) -> None:
    """Its answers are taken again: the front stays what it was, and its noise is in the record."""

    class Last(Rungs):
        def full(self) -> Rungs | None:
            return self

    run = small_search(tmp_path / "run", proxy=Last())
    assert run.front_ids().tolist() == run.screened_front_ids().tolist()
    assert "0 left it, and 0 that noise had hidden joined" in full_text(run)
    assert codesign.open_run(tmp_path / "run").ties() == run.ties()


def test_another_metric_at_the_full_budget_is_refused(tmp_path: Path) -> None:
    """Values of two metrics are never put into one column."""

    class Other(Rungs):
        def full(self) -> Rungs | None:
            dearer = super().full()
            if dearer is not None:
                predict = dearer.predict
                object.__setattr__(dearer, "predict", lambda shape: replace(predict(shape), metric="error"))
            return dearer

    with pytest.raises(ProxyError, match="at full budget: expected the metric perplexity, got error"):
        small_search(tmp_path / "run", proxy=Other())
