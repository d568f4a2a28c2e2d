"""Rows of matmuls as text: each is costed or flagged with its reason, whatever it holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.cost.matmul_given import GIVEN_MAPPING
from codesign.cost.matmul_rows import REQUIRED, RESULTS, Options, cost_rows
from tests.cost.machines import accelerator, cost_model

ROW = dict(zip(REQUIRED, ("64", "32", "16", "4", "8", "4096", "2048"), strict=True))
MAPPING = dict(zip(GIVEN_MAPPING, ("M4 N2", "K8", "M16", "-", "4", "8"), strict=True))


def costed(rows: list[dict[str, Any]], cost: str = "gemmini_40nm", **options: Any) -> pd.DataFrame:
    """Cost rows; what a row does not say is that of ROW."""
    table = pd.DataFrame([ROW | row for row in rows]).astype(str)
    return cost_rows(table, cost_model(cost), Options(**options))


def test_a_row_has_the_cost_of_its_mapping() -> None:
    """A row costs what the mapper finds for its matmul on its accelerator, under the named bandwidth and dataflow."""
    from codesign.cost.matmul import best_mappings
    from codesign.cost.prepare import Options as MappingOptions

    row = costed([{"dataflow": "os", "dram_bytes_per_cycle": "2.5"}]).iloc[0]
    chip = accelerator(
        pe_rows=4, pe_cols=8, scratchpad_bytes=4096, accumulator_bytes=2048, dataflow=1, dram_bytes_per_cycle=2.5
    )
    model = cost_model("gemmini_40nm")
    best = best_mappings(np.array([[64, 32, 16]]), chip, model, MappingOptions(convention="timeloop"))
    assert row["cycles"] == best.cycles[0]
    assert row["energy_pj"] == best.total_energy_pj[0]
    assert row["edp_pj_cycles"] == row["cycles"] * row["energy_pj"]
    assert row["dram_bytes"] == best.dram_bytes[0]
    assert (row["feasible"], row["reason"]) == ("true", "")


def test_a_row_that_does_not_fit_behind_an_l2_is_flagged_alone() -> None:
    """With an L2, a row without room for a tile is flagged without a warning, and the next one is not affected."""
    rows = costed([{"scratchpad_bytes": 1}, {}], "survey_l2")
    assert rows["feasible"].tolist() == ["false", "true"]
    assert rows["reason"][0] == "no tile fits into scratchpad and accumulator"
    assert rows.loc[1, list(RESULTS)].tolist() == costed([{}], "survey_l2").loc[0, list(RESULTS)].tolist()


def test_whole_matmul_on_chip_by_hand() -> None:
    """With everything on chip, unit costs and a single tile, accesses are those counted by hand."""
    row = costed(
        [{"m": 2, "k": 2, "n": 2, "pe_rows": 2, "pe_cols": 2, "scratchpad_bytes": 64, "accumulator_bytes": 64}],
        "unit",
    ).iloc[0]
    assert row["mapping"] == "dram - | tile M2 K2 N2 | array K2 N2"
    # Weights 4, inputs 4 and outputs 4 cross the DRAM pins once; each output byte is written once, none is read back.
    widths = cost_model("unit").tensors
    assert row["dram_bytes"] == (4 + 4) * widths.operand_bits / 8 + 4 * widths.output_bits / 8


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_a_file_is_the_sum_of_its_pieces(chunk: int, seed: int) -> None:
    """However a table is cut, each row has the same result as alone."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({name: rng.integers(1, 200, 60) for name in REQUIRED}).astype(str)
    whole = cost_rows(table, cost_model("gemmini_40nm"), Options())
    parts = [
        cost_rows(table[start : start + chunk].reset_index(drop=True), cost_model("gemmini_40nm"), Options())
        for start in range(0, 60, chunk)
    ]
    pd.testing.assert_frame_equal(whole, pd.concat(parts, ignore_index=True), check_exact=True)


NO_NUMBERS = (
    "0", "-1", "-0", "nan", "NaN", "inf", "-inf", "1e400", "", " ", "text", "1.5", "0.999", "1e-3", str(2**70), "1e30",
    "1_000", "0x10", "1,5", "true", "None", "٣.5", "１２.5", "1 2", "--1", "\x00",
)  # fmt: skip


