"""Calibrated cycles: never below ideal, monotone where the machine is, equal in any batch, refused where not fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.cost.calibrated import calibrated_cycles
from codesign.cost.calibration import coefficients
from codesign.cost.matmul_file import estimate_file
from codesign.cost.matmul_rows import UNCERTAINTY, WRITTEN, Options, cost_rows
from codesign.errors import InputError
from tests.cost.machines import cost_model

CALIBRATED = Options(fidelity="calibrated")
WIDTHS = (1.0, 1.0, 1.0, 4.0)
ROW = {"m": "128", "k": "768", "n": "768", "pe_rows": "16", "pe_cols": "16"} | {
    "scratchpad_bytes": "147456",
    "accumulator_bytes": "32768",
}
MAPPING = {
    "loops_dram": "N12",
    "loops_scratchpad": "-",
    "loops_accumulator": "N4 K48 M4",
    "loops_register": "M32",
    "spatial_k": "16",
    "spatial_n": "16",
}

factors = st.integers(1, 40)
mappings = st.fixed_dictionaries(
    dict.fromkeys(("dram_m", "dram_k", "dram_n", "m", "k", "n"), factors)
    | {"rate": st.floats(0.01, 1e3), "innermost": st.sampled_from("MKN")}
)


def cycles(ideal: float = 0.0, rate: float = 8.0, **mapping: Any) -> float:
    """Calibrate a weight-stationary mapping of whole array-sized pieces on a 16 x 16 array."""
    trips = (float(mapping["dram_m"]), float(mapping["dram_k"]), float(mapping["dram_n"]))
    extents = (trips[0] * mapping["m"], trips[1] * mapping["k"] * 16.0, trips[2] * mapping["n"] * 16.0)
    steps = extents[1] * extents[2] / 256
    order = [d for d in "mkn" if d != mapping["innermost"].lower()] + [mapping["innermost"].lower()]
    inside = order[order.index("k") + 1 :]  # a loop of one trip spills nothing
    spilled = any(mapping[f"dram_{d}"] > 1 for d in inside)
    spills = extents[0] * extents[2] * (trips[1] - 1) * spilled
    numbers = coefficients(cost_model("gemmini_40nm").calibration)  # type: ignore[arg-type]
    pieces = (trips[0] * steps, float(mapping["m"]))
    return calibrated_cycles(
        ideal, extents, trips, extents[0] * steps, pieces, spills, WIDTHS, (16.0, 16.0, rate), numbers
    )


def table(**columns: str) -> pd.DataFrame:
    """Return one row with a given mapping."""
    return pd.DataFrame([ROW | MAPPING | columns])


def given_row(mapping: dict[str, Any]) -> dict[str, str]:
    """Write a drawn mapping as a row whose buffers hold it."""
    lengths = {d: mapping[f"dram_{d}"] * mapping[d] * (1 if d == "m" else 16) for d in "mkn"}
    order = [d for d in "MKN" if d != mapping["innermost"]] + [mapping["innermost"]]
    return {d: str(length) for d, length in lengths.items()} | {
        "pe_rows": "16",
        "pe_cols": "16",
        "scratchpad_bytes": str(2**30),
        "accumulator_bytes": str(2**30),
        "dram_bytes_per_cycle": str(mapping["rate"]),
        "loops_dram": " ".join(f"{d}{mapping[f'dram_{d.lower()}']}" for d in order),
        "loops_scratchpad": "-",
        "loops_accumulator": f"N{mapping['n']} K{mapping['k']}",
        "loops_register": f"M{mapping['m']}",
        "spatial_k": "16",
        "spatial_n": "16",
    }


@settings(deadline=None)  # kernels compile in the first example
@given(st.lists(mappings, min_size=1, max_size=5))
def test_calibrated_is_never_below_ideal_and_equal_in_any_batch(drawn: list[dict[str, Any]]) -> None:
    """Every row takes at least its ideal cycles, the same alone as among others, and as the kernel says."""
    rows = pd.DataFrame([given_row(mapping) for mapping in drawn])
    model = cost_model("gemmini_40nm")
    ideal, found = (cost_rows(rows, model, options) for options in (Options(), CALIBRATED))
    assert (found["feasible"] == "true").all()
    assert (found["cycles"] >= ideal["cycles"]).all()
    assert (found["energy_pj"] == ideal["energy_pj"]).all()
    for i, mapping in enumerate(drawn):
        alone = cost_rows(rows[i : i + 1].reset_index(drop=True), model, CALIBRATED)
        assert alone["cycles"][0] == found["cycles"][i]
        assert found["cycles"][i] == max(ideal["cycles"][i], cycles(**mapping))


@settings(deadline=None)
@given(mappings, st.sampled_from(["dram_m", "dram_k", "dram_n", "m", "k"]), st.integers(1, 5))
def test_more_work_takes_no_fewer_cycles(mapping: dict[str, Any], name: str, more: int) -> None:
    """Cycles do not fall as a tile or a number of trips grows."""
    assert cycles(**mapping | {name: mapping[name] + more}) >= cycles(**mapping)


@settings(deadline=None)
@given(mappings, st.floats(1, 10))
def test_more_bandwidth_takes_no_more_cycles(mapping: dict[str, Any], factor: float) -> None:
    """Cycles do not grow with the DRAM bandwidth."""
    assert cycles(**mapping | {"rate": mapping["rate"] * factor}) <= cycles(**mapping)


@settings(deadline=None)
@given(mappings, st.floats(0, 1e12))
def test_ideal_is_a_floor(mapping: dict[str, Any], ideal: float) -> None:
    """Whatever else costs, the result is the larger of the ideal cycles and the sum of the terms."""
    assert cycles(ideal, **mapping) == max(ideal, cycles(0.0, **mapping))


def test_terms_of_one_mapping() -> None:
    """Twelve tiles of 128 x 768 x 64 cost what the equation says, computed here term by term."""
    numbers = coefficients(cost_model("gemmini_40nm").calibration)  # type: ignore[arg-type]
    start, latency, preload, hidden, ratio, _, _ = numbers
    compute = 128 * 48 * 4 + 48 * 4 * preload * max(0, 16 - hidden * 128)
    load = latency + (128 * 768 + 768 * 64) / (8 * ratio)
    expected = start + 30 + load + 11 * max(compute, load) + compute + 128 * 768 / (8 * ratio)
    found = cost_rows(table(), cost_model("gemmini_40nm"), CALIBRATED)
    assert found["cycles"][0] == np.ceil(expected)


def test_narrow_rows_of_outputs_cost_lines() -> None:
    """A stored row below a beat of the bus costs two lines of 64 bytes, so 2 outputs a row cost more than 16."""
    shape = dict.fromkeys(("dram_m", "dram_k", "dram_n", "k", "n"), 1) | {"m": 100}
    numbers = coefficients(cost_model("gemmini_40nm").calibration)  # type: ignore[arg-type]
    wide = cycles(innermost="K", **shape)
    narrow = calibrated_cycles(
        0.0, (100.0, 16.0, 2.0), (1.0, 1.0, 1.0), 100.0, (1.0, 100.0), 0.0, WIDTHS, (16.0, 16.0, 8.0), numbers
    )
    expected = (100 * (128 - 16) - 14 * 16) / (8 * numbers[4])  # and 14 columns of 16 weights fewer to load
    assert narrow - wide == pytest.approx(expected, abs=1)


def test_uncertainty_is_written_last_and_only_when_calibrated() -> None:
    """The 10th and 90th percentiles follow the other columns; ideal cycles claim no uncertainty."""
    model = cost_model("gemmini_40nm")
    found = cost_rows(table(), model, CALIBRATED)
    assert tuple(found.columns[-len(WRITTEN) - 2 :]) == (*WRITTEN, *UNCERTAINTY)
    assert found["cycles_low"][0] < found["cycles"][0] < found["cycles_high"][0]
    assert found["edp_pj_cycles"][0] == found["energy_pj"][0] * found["cycles"][0]
    assert not set(UNCERTAINTY) & set(cost_rows(table(), model, Options()).columns)


def test_rows_that_are_wrong_stay_flagged() -> None:
    """Calibration changes neither what is infeasible nor why; such rows have no cycles."""
    rows = pd.concat([table(m="0"), table(loops_dram="N11"), table(k="nan"), table(accumulator_bytes="64")])
    rows = rows.reset_index(drop=True)
    model = cost_model("gemmini_40nm")
    ideal, found = (cost_rows(rows, model, options) for options in (Options(), CALIBRATED))
    assert (found["feasible"] == "false").all()
    assert (found["reason"] == ideal["reason"]).all()
    assert found[["cycles", *UNCERTAINTY]].isna().all(axis=None)


def test_a_model_without_calibration_is_refused() -> None:
    """`calibrated` needs the table [calibration]; there is no default."""
    model = msgspec.structs.replace(cost_model("gemmini_40nm"), calibration=None)
    with pytest.raises(InputError, match=r"fidelity calibrated: expected a cost model with a table \[calibration\]"):
        cost_rows(table(), model, CALIBRATED)


@pytest.mark.parametrize("options", [Options(objective="energy"), Options(perfect_factors=True)])
def test_search_options_are_refused_with_a_given_mapping(options: Options, tmp_path: Path) -> None:
    """What only a search obeys is refused where the mapping is given, instead of being ignored."""
    table().to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(InputError, match="has no effect on a given mapping"):
        estimate_file(tmp_path / "in.csv", tmp_path / "out.csv", cost_model("gemmini_40nm"), options)
    assert not (tmp_path / "out.csv").exists()


def test_columns_written_under_calibrated_are_not_taken_from_the_input(tmp_path: Path) -> None:
    """A column of the input called cycles_low is refused where the command writes one, kept where it does not."""
    table(cycles_low="1").to_csv(tmp_path / "in.csv", index=False)
    model, paths = cost_model("gemmini_40nm"), (tmp_path / "in.csv", tmp_path / "out.csv")
    with pytest.raises(InputError, match="columns cycles_low are written by this command"):
        estimate_file(*paths, model, CALIBRATED)
    assert estimate_file(*paths, model, Options()) == (1, 0)
