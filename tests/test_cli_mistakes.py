"""Mistakes on the command line: code 2, one message on stderr that helps, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import codesign
from codesign.run import Run
from codesign.shipped import shipped_text
from tests.command_line import refusal
from tests.optimize.searches import record_of, run_command, small_search
from tests.optimize.spaces import write_space
from tests.test_startup import design_file


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing that a command writes end up beside the sources."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search of 100 designs."""
    return small_search(tmp_path_factory.mktemp("cli") / "run", budget=100, cost_model="gemmini_40nm")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "search tyni unit",
            "unknown search space (a path of your own ends in .toml) 'tyni'; known: sotu_answers, sotu_grid, ",
        ),
        ("search tiny units", "unknown cost model (a path of your own ends in .toml) 'units'; known: edgebert_12nm, "),
        (
            "search tiny unit --proxy surogate",
            "unknown proxy 'surogate'; known: fitted:FILE (what `codesign fit` wrote: fitted to ",
        ),
        ("search tiny unit --proxy nowhere:f", "proxy 'nowhere:f': module 'nowhere' cannot be imported"),
        ("search tiny unit --algorithm nsga3", "unknown algorithm 'nsga3'; known: age_moea2, bilevel"),
        ("search tiny unit --budget 0", "budget: expected at least 1, got 0"),
        ("search tiny unit --budget -1", "budget: expected at least 1, got -1"),
        ("search tiny unit --population 1", "population: expected at least 2, got 1"),
        ("search tiny unit --run file:/nowhere/run", "file:/nowhere/run: expected a directory, or a URL as text with"),
        ("search tiny unit --plateau 0.5", "plateau: expected a patience with it"),
        ("search tiny unit --patience 10 --plateau 2", "plateau: expected a share of the hypervolume"),
        ("search tiny unit --ray=", "ray: expected 'local', 'auto' or the address of a running cluster, got ''"),
        ("search tiny unit --seed -1", "seed: expected at least 0, got -1"),
        ("search survey_lm_ffn_free unit", "or use a proxy that measures (a supernet, or --proxy module:function)"),
        ("search none.toml unit", "none.toml: no such file"),
        ("search tiny none.toml", "none.toml: no such file"),
        ("search ./folder unit", "folder: cannot be read: [Errno 21] Is a directory"),
        ("search empty.toml unit", "empty.toml: the file is empty"),
        ("search broken.toml unit", "broken.toml: not valid TOML"),
        ("search binary.toml unit", "binary.toml: cannot be read"),
        ("search tiny empty.toml", "empty.toml: the file is empty"),
        ("search unit.toml unit", "unit.toml: "),
        ("resume none", "none: no run here (no run.json)"),
        ("resume folder", "folder: no run here (no run.json)"),
        ("resume empty.toml", "cannot be read: [Errno 20] Not a directory"),
        ("front none", "none: no run here"),
        ("report none", "none: no run here"),
        ("export none --to out", "none: no run here"),
        ("estimate none.toml unit", "none.toml: no such file"),
        (
            "estimate tiny unit",
            "tiny: expected a design .toml, an exported design.json, a Hugging Face config.json, or RUN#ID",
        ),
        ("estimate tiny", "estimate INPUT COST: expected a design and a cost model"),
        ("estimate a.toml b.toml c.toml", "estimate INPUT COST: expected a design and a cost model"),
        ("estimate design.toml units", "unknown cost model"),
        ("estimate design.toml unit --fidelity calibrated", "calibrated: expected a cost model with a table [calib"),
        ("search tiny unit --fidelity calibrated", "calibrated: expected a cost model with a table [calibration]"),
        ("estimate design.toml unit --buffering best", "estimate: --buffering: applies to a file of --matmuls"),
        ("estimate design.toml unit --objective energy", "estimate: --objective: applies to a file of --matmuls"),
        ("estimate design.toml unit --perfect-factors -o x", "--output, --perfect-factors: applies to a file of"),
        ("estimate design.toml unit --convention zigzag", "estimate: --convention: applies to a file of --matmuls"),
        ("estimate design.toml unit --batch 2", "it has a scenario of its own; --sequence-length"),
        ("estimate --matmuls in.csv unit -o out.csv --batch 2", "estimate: --batch: applies to a design or a config"),
        ("estimate --matmuls in.csv unit -o out.csv --json", "estimate: --json: applies to a design or a config"),
        ("estimate --matmuls in.csv unit", "expected one cost model and an output file"),
        ("estimate --matmuls in.csv unit unit -o out.csv", "expected one cost model and an output file"),
        ("estimate --matmuls none.csv unit -o out.csv", "none.csv: no such file"),
        ("estimate --matmuls in.csv unit -o in.csv", "in.csv: the output would overwrite the input"),
        ("show tyni", "unknown shipped file 'tyni'; known: edgebert_12nm, eyeriss_like, gemmini_40nm"),
        ("bench speed --data .", "unknown benchmark 'speed'; known: "),
    ],
)
def test_mistakes_get_one_message(arguments: str, message: str, tmp_path: Path) -> None:
    """A mistake ends with code 2 and one message that names what is known or expected; nothing new appears."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "broken.toml").write_text("format = = 1")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "unit.toml").write_text(shipped_text("unit"))
    (tmp_path / "in.csv").write_text("m,k\n1,2\n")
    design_file(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    printed = refusal(*arguments.split())
    assert printed.startswith("error: ")
    assert message in printed
    assert printed.count("error") == 1 or "Errno" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    ["serach tiny unit", "search tiny", "search tiny unit --budget many", "estimate d.toml unit --objective speed",
     "estimate d.toml unit --fidelity exact", "estimate --matmuls in.csv unit -o o --convention mine",
     "search tiny unit --fidelity exact", "estimate --matmuls in.csv unit -o o --buffering none",
     "search tiny unit --bugdet 1"],
)  # fmt: skip
def test_what_is_no_command_shows_the_usage(arguments: str) -> None:
    """Misspelt commands, options and choices end with code 2 and the usage on stderr."""
    assert "Usage: " in refusal(*arguments.split())


PROXIES = """
import numpy as np