@pytest.mark.parametrize("name", REQUIRED)
def test_numbers_that_are_none_are_flagged(name: str) -> None:
    """Anything but a whole number from 1 up is flagged with column, expectation and text; its neighbours are costed."""
    table = costed([{}, *({name: value} for value in NO_NUMBERS), {}])
    flagged = table[1:-1]
    assert table["feasible"].tolist() == ["true", *["false"] * len(NO_NUMBERS), "true"]
    assert flagged["reason"].str.startswith(f"{name}: expected ").all()
    assert flagged[list(RESULTS)].isna().all(axis=None)
    assert (flagged["mapping"] == "").all()
    pd.testing.assert_frame_equal(table.iloc[[0]], costed([{}]))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"m": 2**24 + 1}, f"m: expected at most {2**24}"),
        ({"pe_rows": 2**41}, f"pe_rows: expected at most {2**40}"),
        ({"scratchpad_bytes": 1}, "no tile fits into scratchpad and accumulator"),
        ({"accumulator_bytes": 3}, "no tile fits into scratchpad and accumulator"),
        ({"dataflow": "is"}, "dataflow: expected ws or os, got 'is'"),
        ({"dataflow": ""}, "dataflow: expected ws or os, got ''"),
        ({"dataflow": "WS"}, "dataflow: expected ws or os, got 'WS'"),
        ({"dram_bytes_per_cycle": "0"}, "dram_bytes_per_cycle: expected a number of 1e-09 to 1e+12, got '0'"),
        ({"dram_bytes_per_cycle": "-1"}, "dram_bytes_per_cycle: expected a number of 1e-09 to 1e+12, got '-1'"),
        ({"dram_bytes_per_cycle": "inf"}, "dram_bytes_per_cycle: expected a number of 1e-09 to 1e+12, got 'inf'"),
        ({"dram_bytes_per_cycle": ""}, "dram_bytes_per_cycle: expected a number of 1e-09 to 1e+12, got ''"),
        ({"dram_bytes_per_cycle": "1e-10"}, "dram_bytes_per_cycle: expected a number of 1e-09 to 1e+12, got '1e-10'"),
    ],
)
def test_rows_that_cannot_be_costed_say_why(row: dict[str, Any], reason: str) -> None:
    """Each reason names the column, or what does not fit; the row's results are empty."""
    table = costed([row])
    assert table["reason"][0] == reason
    assert table["feasible"][0] == "false"
    assert table.loc[0, list(RESULTS)].isna().all()


@pytest.mark.parametrize(
    "row",
    [
        dict.fromkeys(("m", "k", "n"), 2**24) | {"scratchpad_bytes": 2**40, "accumulator_bytes": 2**40},
        dict.fromkeys(("m", "k", "n"), 2**24) | {"pe_rows": 1, "pe_cols": 1, "dram_bytes_per_cycle": 1e-9},
        {"pe_rows": 2**40, "pe_cols": 2**40},
        {"dram_bytes_per_cycle": 1e-9},
        {"dram_bytes_per_cycle": 1e12},
        dict.fromkeys(REQUIRED, 4),
    ],
)
def test_extreme_sizes_have_positive_finite_costs(row: dict[str, Any]) -> None:
    """The largest and smallest sizes allowed neither wrap around nor vanish."""
    table = costed([row])
    values = table.loc[0, list(RESULTS)].astype(float)
    assert table["feasible"][0] == "true"
    assert (values > 0).all()
    assert np.isfinite(values).all()
    extents = [int(table[name][0]) for name in ("m", "k", "n")]
    assert values["cycles"] * float(table["pe_rows"][0]) * float(table["pe_cols"][0]) >= 0.999 * np.prod(
        np.array(extents, dtype=float)
    )


def test_undeclared_dataflow_is_flagged() -> None:
    """A cost model for weight-stationary arrays flags the other rows and costs these."""
    import msgspec

    model = msgspec.structs.replace(cost_model("unit"), dataflows=("weight_stationary",))
    table = pd.DataFrame([ROW | {"dataflow": "ws"}, ROW | {"dataflow": "output_stationary"}])
    found = cost_rows(table, model, Options())
    assert found["reason"].tolist() == ["", "dataflow: the cost model declares weight_stationary only"]


def test_objectives_minimise_what_they_name() -> None:
    """The objective's own figure is least under it; perfect factors only take choices away."""
    rng = np.random.default_rng(1)
    rows = [dict(zip(REQUIRED, row, strict=True)) for row in rng.integers(4, 400, size=(100, 7)).tolist()]
    tables = {name: costed(rows, objective=name) for name in ("edp", "energy", "delay")}
    perfect = {name: costed(rows, objective=name, perfect_factors=True) for name in tables}
    figures = {"edp": "edp_pj_cycles", "energy": "energy_pj", "delay": "cycles"}
    for name, figure in figures.items():
        fits = tables[name]["feasible"] == "true"
        for other in (*tables.values(), perfect[name]):
            assert (tables[name][figure][fits] <= other[figure][fits] * (1 + 1e-12)).all()


