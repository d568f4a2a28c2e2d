"""The report as a file: complete, true to the run, self-contained, and safe against what users write."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given

from codesign.breakdown import KINDS, kind
from codesign.cost.estimate import ENERGY_LEVELS
from codesign.design import ModelShape, Scenario
from codesign.errors import InputError, RunError
from codesign.report import summary as summaries
from codesign.report import write_report
from codesign.report.charts import LEVEL_NAMES
from codesign.report.summary import summarise, thin, units_of
from codesign.report.units import number, percent
from codesign.run import Run, create
from codesign.workload import workload
from tests.optimize.searches import small_search
from tests.optimize.spaces import write_space
from tests.report.pages import Page
from tests.strategies import shapes_in_scenarios


@pytest.fixture(scope="module")
def page(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of one run, read back."""
    return Page(write_report([tiny_run], tmp_path_factory.mktemp("page") / "report.html"))


def test_embedded_breakdowns_sum_to_the_recorded_metrics(page: Page, tiny_run: Run) -> None:
    """Whichever way energy and delay are split, the parts sum to the metrics of the record."""
    units = units_of([summarise(tiny_run)])
    factors = {"energy": units["energy_j"].factor, "delay": units["delay_s"].factor}
    totals = {"energy": "energy_j", "delay": "delay_s"}
    for design in page.data["designs"].values():
        assert len(design["charts"]) == 5
        for chart, (values, _) in design["charts"].items():
            what = chart.split("-")[0]
            recorded = tiny_run.evaluations.metrics[totals[what]][design["id"]]
            assert math.fsum(values) * factors[what] == pytest.approx(recorded, rel=1e-5)


def test_every_front_design_and_pick_can_be_selected(page: Page, tiny_run: Run) -> None:
    """Each design of the front, each pick, the knee and the baseline have their details in the page."""
    wanted = {0, tiny_run.knee(), *tiny_run.front_ids().tolist(), *(gain.id for gain in tiny_run.gains())}
    assert {design["id"] for design in page.data["designs"].values()} == wanted
    rows = {attributes["data-key"] for tag, attributes in page.elements if tag == "tr" and "data-key" in attributes}
    assert rows >= {f"0-{design_id}" for design_id in tiny_run.front_ids().tolist()}
    assert page.data["selected"] == f"0-{tiny_run.gains()[-1].id}"


def test_metrics_in_the_page_are_the_recorded_ones(page: Page, tiny_run: Run) -> None:
    """Every embedded metric is the record's, rounded to six digits."""
    for design in page.data["designs"].values():
        for name, value in design["metrics"].items():
            assert value == pytest.approx(tiny_run.evaluations.metrics[name][design["id"]], rel=1e-5)


def test_the_front_is_drawn_against_an_objective(tmp_path: Path) -> None:
    """Where EDP is no objective, the axis, its heading and the points are of the first cost that is one."""
    given = {'objectives = ["perplexity", "edp_js"]': 'objectives = ["perplexity", "delay_s"]'}
    run = small_search(tmp_path / "run", space=write_space(tmp_path, given), budget=40, fidelity="calibrated",
                       cost_model="gemmini_40nm")  # fmt: skip
    page, unit = Page(write_report([run], tmp_path / "report.html")), units_of([summarise(run)])["delay_s"]
    assert "The front: perplexity against delay" in page.text
    assert "Calibrated time" in page.text
    assert "Ideal time" not in page.text
    assert page.data["figures"]["front"]["layout"]["xaxis"]["title"]["text"] == f"{unit.heading}, lower is better"
    for design in page.data["designs"].values():
        recorded = run.evaluations.metrics["delay_s"][design["id"]]
        assert design["point"][0] * unit.factor == pytest.approx(recorded, rel=1e-5)


def test_what_is_modelled_is_said_of_this_machine(tmp_path: Path) -> None:
    """On an array that loads, computes and drains one after the other, that is not said to be left out."""
    run = small_search(tmp_path / "run", space="survey_lm_fixed_hw", cost_model="edgebert_12nm", budget=20)
    text = Page(write_report([run], tmp_path / "report.html")).text
    assert "filling and draining the array count as computing" in text
    assert "Filling and draining the array, loading" not in text


