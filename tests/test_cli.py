"""The command line as a user meets it: what each verb prints and writes, and how it ends when it is interrupted."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import codesign
from codesign import cli
from codesign.interruption import interruptible
from codesign.optimize.loop import Progress
from codesign.run import Run
from codesign.shipped import shipped_text
from tests.command_line import call, refusal
from tests.optimize.searches import ROOT, command, record_of, small_search
from tests.optimize.spaces import NOTHING_FEASIBLE, write_space
from tests.test_startup import design_file


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing that a command writes end up beside the sources."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search of 100 designs."""
    return small_search(tmp_path_factory.mktemp("cli") / "run", budget=100, cost_model="gemmini_40nm")


def test_search_and_resume_print_front_and_write_report(tmp_path: Path) -> None:
    """A search ends with the front, the gains, and where run and report are; so does its resumption."""
    arguments = ("tiny", "gemmini_40nm", "--budget", "60", "--population", "20", "--run", tmp_path / "run")
    printed = call("search", *arguments)
    assert "60 of 1.382e+04 designs evaluated" in printed
    assert "EDP gain at +0.45% perplexity" in printed
    assert (tmp_path / "run" / "report.html").exists()
    before = record_of(tmp_path / "run")
    resumed = json.loads(call("resume", tmp_path / "run", "--json"))
    assert record_of(tmp_path / "run") == before
    assert resumed == json.loads(call("front", tmp_path / "run", "--json"))


def test_front_in_three_forms(run: Run) -> None:
    """Table, CSV and JSON show the same designs, narrowed by a condition or a pick."""
    ids = run.front_ids().tolist()
    assert [design["id"] for design in json.loads(call("front", run.directory, "--json"))["designs"]] == ids
    rows = list(csv.DictReader(io.StringIO(call("front", run.directory, "--csv"))))
    assert [int(row["id"]) for row in rows] == ids
    condition = "edp_js < baseline * 0.5 and dataflow == 'weight_stationary'"
    narrowed = list(csv.DictReader(io.StringIO(call("front", run.directory, "--csv", "--where", condition))))
    assert narrowed == [
        row for row in rows
        if float(row["edp_js"]) < run.evaluations.metrics["edp_js"][0] * 0.5 and row["dataflow"] == "weight_stationary"
    ]  # fmt: skip
    (picked,) = json.loads(call("front", run.directory, "--json", "--pick", "knee"))["designs"]
    assert picked["id"] == run.knee()
    assert "baseline" in call("front", run.directory)


def test_export_writes_the_pick(run: Run, tmp_path: Path) -> None:
    """The files written are named, and hold the picked design."""
    printed = call("export", run.directory, "--pick", "min edp_js", "--to", tmp_path / "out")
    (path,) = map(Path, printed.split())
    record = json.loads(call("front", run.directory, "--json", "--pick", "min edp_js"))["designs"][0]
    assert json.loads(path.read_text())["accelerator"] == record["accelerator"]


def test_a_run_without_a_feasible_design_is_told_as_such(tmp_path: Path) -> None:
    """A limit that nothing meets ends in a clear sentence, an empty front and a report, not in an exception."""
    space = write_space(tmp_path, NOTHING_FEASIBLE)
    printed = call("search", space, "unit", "--budget", "40", "--population", "20", "--run", tmp_path / "run")
    assert "No design is feasible" in printed
    assert (tmp_path / "run" / "report.html").exists()
    assert json.loads(call("front", tmp_path / "run", "--json"))["designs"] == []
    assert call("front", tmp_path / "run", "--csv").count("\n") == 1
    assert "no design of the front fulfils" in call("front", tmp_path / "run", "--where", "area_mm2 > 0")
    for arguments in (("front", tmp_path / "run", "--pick", "knee"), ("export", tmp_path / "run", "--to", "out")):
        assert "no knee: none of the 40 designs evaluated is feasible" in refusal(*arguments)


