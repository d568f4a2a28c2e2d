"""What the terminal shows at any width."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

import codesign
from codesign import terminal
from codesign.terminal import engineering, front_table, gain_line


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
    monkeypatch.setattr(terminal, "out", console)
    ids = run.front_ids()[:10].tolist()
    with console.file:
        console.print(front_table(run, ids))
        text = console.export_text()
    assert "…" not in text
    for row in (0, *ids):
        assert engineering(run.evaluations.metrics["edp_js"][row], "Js") in text
    assert ("FFN" in text) == (width >= 180)


def test_gains_say_both_ends(run: codesign.Run) -> None:
    """A gain is printed with the interval of the predicted change and the gain at both ends."""
    for gain in run.gains():
        line = gain_line(run, gain)
        assert f"{gain.factor:.2f}x" in line
        assert "95 % interval" in line
        assert f"{gain.factor_low:.2f}x if the predictions are too optimistic" in line


@pytest.mark.parametrize(
    ("value", "text"), [(0.0653304, "65.33 mJ"), (0.0, "0 J"), (1234.5, "1.234 kJ"), (2e-9, "2 nJ"), (5e-14, "0.05 pJ")]
)
def test_engineering_notation(value: float, text: str) -> None:
    """Numbers carry an SI prefix that leaves one to three digits before the point."""
    assert text == engineering(value, "J")