def test_gains_stand_in_the_page(page: Page, tiny_run: Run) -> None:
    """Both budgets are printed with gain, change and interval."""
    for gain in tiny_run.gains():
        assert f"Within +{100 * gain.budget:.4g} % perplexity {number(gain.factor, 3)}×" in page.text
        for change in (gain.change, gain.change_low, gain.change_high):
            assert percent(change).replace("\N{NO-BREAK SPACE}", " ") in page.text


def test_all_facts_of_the_search_stand_in_the_header(page: Page) -> None:
    """Space, cost model, proxy, scenario, seed, budget, fidelity and version are named."""
    for fact in ("tiny × gemmini_40nm", "surrogate (perplexity)", "prefill, 64 tokens, batch 1", "seed 0",
                 "300 of 300", "ideal (roofline; Timeloop's assumptions)", "codesign 0."):  # fmt: skip
        assert fact in page.text


def test_the_same_run_gives_the_same_bytes(tiny_run: Run, tmp_path: Path) -> None:
    """Writing twice gives equal files."""
    first, second = (write_report([tiny_run], tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert first == second


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    """No element refers to another resource, and the page's policy forbids it."""
    for _, attributes in page.elements:
        for name in ("src", "href", "action", "poster", "data", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:")
    policies = [a["content"] or "" for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'")
    assert not re.search(r"@import|url\(", Path(summaries.__file__).with_name("page.css").read_text())


def test_what_users_write_cannot_break_the_page(hopeless_run: Run, tmp_path: Path) -> None:
    """A description with markup and a slot name is shown as it is; the scripts stay whole."""
    page = Page(write_report([hopeless_run], tmp_path / "report.html"))
    assert "</script><b>Decoders</b> & {{data}} of 1-2 layers" in page.text
    assert len(page.scripts) == 3
    assert page.data["selected"] is None


def test_script_ends_in_data_are_escaped(tiny_run: Run, tmp_path: Path) -> None:
    """A run directory named like the end of a script cannot end the embedded data."""
    runs = [tiny_run, replace(tiny_run, directory=Path("</script><script>alert(1)"))]
    page = Page(write_report(runs, tmp_path / "report.html"))
    assert len(page.scripts) == 3
    assert page.data["runs"] == ["tiny-run", "script><script>alert(1)"]


def test_a_run_without_feasible_designs_says_so(hopeless_run: Run, tmp_path: Path) -> None:
    """The closest designs are listed by their excess over the limits, least first."""
    path = write_report([hopeless_run], tmp_path / "report.html")
    page = Page(path)
    assert "No feasible design. None of the 60 evaluated designs keeps the limits (perplexity ≤ 1.500)" in page.text
    closest = int(hopeless_run.evaluations.violation.argmin())
    first = re.search(r"<tbody><tr><td>(\d+)</td>", path.read_text(encoding="utf-8"))
    assert first is not None
    assert int(first[1]) == closest
    assert 'id="front"' not in path.read_text(encoding="utf-8")


def test_a_proxy_without_errors_gives_unknown_intervals(error_run: Run, tmp_path: Path) -> None:
    """Where the proxy knows no error the page says "not known" and draws no intervals."""
    page = Page(write_report([error_run], tmp_path / "report.html"))
    assert "its 95 % interval not known" in page.text
    assert "Gain if the proxy is too optimistic not known" in page.text
    names = [trace.get("name") for trace in page.data["figures"]["front"]["data"]]
    assert "Front" in names
    assert not any("interval" in (name or "") for name in names)
    assert "NaN" not in page.text


def test_a_run_outlives_its_proxy(error_run: Run, tmp_path: Path) -> None:
    """A run whose proxy is not to be found any more still has its report."""
    manifest = msgspec.structs.replace(error_run.manifest, proxy="no_such_module:function")
    orphan = replace(error_run, manifest=manifest)
    page = Page(write_report([orphan], tmp_path / "report.html"))
    assert "no_such_module:function (error)" in page.text
    assert page.data["selected"] == f"0-{error_run.gains()[-1].id}"


def test_two_runs_share_the_front_plot(tiny_run: Run, other_run: Run, tmp_path: Path) -> None:
    """Fronts of both are drawn, and designs of both can be selected."""
    data = Page(write_report([tiny_run, other_run], tmp_path / "report.html")).data
    names = {trace.get("name") for trace in data["figures"]["front"]["data"]}
    assert {"tiny-run: Front", "other-run: Front"} <= names
    for position, run in enumerate((tiny_run, other_run)):
        assert {f"{position}-{design_id}" for design_id in run.front_ids().tolist()} <= data["designs"].keys()


def test_runs_that_cannot_be_compared_are_refused(tiny_run: Run, error_run: Run, tmp_path: Path) -> None:
    """Different metrics, and no run at all, are refused before anything is written."""
    with pytest.raises(InputError, match=r"(objectives|proxy): expected .* as in .*, got .*do not compare"):
        write_report([tiny_run, error_run], tmp_path / "report.html")
    with pytest.raises(InputError, match="at least one run"):
        write_report([], tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_a_run_without_evaluations_is_refused(tiny_run: Run, tmp_path: Path) -> None:
    """A search that was stopped at once has nothing to report; the message says how to go on."""
    with pytest.raises(RunError, match="nothing to report yet; continue the search: codesign resume"):
        write_report([create(tmp_path / "run", tiny_run.manifest)], tmp_path / "report.html")


def test_a_report_that_cannot_be_written_leaves_nothing(tiny_run: Run, tmp_path: Path) -> None:
    """A missing folder and a folder in the way are named; the old page and no half page stay behind."""
    with pytest.raises(InputError, match="cannot be written"):
        write_report([tiny_run], tmp_path / "missing" / "report.html")
    (tmp_path / "report.html").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_report([tiny_run], tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_long_front_is_thinned_but_keeps_picks(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the most that is shown, designs are left out evenly; ends, picks and knee stay, and the page says so."""
    monkeypatch.setattr(summaries, "MOST_SHOWN", 4)
    monkeypatch.setattr("codesign.report.body.MOST_SHOWN", 4)
    found = summarise(tiny_run)
    assert len(found.shown) <= 4 + len(found.picks)
    kept = {*found.front[[0, -1]].tolist(), tiny_run.knee(), *(gain.id for gain in found.gains)}
    assert kept <= set(found.details.ids.tolist())
    page = Page(write_report([tiny_run], tmp_path / "report.html"))
    assert f"{len(found.shown)} are marked and listed" in page.text


def test_thinning_keeps_order_and_ends() -> None:
    """At most so many, evenly spaced, first and last included, and what must be kept."""
    ids = np.arange(100, 200)
    thinned = thin(ids, 10, {137})
    assert list(thinned) == sorted(thinned)
    assert {100, 137, 199} <= set(thinned.tolist())
    assert len(thinned) == 11
    assert list(thin(ids, 100, set())) == list(ids)


def test_convergence_rises_to_the_hypervolume_of_the_run(tiny_run: Run) -> None:
    """More evaluations never lower the hypervolume, and the last point is the whole run."""
    curve = summarise(tiny_run).convergence
    assert len(curve.evaluations) <= summaries.MOST_CHECKPOINTS
    assert (np.diff(curve.hypervolume) >= 0).all()
    assert curve.evaluations[-1] == len(tiny_run.evaluations)
    assert curve.hypervolume[-1] == pytest.approx(tiny_run.hypervolume())


def test_recomputed_costs_that_differ_are_told(tiny_run: Run, tmp_path: Path) -> None:
    """A record made by other equations than today's is reported as it is, with a warning."""
    metrics = tiny_run.evaluations.metrics | {"energy_j": tiny_run.evaluations.metrics["energy_j"] * 1.5}
    older = replace(tiny_run, evaluations=replace(tiny_run.evaluations, metrics=metrics))
    assert summarise(tiny_run).recost_difference < summaries.SAME
    assert "costs these designs differently" in Page(write_report([older], tmp_path / "report.html")).text


@given(case=shapes_in_scenarios())
def test_every_operation_has_a_kind(case: tuple[ModelShape, Scenario]) -> None:
    """Whatever a transformer computes belongs to one kind of operation."""
    shape, scenario = case
    work = workload(shape, scenario)
    assert {kind(label) for label in work.matmuls.labels + work.vectors.labels} <= set(KINDS)


def test_all_memory_levels_have_a_name() -> None:
    """The page names the cost model's levels in their order."""
    assert tuple(LEVEL_NAMES) == ENERGY_LEVELS
