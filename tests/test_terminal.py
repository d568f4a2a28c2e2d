"""What the terminal shows at any width."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import codesign
from codesign.terminal import engineering, fronts
from codesign.terminal.fronts import gain_line, run_table
from tests.optimize.searches import small_search
from tests.optimize.spaces import write_space


@pytest.fixture(scope="module")
def run() -> codesign.Run:
    """The committed run."""
    return codesign.open_run(Path(__file__).parent.parent / "runs" / "reference")


@pytest.mark.parametrize("width", [60, 80, 100, 120, 180, 200])
def test_tables_drop_columns_but_never_cut_a_number(
    run: codesign.Run, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any width the EDP of every design stands in full, and nothing is shortened."""
    console = Console(width=width, record=True, highlight=False, file=open("/dev/null", "w"))  # noqa: SIM115
    monkeypatch.setattr(fronts, "out", console)
    ids = run.front_ids()[:10].tolist()
    with console.file:
        console.print(run_table(run, ids))
        text = console.export_text()
    assert "…" not in text
    for row in (0, *ids):
        assert engineering(run.evaluations.metrics["edp_js"][row], "Js") in text
    assert ("FFN" in text) == (width >= 180)


def test_gains_say_both_ends(run: codesign.Run) -> None:
    """A gain is printed with the interval of the change and the gain at both ends."""
    for gain in run.gains():
        line = gain_line(run, gain)
        assert f"{gain.factor:.2f}x" in line
        assert "95 % interval" in line
        assert f"{gain.factor_low:.2f}x if the proxy is too optimistic" in line


def test_the_front_shows_the_designs_of_the_gains(run: codesign.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows are shown, those that the gains name are among them."""
    console = Console(width=200, record=True, file=io.StringIO())
    monkeypatch.setattr(fronts, "out", console)
    fronts.print_run(run, rows=2)
    first = {line.split()[0] for line in console.export_text().splitlines() if line.strip()}
    assert {str(gain.id) for gain in run.gains()} <= first


def test_an_infeasible_baseline_is_no_answer(tmp_path: Path) -> None:
    """Where the baseline breaks a limit that nothing better keeps, it is said so, and not named as the best design."""
    limit = {"[baseline.model]": "[limits]\nperplexity = { times_baseline = 0.9 }\n\n[baseline.model]"}
    run = small_search(tmp_path / "run", space=write_space(tmp_path, limit), budget=60)
    assert not run.evaluations.feasible[0]
    gain = replace(run.gains()[0], id=0)
    assert gain_line(run, gain).endswith("no design within the limits saves any")


@pytest.mark.parametrize(
    ("value", "text"), [(0.0653304, "65.33 mJ"), (0.0, "0 J"), (1234.5, "1.234 kJ"), (2e-9, "2 nJ"), (5e-14, "0.05 pJ")]
)
def test_engineering_notation(value: float, text: str) -> None:
    """Numbers carry an SI prefix that leaves one to three digits before the point."""
    assert text == engineering(value, "J")
