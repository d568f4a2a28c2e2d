"""The benchmark of large records, on a small one."""

from __future__ import annotations

import pytest

from codesign.bench import BenchOptions, record, run_bench
from codesign.errors import InputError


@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=pytest.mark.long)])
def test_every_step_is_measured(apart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step has its time, memory and ratios to the bounds; the run that is opened is the one that was written."""
    if not apart:  # a process a step takes some seconds
        monkeypatch.setattr(record, "_alone", record._measured)
    figures = {figure["step"]: figure for figure in run_bench("record", None, BenchOptions(rows=2500))}
    assert list(figures) == ["write", "raw", "decode", "open_run", "front", "resume"]
    assert figures["open_run"]["evaluations"] == 2500
    assert 1 <= figures["front"]["front"] < 2500
    for figure in figures.values():
        assert figure["bytes"] > 2500 * 500
        assert figure["peak_bytes"] > 0
        assert figure["over_raw"] == figure["seconds"] / figures["raw"]["seconds"]


def test_rows_are_for_this_benchmark() -> None:
    """Elsewhere the option is refused, and so is a record without rows."""
    with pytest.raises(InputError, match="bench survey: --rows is for record; leave it out"):
        run_bench("survey", None, BenchOptions(rows=5))
    with pytest.raises(InputError, match="--rows: expected at least 1, got 0"):
        run_bench("record", None, BenchOptions(rows=0))