def good(shape):
    return {"perplexity": 1e5 / (shape.hidden * (1 + (shape.ffn > 0).sum(axis=(1, 2))))}

def raises(shape):
    return {"perplexity": 1 / 0}

def short(shape):
    return {"perplexity": np.ones(len(shape) + 1)}

def nan(shape):
    return {"perplexity": np.full(len(shape), np.nan)}

def negative(shape):
    return {"perplexity": -np.ones(len(shape))}

def text(shape):
    return {"perplexity": ["good"] * len(shape)}

def nothing(shape):
    return None

def two(shape):
    return {"perplexity": np.ones(len(shape)), "error": np.ones(len(shape))}

def late(shape):
    if len(shape) > 1 and shape.hidden[0] != 128:
        raise MemoryError("out of memory")
    return {"perplexity": 1e3 / shape.hidden}

number = 3
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", "proxy 'user_proxies:raises' raised ZeroDivisionError: division by zero ("),
        ("short", "column 'perplexity': value: expected 1 numbers, one a design, got shape (2,)"),
        ("nan", "expected finite positive numbers, got nan for design 0"),
        ("negative", "expected finite positive numbers, got -1.0 for design 0"),
        ("text", "expected 1 numbers, one a design, got values of type"),
        ("nothing", "expected a Quality or a dict of one column {metric: values}, got NoneType"),
        ("two", "got a dict of 2 columns"),
        ("number", "expected a function of a ModelShape or a Proxy, got int"),
        ("missing", "user_proxies has no function 'missing'; it has: good, raises, "),
    ],
)
def test_broken_proxies_are_refused(name: str, message: str, tmp_path: Path) -> None:
    """A user's function that raises or returns no quality is named with what it did; no run is left behind."""
    (tmp_path / "user_proxies.py").write_text(PROXIES)
    assert message in refusal("search", "tiny", "unit", "--proxy", f"user_proxies:{name}")
    assert not (tmp_path / "runs").exists()


def test_a_users_proxy_searches_what_the_surrogate_cannot_see(tmp_path: Path) -> None:
    """A function in a file beside the user judges removed FFNs; the run resumes and can be read from there."""
    (tmp_path / "user_proxies.py").write_text(PROXIES)
    search = ("search", "survey_lm_ffn_free", "gemmini_40nm", "--proxy", "user_proxies:good", "--population", "20")
    for name, budget in (("whole", 60), ("run", 30)):
        ended = run_command(*search, "--budget", str(budget), "--run", name, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    ended = run_command("resume", "run", "--budget", "60", "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert record_of(tmp_path / "run") == record_of(tmp_path / "whole")
    assert len(json.loads(ended.stdout)["designs"]) > 1
    run = codesign.open_run(tmp_path / "run")
    shape = run.space.decode(run.evaluations.genomes).shape
    assert ((shape.ffn == 0) & shape.active).any()


def test_a_space_in_which_nothing_fits_is_refused(tmp_path: Path) -> None:
    """Too little area, or a scratchpad of one byte, is refused with the least that is needed."""
    limits = {"[baseline.model]": "[limits]\narea_mm2 = { max = 0.01 }\n[baseline.model]"}
    small = {
        "scratchpad_kib = { choices = [4, 16] }": "scratchpad_kib = 0.0009765625",
        "scratchpad_kib = 16\n": "scratchpad_kib = 0.0009765625\n",
    }
    odd = {"scratchpad_kib = { choices = [4, 16] }": "scratchpad_kib = { choices = [0.0005, 16] }"}
    for changes, message in (
        (limits, "limits.area_mm2: the smallest model needs 0.0589"),
        (small, "no tile fits on chip"),
        (odd, "accelerator.scratchpad_kib.choices[0]: Expected float"),
    ):
        assert message in refusal("search", write_space(tmp_path, changes), "gemmini_40nm")


def test_a_run_directory_of_another_search_is_refused(run: Run, tmp_path: Path) -> None:
    """The directory of a run is not used for another one; the message says what differs."""
    before = record_of(run.directory)
    (tmp_path / "file").write_text("mine")
    assert "seed 3 instead of 0" in refusal("search", "tiny", "gemmini_40nm", "--run", run.directory)
    assert "space tiny" in refusal("search", "survey_lm", "gemmini_40nm", "--run", run.directory)
    assert "it is a file" in refusal("search", "tiny", "unit", "--run", tmp_path / "file")
    assert "expected at least the 100 evaluations" in refusal("resume", run.directory, "--budget", "99")
    assert record_of(run.directory) == before


def test_bad_conditions_and_picks_are_refused(run: Run) -> None:
    """What is no condition, column or pick is answered with what is."""
    for arguments, message in (
        (("--where", "area < 1"), "unknown column in condition 'area < 1': 'area'; known: accumulator_kib, area_mm2"),
        (("--where", "__import__('os')"), "expected a comparison"),
        (("--where", "area_mm2 < 1", "--pick", "knee"), "expected one of them"),
        (("--pick", "100"), "no design 100 here"),
        (("--pick", "max speed"), "unknown column 'speed'; known: "),
    ):
        assert message in refusal("front", run.directory, *arguments)
    assert "unknown export format 'yaml'; known: " in refusal(
        "export", run.directory, "--to", "out", "--format", "yaml"
    )
