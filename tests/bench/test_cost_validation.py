"""The cost model against Timeloop, Accelergy and the published case study."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from codesign.bench.cost_validation import AREAS, TIMELOOP, TIMELOOP_COLUMNS, run
from codesign.errors import InputError

DOCS = Path(__file__).parents[2] / "docs" / "cost_model.md"


@pytest.fixture(scope="module")
def figures(shared_data: Path) -> dict[str, Any]:
    """Return the measured rows by their comparison."""
    return {str(row["comparison"]): row for row in run(shared_data)}


def test_given_mappings_cost_what_timeloop_says(figures: dict[str, Any]) -> None:
    """Given its mappings, the closed form reproduces the simulator: 0.0001 % in cycles, 0.30 % in energy."""
    row = figures["given mappings, Timeloop"]
    assert row["rows"] == row["feasible_rows"] == 12_000
    assert row["cycles_mape_percent"] <= 0.05
    assert row["energy_mape_percent"] <= 0.5
    assert row["energy_mape_percent_many_outputs"] <= 0.05
    assert row["edp_mape_percent"] <= 0.5
    assert row["exact_cycles_percent"] >= 98
    assert row["spearman"] >= 0.9999


def test_no_given_mapping_beats_the_best(figures: dict[str, Any]) -> None:
    """None of the simulated mappings, in perfect factors all, has a smaller EDP (cycles as printed: five digits)."""
    row = figures["best mapping, those given"]
    assert row["rows"] == row["feasible_rows"] == 12_000
    assert row["given_over_best_edp_smallest"] >= 1 - 1e-12
    assert row["given_over_best_edp_median"] > 10


def test_areas_are_accelergys(figures: dict[str, Any]) -> None:
    """The linear area model is within 7 % of 57 configurations on average (5.4 %)."""
    assert figures["area, Accelergy"]["rows"] == 57
    assert figures["area, Accelergy"]["area_mape_percent"] <= 7


def test_documented_figures_are_those_measured(figures: dict[str, Any]) -> None:
    """The table of docs/cost_model.md shows what the command prints, to the digits that it shows."""
    rows = re.findall(r"^\| ([^|`]+) \| `(\w+)` \| ([\d.]+) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 10
    for comparison, name, text in rows:
        decimals = len(text.partition(".")[2])
        assert f"{figures[comparison][name]:.{decimals}f}" == text


def test_the_documented_case_study_is_the_one_measured(figures: dict[str, Any]) -> None:
    """The case study's table of docs/cost_model.md: all twelve rows, to the digits that it shows."""
    cells = r"^\| (matmuls|whole) \| (\w+) \| ([^|]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+)e9 \| ([\d. |]+) \|$"
    rows = re.findall(cells, DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 12
    for scope, fidelity, network, cycles, energy, edp, ratios in rows:
        name = network.replace("heads × width = hidden", "head width hidden / heads").replace(
            "64 wide", "head width 64"
        )
        row = figures[f"case study, {scope}, {fidelity}, {name}"]
        assert (f"{row['cycles'] / 1e6:.2f}", f"{row['energy_mj']:.2f}") == (cycles, energy)
        assert f"{row['edp_cycle_mj'] / 1e9:.2f}" == edp
        shown = [f"{row[f'{name}_ratio']:.2f}" if name != "baseline" else "1" for name in _ratios(row)]
        assert ratios.split(" | ") == shown


def _ratios(row: dict[str, Any]) -> list[str]:
    """Return the names of a row's ratios; the baseline has none."""
    return ["delay", "energy", "edp"] if "delay_ratio" in row else ["baseline"] * 3


def test_missing_data_is_refused(tmp_path: Path) -> None:
    """A directory without the tables is answered with the file that was looked for."""
    with pytest.raises(InputError, match=rf"{TIMELOOP}: cannot be read: .*--data DIR"):
        run(tmp_path)


def test_missing_columns_are_refused(tmp_path: Path) -> None:
    """A table without a column names it, and what the table has."""
    header = ",".join(name for name in TIMELOOP_COLUMNS if name != "spatial_n")
    (tmp_path / TIMELOOP).write_bytes(gzip.compress(f"{header}\n".encode()))
    with pytest.raises(InputError, match=rf"{TIMELOOP}: missing columns spatial_n; it has: pe_dim, "):
        run(tmp_path)


def test_damaged_tables_are_refused(tmp_path: Path, shared_data: Path) -> None:
    """Bytes that are no gzip, and a table with text for a number, are refused by name."""
    (tmp_path / TIMELOOP).write_bytes(b"no gzip")
    with pytest.raises(InputError, match=rf"{TIMELOOP}: cannot be read: "):
        run(tmp_path)
    (tmp_path / TIMELOOP).write_bytes((shared_data / TIMELOOP).read_bytes())
    (tmp_path / AREAS).write_text("pe_dim,scratchpad_kB,accumulator_kB,area_mm2\n2,8,512,large\n")
    with pytest.raises(InputError, match=rf"{AREAS}: area_mm2: expected numbers, got 'large'"):
        run(tmp_path)
    (tmp_path / AREAS).write_text("pe_dim,scratchpad_kB,accumulator_kB,area_mm2\n")
    with pytest.raises(InputError, match=rf"{AREAS}: expected rows under the header, got none"):
        run(tmp_path)
