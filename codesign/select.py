"""The small language that selects designs: conditions for `--where`, and `--pick`.

    area_mm2 < 4 and dataflow == "weight_stationary"
    perplexity <= baseline * 1.0045          # `baseline` is the baseline's value of the column it is compared with
    knee | 4711 | min edp_js where perplexity <= baseline * 1.0045

Conditions are Python comparisons over the columns of a table of designs, with + - * / and `and or not`. They are
parsed, never executed: anything else is refused.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from codesign.design import BoolArray
from codesign.errors import InputError, unknown_name

Columns = Mapping[str, Any]  # name -> (n,) array

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def where(condition: str, columns: Columns, baseline: Mapping[str, Any]) -> BoolArray:
    """Evaluate a condition on every design.

    Args:
        condition: such as `area_mm2 < 4 and perplexity <= baseline * 1.0045`.
        columns: (n,) values by column name.
        baseline: the baseline's value by column name.

    Returns:
        (n,) True where the condition holds.

    Raises:
        InputError: not a condition, an unknown column, or text compared with numbers.
    """
    try:
        result = _evaluate(condition, columns, baseline)
    except (RecursionError, MemoryError):
        raise InputError(f"condition of {len(condition)} characters: nested too deeply") from None
    return np.broadcast_to(result, _length(columns)).copy()


def pick(wish: str, columns: Columns, baseline: Mapping[str, Any], knee: Callable[[], int]) -> int:
    """Return the id of one design.

    Args:
        wish: `knee`, an id, or `min COLUMN` or `max COLUMN` with an optional `where CONDITION`.
        columns: (n,) values by column name; among them `id`.
        baseline: the baseline's value by column name.
        knee: gives the id of the front's knee.

    Raises:
        InputError: not a wish, an unknown id or column, or no design fulfils the condition.
    """
    wish = wish.strip()
    if wish == "knee":
        return knee()
    if re.fullmatch(r"\d{1,18}", wish):
        if int(wish) not in columns["id"]:
            raise InputError(f"pick: no design {wish} here; ids are listed by codesign front")
        return int(wish)
    match = re.fullmatch(r"(min|max)\s+(\w+)(?:\s+where\s+(.+))?", wish)
    if match is None:
        raise InputError(f"pick: expected 'knee', an id, or 'min COLUMN where CONDITION', got {wish!r}")
    direction, column, condition = match.groups()
    if column not in columns:
        raise unknown_name("column", column, columns)
    values = np.asarray(columns[column])
    if not np.issubdtype(values.dtype, np.number):
        raise InputError(f"pick: {direction} {column}: expected a column of numbers, got values such as {values[:1]}")
    fulfils = where(condition, columns, baseline) if condition else np.ones(len(values), dtype=bool)
    among = np.flatnonzero(fulfils & np.isfinite(values))
    if not len(among):
        what = f" fulfils {condition!r} and" if condition else ""
        raise InputError(f"pick: no feasible design in this record{what} has a {column}")
    best = values[among].argmin() if direction == "min" else values[among].argmax()
    return int(np.asarray(columns["id"])[among[best]])


def _evaluate(condition: str, columns: Columns, baseline: Mapping[str, Any]) -> Any:
    try:
        tree = ast.parse(condition.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise InputError(f"condition {condition!r}: expected comparisons such as 'area_mm2 < 4'") from None
    with np.errstate(all="ignore"):  # what is divided by zero is infinite or no number, and compares so
        return _Reader(condition, columns, baseline).truth(tree)


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values())))


class _Reader:
    """Walks one condition."""

    def __init__(self, text: str, columns: Columns, baseline: Mapping[str, Any]) -> None:
        self.text, self.columns, self.baseline = text, columns, baseline

    def truth(self, node: ast.AST) -> Any:
        """(n,) truth of `and`, `or`, `not` and comparisons."""
        if isinstance(node, ast.BoolOp):
            parts = [self.truth(value) for value in node.values]
            combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return combine.reduce(np.broadcast_arrays(*parts))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return np.logical_not(self.truth(node.operand))
        if isinstance(node, ast.Compare):
            return self._compare(node)
        raise self._refuse(node, "expected a comparison")

    def _compare(self, node: ast.Compare) -> Any:
        compared = [name for name in _names(node) if name != "baseline"]
        terms = [self._value(term, compared) for term in (node.left, *node.comparators)]
        result: Any = True
        for left, comparison, right in zip(terms, node.ops, terms[1:], strict=False):
            if type(comparison) not in _COMPARE:
                raise self._refuse(node, "expected one of < <= > >= == !=")
            if _is_text(left) != _is_text(right):
                raise self._refuse(node, "text cannot be compared with a number")
            result = np.logical_and(result, _COMPARE[type(comparison)](left, right))
        return result

    def _value(self, node: ast.AST, compared: list[str]) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return self._constant(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._number(node.operand, compared)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            left, right = self._number(node.left, compared), self._number(node.right, compared)
            return _ARITHMETIC[type(node.op)](left, right)
        if isinstance(node, ast.Name):
            return self._baseline(compared) if node.id == "baseline" else self._column(self.columns, node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "baseline":
            return self._column(self.baseline, node.attr)
        raise self._refuse(node, "expected columns, numbers, 'text', baseline and + - * /")

    def _number(self, node: ast.AST, compared: list[str]) -> Any:
        value = self._value(node, compared)
        if _is_text(value):
            raise self._refuse(node, "text cannot be calculated with")
        return np.asarray(value, dtype=np.float64)

    def _constant(self, value: float) -> np.float64:
        try:
            return np.float64(value)
        except OverflowError:
            raise InputError(f"condition {self.text!r}: a number is too large") from None

    def _baseline(self, compared: list[str]) -> Any:
        if len(set(compared)) != 1:
            raise InputError(
                f"condition {self.text!r}: baseline of which column? Compare it with one column, or write "
                "baseline.perplexity"
            )
        return self._column(self.baseline, compared[0])

    def _column(self, columns: Mapping[str, Any], name: str) -> Any:
        if name not in columns:
            raise unknown_name(f"column in condition {self.text!r}:", name, columns)
        value = columns[name]
        return value if isinstance(value, str | int | float) else np.asarray(value)

    def _refuse(self, node: ast.AST, expected: str) -> InputError:
        return InputError(f"condition {self.text!r}: {expected}, got {ast.unparse(node)!r}")


def _names(node: ast.AST) -> list[str]:
    """Names that stand alone; the `baseline` of `baseline.column` counts as none."""
    attributes = {id(n.value) for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in attributes]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind in "OUT")