def test_an_empty_run_says_how_to_go_on(run: Run, tmp_path: Path) -> None:
    """A run that was stopped before its first batch is resumed, not shown."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_bytes((run.directory / "run.json").read_bytes())
    (tmp_path / "run" / "evaluations.jsonl").write_bytes(b"")
    for verb in (("front",), ("export", "--to", "out")):
        assert "nothing is evaluated yet; continue it with: codesign resume" in refusal(verb[0], "run", *verb[1:])


def test_estimate_prints_breakdowns(tmp_path: Path) -> None:
    """The estimate of a design shows its totals and where they go, and the same as JSON."""
    printed = call("estimate", design_file(tmp_path), "gemmini_40nm")
    for word in ("edp_js", "operation", "layer", "level", "scratchpad", "8x8 weight_stationary array"):
        assert word in printed
    result = json.loads(call("estimate", design_file(tmp_path), "gemmini_40nm", "--json"))
    assert set(result["breakdown"]) == {"by_operation", "by_layer", "by_level"}


def test_estimate_of_matmuls_counts_its_rows(tmp_path: Path) -> None:
    """A file of matmuls comes out with its costs, and the number of rows is said."""
    text = "m,k,n,pe_rows,pe_cols,scratchpad_bytes,accumulator_bytes\n8,8,8,2,2,256,256\n8,8,x,2,2,256,256\n"
    (tmp_path / "in.csv").write_text(text)
    printed = call("estimate", "--matmuls", tmp_path / "in.csv", "unit", "-o", tmp_path / "out.csv")
    assert printed == f"2 rows (1 infeasible: see the column reason) -> {tmp_path / 'out.csv'}\n"
    with (tmp_path / "out.csv").open() as file:
        assert [row["feasible"] for row in csv.DictReader(file)] == ["true", "false"]


def test_lists_and_shown_files() -> None:
    """What can be named is listed, as text and JSON; a shown file is printed verbatim."""
    listed = json.loads(call("list", "--json"))
    kinds = {
        "search spaces",
        "cost models",
        "cost models that fit a search space",
        "recipes",
        "proxies",
        "screens",
        "algorithms",
        "export formats",
        "benchmarks",
    }
    assert kinds == set(listed)
    printed = call("list")
    assert all(name in printed for entries in listed.values() for name in entries)
    assert call("show", "tiny") == shipped_text("tiny")


def test_help_shows_an_example_for_every_command() -> None:
    """Each verb has a help text with an example that begins like the command."""
    for known in cli.app.registered_commands:
        verb = known.name or known.callback.__name__  # type: ignore[union-attr]
        assert f"codesign {verb}" in " ".join(call(verb, "--help").split())


def test_a_swallowed_control_c_counts_after_the_batch(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Foreign code that swallows the interruption only delays it to the end of the batch; the run is named."""

    def start(keep: Callable[[Any], Any]) -> Run:
        watch = keep(lambda _: None)
        watch(Progress(run, 0, ""))
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the signal arrives between two statements
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
        watch(Progress(run, 0, ""))
        raise AssertionError("the search went on")

    with pytest.raises(SystemExit) as ended:
        interruptible(start)
    assert ended.value.code == 130
    assert f"100 evaluations are kept; continue with: codesign resume {run.directory}" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_control_c_before_the_run_exists(capsys: pytest.CaptureFixture[str]) -> None:
    """Interrupted while files are read, a search has nothing to keep and says so."""

    def start(keep: Callable[[Any], Any]) -> Run:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        interruptible(start)
    assert ended.value.code == 130
    assert "stopped before anything was evaluated" in capsys.readouterr().err


def test_a_background_job_leaves_control_c_to_its_parent(run: Run) -> None:
    """Where the parent ignores Ctrl-C for its children, a search does too."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert interruptible(lambda _: run) is run
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_closed_pipe_is_no_bug(run: Run) -> None:
    """`codesign front RUN --csv | head -1` ends without a traceback."""
    shell = shlex.join(command("front", run.directory, "--csv"))
    ended = subprocess.run(
        f"{shell} | head -c 1", shell=True, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert ended.stdout == "i"
    assert "Traceback" not in ended.stderr


def test_version_of_the_record_is_the_packages(run: Run) -> None:
    """run.json says which version made it."""
    assert run.manifest.codesign_version == codesign.__version__
