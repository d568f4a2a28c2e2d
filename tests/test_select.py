"""The language of conditions and picks: what it computes, and all that it refuses."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.errors import InputError
from codesign.select import pick, where

COLUMNS: dict[str, Any] = {
    "id": np.array([0, 3, 5, 9]),
    "edp_js": np.array([4.0, 1.0, 2.0, np.nan]),
    "area_mm2": np.array([1.0, 2.0, 3.0, 4.0]),
    "dataflow": np.array(["ws", "os", "ws", "os"], dtype=object),
    "extrapolated": np.array([False, True, False, True]),
}
BASELINE: dict[str, Any] = {"edp_js": 2.0, "area_mm2": 3.0, "dataflow": "ws", "extrapolated": np.bool_(False)}


def chosen(condition: str) -> list[int]:
    """The ids that a condition keeps."""
    return COLUMNS["id"][where(condition, COLUMNS, BASELINE)].tolist()


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ("area_mm2 < 3", [0, 3]),
        ("area_mm2 <= 3", [0, 3, 5]),
        ("3 > area_mm2", [0, 3]),
        ("1 < area_mm2 < 4", [3, 5]),
        ("area_mm2 == 2 or area_mm2 == 4", [3, 9]),
        ("not area_mm2 < 3", [5, 9]),
        ("not (area_mm2 < 3 or area_mm2 > 3)", [5]),
        ("edp_js < 100", [0, 3, 5]),  # what does not exist fulfils no comparison
        ("edp_js != edp_js", [9]),
        ("edp_js <= baseline", [3, 5]),
        ("edp_js <= baseline * 0.5", [3]),
        ("edp_js <= 2 * baseline and area_mm2 < baseline", [0, 3]),
        ("edp_js * area_mm2 <= baseline.edp_js", [3]),
        ("edp_js < baseline.area_mm2 - -1", [3, 5]),
        ('dataflow == "ws"', [0, 5]),
        ("dataflow != baseline", [3, 9]),
        ("extrapolated == True", [3, 9]),
        ("extrapolated + 1 > 1", [3, 9]),
        ("-extrapolated < 0", [3, 9]),
        ("area_mm2 / 0 > 1", [0, 3, 5, 9]),
        ("0 / 0 == 1", []),
        ("1 / 0 > 1", [0, 3, 5, 9]),
        ("1 < 2", [0, 3, 5, 9]),
        ("2 < 1", []),
        ("area_mm2 < 1e999", [0, 3, 5, 9]),
        ("  area_mm2 < 2  ", [0]),
        ("id >= 5", [5, 9]),
    ],
)
def test_conditions_mean_what_they_say(condition: str, ids: list[int]) -> None:
    """A condition keeps the designs of which it is true."""
    assert chosen(condition) == ids


NUMBER_COLUMNS = ("edp_js", "area_mm2")
terms = st.recursive(
    st.sampled_from(NUMBER_COLUMNS) | st.integers(-5, 5).map(str) | st.sampled_from(["baseline.edp_js", "0.5"]),
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
    max_leaves=5,
)
comparisons = st.tuples(terms, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), terms).map(" ".join)
conditions = st.recursive(
    comparisons,
    lambda inner: (
        inner.map(lambda c: f"not ({c})")
        | st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
    ),
    max_leaves=4,
)


@given(conditions, st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=1, max_size=6))
def test_conditions_agree_with_python(condition: str, rows: list[tuple[int, int]]) -> None:
    """A condition on columns keeps exactly the rows of which Python, row by row, says the same."""
    table = np.array(rows, dtype=np.float64)
    columns = dict(zip(NUMBER_COLUMNS, table.T, strict=True))

    class Baseline:
        edp_js = np.float64(2.0)

    kept = where(condition, columns, {"edp_js": 2.0})
    with np.errstate(all="ignore"):
        for row, values in enumerate(table):
            names = dict(zip(NUMBER_COLUMNS, values, strict=True)) | {"baseline": Baseline}
            # Division by zero is an exception between Python's integers, and infinite between numpy's floats.
            expected = eval(_with_floats(condition), {"f": np.float64}, names)
            assert bool(expected) == bool(kept[row]), (condition, values)


def _with_floats(condition: str) -> str:
    """Wrap each integer so that Python calculates with floats."""
    words = condition.replace("(", " ( ").replace(")", " ) ").split()
    return " ".join(f"f({word})" if word.lstrip("-").isdecimal() else word for word in words)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("", "expected comparisons such as"),
        ("area_mm2 <", "expected comparisons such as"),
        ("area_mm2 = 4", "expected comparisons such as"),
        ("area_mm2 < 4; import os", "expected comparisons such as"),
        ("area_mm2 < 4\x00", "expected comparisons such as"),
        ("area < 4", r"unknown column in condition 'area < 4': 'area'; known: area_mm2, .*edp_js"),
        ("area_mm2", "expected a comparison, got 'area_mm2'"),
        ("extrapolated", "expected a comparison, got 'extrapolated'"),
        ("not extrapolated", "expected a comparison"),
        ("area_mm2 + 1", "expected a comparison"),
        ("area_mm2 < 4 and 1", "expected a comparison, got '1'"),
        ("area_mm2 in edp_js", "expected one of < <= > >= == !="),
        ("area_mm2 is 1", "expected one of < <= > >= == !="),
        ("area_mm2 ** 2 < 4", "expected columns, numbers, 'text', baseline"),
        ("9 ** 9 ** 9 ** 9 < area_mm2", "expected columns, numbers"),
        ("area_mm2 % 2 < 4", "expected columns, numbers"),
        ("area_mm2 << 2 < 4", "expected columns, numbers"),
        ("~area_mm2 < 4", "expected columns, numbers"),
        ("+area_mm2 < 4", "expected columns, numbers"),
        ("area_mm2.max < 4", "expected columns, numbers"),
        ("area_mm2.__class__ == 1", "expected columns, numbers"),
        ("baseline.__class__ == 1", "unknown column in condition .*'__class__'"),
        ("baseline.edp_js.real < 1", "expected columns, numbers"),
        ("abs(area_mm2) < 4", "expected columns, numbers"),
        ("__import__('os').system('true') == 0", "expected columns, numbers"),
        ("area_mm2[0] < 4", "expected columns, numbers"),
        ("(lambda: 1) == 1", "expected columns, numbers"),
        ("[x for x in y] == 1", "expected columns, numbers"),
        ("(a := 1) == 1", "expected columns, numbers"),
        ("f'{area_mm2}' == '1'", "expected columns, numbers"),
        ("area_mm2 < 4j", "expected columns, numbers"),
        ("area_mm2 < None", "expected columns, numbers"),
        ("area_mm2 == b'1'", "expected columns, numbers"),
        ("dataflow < 4", "text cannot be compared with a number"),
        ("area_mm2 == 'ws'", "text cannot be compared with a number"),
        ("extrapolated == 'no'", "text cannot be compared with a number"),
        ("dataflow + 'x' == 'wsx'", "text cannot be calculated with"),
        ("-dataflow == 'ws'", "text cannot be calculated with"),
        ("baseline < 4", "baseline of which column"),
        ("edp_js + area_mm2 < baseline", "baseline of which column"),
        ("id < baseline", "unknown column in condition .*'id'"),
        (f"area_mm2 < {10**400}", "a number is too large"),
        (f"area_mm2 < {'9' * 5000}", "expected comparisons such as"),
        ("(" * 5000 + "1" + ")" * 5000 + " < 2", "expected comparisons|nested too deeply"),
        ("not " * 3000 + "area_mm2 < 2", "nested too deeply"),
        ("area_mm2 < " + "-" * 5000 + "1", "nested too deeply"),
        ("area_mm2 < " + "+".join(["1"] * 5000), "nested too deeply"),
    ],
)
def test_anything_else_is_refused(condition: str, message: str) -> None:
    """What is no comparison of columns is refused with what was expected; nothing is ever executed."""
    with pytest.raises(InputError, match=message):
        where(condition, COLUMNS, BASELINE)


@given(st.text(max_size=30))
def test_no_text_is_more_than_refused(text: str) -> None:
    """Whatever is typed, the answer is a selection or a refusal."""
    for read in (lambda: where(text, COLUMNS, BASELINE), lambda: pick(text, COLUMNS, BASELINE, lambda: 5)):
        with suppress(InputError):
            read()


@pytest.mark.parametrize(
    ("wish", "id_"),
    [
        ("knee", 5),
        (" knee ", 5),
        ("9", 9),
        ("min edp_js", 3),
        ("max edp_js", 0),
        ("min  area_mm2  where  edp_js < 3", 3),
        ("min edp_js where area_mm2 > 2", 5),  # 9 has none
        ("max area_mm2 where dataflow == 'ws'", 5),
        ("min edp_js where edp_js <= baseline and area_mm2 <= baseline", 3),
        ("min id where dataflow == 'os'", 3),
    ],
)
def test_picks_mean_what_they_say(wish: str, id_: int) -> None:
    """A wish names the knee, an id, or the best of a column among those that fulfil a condition."""
    assert pick(wish, COLUMNS, BASELINE, lambda: 5) == id_


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("", "expected 'knee', an id, or 'min COLUMN where CONDITION', got ''"),
        ("best", "expected 'knee', an id, or 'min COLUMN where CONDITION', got 'best'"),
        ("-1", "expected 'knee', an id"),
        ("1.0", "expected 'knee', an id"),
        ("²", "expected 'knee', an id"),
        ("9" * 5000, "expected 'knee', an id"),
        ("7", "no design 7 here; ids are listed by codesign front"),
        ("min", "expected 'knee', an id"),
        ("min edp", "unknown column 'edp'; known: area_mm2, .*edp_js"),
        ("min edp_js area_mm2 < 4", "expected 'knee', an id"),
        ("min edp_js where", "expected 'knee', an id"),
        ("min edp_js where area_mm2", "expected a comparison"),
        ("min dataflow", "min dataflow: expected a column of numbers"),
        ("min extrapolated", "min extrapolated: expected a column of numbers"),
        ("min edp_js where area_mm2 > 9", "no feasible design in this record fulfils 'area_mm2 > 9' and has a edp_js"),
        ("min edp_js where area_mm2 > 3", "no feasible design in this record fulfils 'area_mm2 > 3' and has a edp_js"),
    ],
)
def test_other_wishes_are_refused(wish: str, message: str) -> None:
    """A wish that cannot be fulfilled says what was expected, or which names are known."""
    with pytest.raises(InputError, match=message):
        pick(wish, COLUMNS, BASELINE, lambda: 5)