def test_conventions_differ_by_what_they_count() -> None:
    """The three tools' ways of counting give the same cycles for a matmul that fits on chip, and named differences."""
    tables = {name: costed([{}], convention=name).iloc[0] for name in ("timeloop", "accelforge", "zigzag")}
    assert tables["timeloop"]["accumulator_accesses"] == tables["accelforge"]["accumulator_accesses"]
    assert tables["zigzag"]["accumulator_accesses"] > tables["timeloop"]["accumulator_accesses"]


def test_given_mappings_are_costed_as_given() -> None:
    """A given mapping costs at least what the best one does, and is marked as given."""
    given, best = costed([MAPPING]), costed([{}])
    assert given["reason"][0] == ""
    assert given["mapping"][0] == "given"
    assert given["edp_pj_cycles"][0] >= best["edp_pj_cycles"][0] * (1 - 1e-9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"loops_dram": "M4"}, "mapping covers N8 of N16"),
        ({"loops_dram": "M8 N2"}, "mapping covers M128 of M64"),
        ({"loops_scratchpad": ""}, "mapping covers K4 of K32"),
        ({"spatial_k": "8", "loops_scratchpad": "K4"}, "spatial_k: more than the array's rows"),
        ({"spatial_n": "16", "loops_dram": "M4"}, "spatial_n: more than the array's columns"),
        ({"accumulator_bytes": "64"}, "the output tile does not fit into the accumulator"),
        ({"scratchpad_bytes": "256"}, "the input and weight tiles do not fit into the scratchpad"),
        (
            {"loops_scratchpad": "-", "loops_register": "K8"},
            "loops_register: a register holds one weight (M loops only)",
        ),
        ({"loops_dram": "m4 n2"}, "loops_dram: expected loops such as 'N12 K48 M4' or '-', got 'm4'"),
        ({"loops_dram": "P4 N2"}, "loops_dram: expected loops such as 'N12 K48 M4' or '-', got 'P4'"),
        ({"loops_dram": "M0 N2"}, "loops_dram: expected loops such as 'N12 K48 M4' or '-', got 'M0'"),
        ({"loops_dram": "M-4"}, "loops_dram: expected loops such as 'N12 K48 M4' or '-', got 'M-4'"),
        ({"loops_dram": "M4,N2"}, "loops_dram: expected loops such as 'N12 K48 M4' or '-', got 'M4,N2'"),
        ({"loops_accumulator": "M16.0"}, "loops_accumulator: expected loops such as 'N12 K48 M4' or '-', got 'M16.0'"),
        ({"loops_dram": "M1 " * 25}, "loops: expected at most 24 in all levels, got 27"),
        ({"spatial_k": ""}, "spatial_k: expected a whole number of at least 1, got ''"),
        ({"spatial_n": "0"}, "spatial_n: expected a whole number of at least 1, got '0'"),
        ({"m": "0"}, "m: expected a whole number of at least 1, got '0'"),
        ({"dataflow": "os"}, "dataflow: a given mapping is weight stationary (ws)"),
    ],
)
def test_given_mappings_that_are_none_are_flagged(change: dict[str, str], reason: str) -> None:
    """A mapping that cannot be read, covers another matmul or does not fit is flagged; its neighbours are costed."""
    table = costed([{"dataflow": "ws"} | MAPPING, {"dataflow": "ws"} | MAPPING | change])
    assert table["reason"].tolist() == ["", reason]
    assert table.loc[1, list(RESULTS)].isna().all()


def test_repeated_dimensions_and_empty_lists() -> None:
    """A dimension may occur several times in a list, trips of one change nothing, and `-` or nothing is no loop."""
    base = costed([MAPPING])
    for change in ({"loops_dram": "M2 M2 N2"}, {"loops_dram": "M4 N1 N2 K1"}, {"loops_register": ""}):
        pd.testing.assert_frame_equal(base[list(RESULTS)], costed([MAPPING | change])[list(RESULTS)])


cells = st.one_of(
    st.sampled_from(["1", "4", "64", "0", "-", "M4 N2", "ws", "", "1e999", "nan"]), st.text(max_size=6), st.just("7")
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys((*ROW, *MAPPING, "dataflow"), cells)), min_size=1, max_size=4))
def test_no_row_stops_the_others(rows: list[dict[str, str]]) -> None:
    """Whatever a row holds, it comes back either with all its results or with a reason and none."""
    table = cost_rows(pd.DataFrame([*rows, ROW | MAPPING | {"dataflow": "ws"}]), cost_model("unit"), Options())
    assert len(table) == len(rows) + 1
    assert table["reason"].iloc[-1] == ""
    for _, row in table.iterrows():
        assert (row["feasible"] == "true") == (row["reason"] == "") == bool(row["mapping"])
        assert row[list(RESULTS)].notna().all() == (row["feasible"] == "true")
