"""Calibrated cycles against RTL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from codesign.bench.rtl import CONVOLUTION, FITTED, MEASURED, RANKED, predict, read_rows, run
from codesign.cost.calibration import coefficients
from codesign.cost.matmul_rows import Options, cost_rows
from codesign.cost.nest import MEMORY_LEVELS
from codesign.errors import InputError
from tests.cost.machines import cost_model


@pytest.fixture(scope="module")
def figures(shared_data: Path) -> dict[str, Any]:
    """Return the measured rows by their comparison."""
    return {str(row["comparison"]): row for row in run(shared_data)}


def test_layers_left_out_of_the_fit_are_met(figures: dict[str, Any]) -> None:
    """A layer that the fit has not seen: half of its mappings within 10 % of RTL, nine in ten within 30 %."""
    ideal, found = figures["RTL, ideal"], figures["RTL, calibrated, layers left out"]
    assert found["rows"] == 36
    assert found["layers"] == 11
    assert found["median_error_percent"] <= 10 < ideal["median_error_percent"]
    assert found["p90_error_percent"] <= 30 < ideal["p90_error_percent"]
    assert found["spearman"] >= 0.96 > ideal["spearman"]


@pytest.mark.parametrize("rows", ["RTL", "RTL, other array"])
def test_mappings_of_one_layer_are_ordered_better_than_by_the_ideal_model(rows: str, figures: dict[str, Any]) -> None:
    """More pairs of mappings are ordered as by RTL, and fewer against it, on both arrays."""
    ideal = figures[f"{rows}, ideal"]
    found = figures[f"{rows}, calibrated" + (", layers left out" if rows == "RTL" else "")]
    assert found["pairs_right"] > ideal["pairs_right"]
    assert found["pairs_wrong"] < ideal["pairs_wrong"]


def test_the_cost_model_has_the_coefficients_that_are_printed(figures: dict[str, Any]) -> None:
    """The shipped coefficients and residuals are those of the fit, to the digits given."""
    shipped = cost_model("gemmini_40nm").calibration
    for name in (*FITTED, "log_residual_sd", "low_ratio", "high_ratio"):
        assert getattr(shipped, name).value == pytest.approx(figures["coefficients"][name], rel=2e-3), name


def test_coefficients_hold_still(figures: dict[str, Any]) -> None:
    """Without any one layer, no coefficient moves by more than a third, and the bandwidth by no more than 6 %."""
    least, largest = (figures[f"coefficients, {word} over folds"] for word in ("least", "largest"))
    for name in FITTED[1:]:
        assert largest[name] / figures["coefficients"][name] <= 4 / 3, name
        assert least[name] / figures["coefficients"][name] >= 2 / 3, name
    assert largest["bandwidth_ratio"] / least["bandwidth_ratio"] <= 1.12


def test_estimate_gives_the_cycles_that_are_measured_here(shared_data: Path) -> None:
    """The rows of the figures, written for `estimate --matmuls`, are all feasible and have the same cycles."""
    model = cost_model("gemmini_40nm")
    source = pd.read_csv(shared_data / MEASURED, dtype=str, keep_default_na=False)
    source = source[source["is_gemm"] == "1"].reset_index(drop=True)
    rows = source.rename(columns={"pe_dim": "pe_rows", "M": "m", "K": "k", "N": "n"}).assign(pe_cols=source["pe_dim"])
    rows = rows.rename(columns={"spatial_conv_C": "spatial_k", "spatial_conv_K": "spatial_n"})
    for level in MEMORY_LEVELS:
        loops = [[token for token in text.split() if token[0] not in "RS"] for text in rows[f"mapping_{level}"]]
        rows[f"loops_{level}"] = [" ".join(CONVOLUTION.get(t[0], t[0]) + t[1:] for t in tokens) for tokens in loops]
    found = cost_rows(rows, model, Options(fidelity="calibrated"))
    assert model.calibration is not None
    expected = predict(read_rows(shared_data / MEASURED, model), model, coefficients(model.calibration))
    assert (found["feasible"] == "true").all()
    assert found["cycles"].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("is_gemm,M\n1,2\n", "missing columns K, N"),
    ],
)
def test_unreadable_tables_are_named(text: str | None, message: str, tmp_path: Path) -> None:
    """A table that is missing or lacks a column is an error that names it."""
    for name in (MEASURED, RANKED):
        if text is not None:
            (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        run(tmp_path)
