"""Files that users bring or name: what is read, and what is never overwritten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.errors import InputError, RunError
from codesign.estimates import ScenarioOptions, estimate_input
from codesign.files import shipped
from codesign.picks import export_pick
from codesign.report import write_report
from codesign.space_file import read_space

NO_OPTIONS = ScenarioOptions(None, None, 1, "prefill")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> codesign.Run:
    """A small search."""
    return codesign.search(
        "tiny", "gemmini_40nm", budget=60, population=20, directory=tmp_path_factory.mktemp("runs") / "run"
    )


def test_an_exported_design_costs_what_the_run_says(run: codesign.Run, tmp_path: Path) -> None:
    """design.json, as export writes it, is an input of estimate and gives the recorded metrics."""
    chosen = run.knee()
    export_pick(run, str(chosen), ["json"], tmp_path)
    found = estimate_input(str(tmp_path / "design.json"), "gemmini_40nm", NO_OPTIONS)
    for name, value in found["metrics"].items():
        assert value == pytest.approx(run.evaluations.metrics[name][chosen], rel=1e-12)


@pytest.mark.parametrize("name", ["run.json", "evaluations.jsonl"])
def test_a_report_never_replaces_a_record(run: codesign.Run, name: str) -> None:
    """A page written over a file of a run is refused, and the file is as it was."""
    before = (run.directory / name).read_bytes()
    with pytest.raises(InputError, match="it holds something else"):
        write_report([run], run.directory / name)
    assert (run.directory / name).read_bytes() == before
    write_report([run], run.directory / "page.html")
    write_report([run], run.directory / "page.html")  # a page is replaced


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    """Files that an editor saved with a byte order mark are read."""
    text = shipped("search space")["tiny"].read_text()
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8-sig")
    assert read_space(str(tmp_path / "mine.toml")).content.size() == 13_824


def test_repeated_objectives_are_refused(tmp_path: Path) -> None:
    """An objective that is named twice would count twice."""
    text = shipped("search space")["tiny"].read_text().replace('"edp_js"]', '"edp_js", "edp_js"]')
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(InputError, match="objectives: expected different columns"):
        read_space(str(tmp_path / "mine.toml"))


def test_a_proxy_that_changed_does_not_continue_a_run(tmp_path: Path) -> None:
    """Values on two scales must not meet in one record: the baseline is measured again and compared."""
    text = shipped("search space")["tiny"].read_text().replace('"perplexity"', '"loss"')
    (tmp_path / "mine.toml").write_text(text)
    scale = [1.0]

    def proxy(shape: codesign.ModelShape) -> dict[str, np.ndarray]:
        return {"loss": scale[0] / shape.hidden}

    codesign.search(
        str(tmp_path / "mine.toml"), "unit", proxy=proxy, budget=20, population=10, directory=tmp_path / "run"
    )
    before = (tmp_path / "run" / "evaluations.jsonl").read_bytes()
    scale[0] = 7.0
    with pytest.raises(RunError, match="loss of the baseline is"):
        codesign.resume(tmp_path / "run", budget=40, proxy=proxy)
    assert (tmp_path / "run" / "evaluations.jsonl").read_bytes() == before
