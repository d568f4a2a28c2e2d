"""Columns of text to columns of numbers, with the reason of each row that has none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from codesign.cost.candidate import LARGEST_EXTENT
from codesign.design import BoolArray, FloatArray, IntArray

LARGEST_SIZE = 2**40
"""Of arrays (PEs a side) and buffers (bytes)."""

Reasons = np.ndarray[Any, np.dtype[np.object_]]  # (rows,) text; empty = nothing wrong


def flag(reasons: Reasons, bad: BoolArray, reason: str) -> None:
    """Give a reason to the bad rows that have none yet."""
    reasons[bad & (reasons == "")] = reason


def flag_each(reasons: Reasons, bad: BoolArray, reason: Callable[[int], str]) -> None:
    """The same with a reason that depends on the row."""
    for row in np.flatnonzero(bad & (reasons == "")):
        reasons[row] = reason(int(row))


def _number(text: str) -> float:
    """Return the number that a text means, NaN if none."""
    try:
        return float("nan" if "_" in text else text)  # Python would read 1_000 as a number, other tools would not
    except ValueError:
        return float("nan")


def parse_numbers(texts: list[str]) -> FloatArray:
    """(rows,) floats, NaN where the text is no number; if any is none, each distinct text is read once."""
    if "_" not in "".join(texts):
        with suppress(ValueError):
            return np.fromiter(map(float, texts), np.float64, len(texts))
    known = {text: _number(text) for text in set(texts)}
    return np.array([known[text] for text in texts], dtype=np.float64)


def whole_numbers(texts: list[str], name: str, reasons: Reasons, least: int = 1) -> IntArray:
    """(rows,) whole numbers of at least `least`; rows without one are flagged and become 1."""
    values = parse_numbers(texts)
    good = np.isfinite(values) & (values >= least) & (values == np.floor(values))
    flag_each(reasons, ~good, lambda row: f"{name}: expected a whole number of at least {least}, got {texts[row]!r}")
    most = LARGEST_EXTENT if name in ("m", "k", "n") else LARGEST_SIZE
    flag(reasons, good & (values > most), f"{name}: expected at most {most}")
    return np.where(good & (values <= most), values, 1.0).astype(np.int64)
