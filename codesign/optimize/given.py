"""What a user gives a search besides files: numbers and names, checked before anything is made or written."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

from codesign.errors import InputError, unknown_name
from codesign.manifest import Stop

DEFAULT_PLATEAU = 1e-3
"""Share by which the hypervolume has to grow over the patience of a search that has one."""


def whole(name: str, value: Any, least: int) -> int:
    """Return a whole number as Python's own, whichever library it is of.

    Raises:
        InputError: it is none, or less than `least`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name}: expected a whole number, got {value!r}") from None
    if number < least:
        raise InputError(f"{name}: expected at least {least}, got {number}")
    return number


def check_known(kind: str, value: Any, known: tuple[str, ...]) -> None:
    """Refuse a name that is not one of those known.

    Raises:
        InputError: lists them.
    """
    if value not in known:
        raise unknown_name(kind, value, known)


def stop_rule(patience: Any, plateau: Any, kept: Stop | None = None) -> Stop | None:
    """Return when to stop before the budget is used; None for never.

    Args:
        patience: evaluations, or None; 0 = never.
        plateau: share of the hypervolume, or None.
        kept: holds for what is None; without it there is no patience, and the plateau is DEFAULT_PLATEAU.

    Raises:
        InputError: a number that makes no sense, or a plateau without a patience.
    """
    if patience is None and plateau is None:
        return kept
    patience = whole("patience", patience, 0) if patience is not None else kept.patience if kept else 0
    if not patience:
        if plateau is None:
            return None
        raise InputError(f"plateau: expected a patience with it, got a plateau of {plateau} alone; give --patience N")
    if plateau is None:
        return Stop(patience=patience, plateau=kept.plateau if kept else DEFAULT_PLATEAU)
    share = float(plateau) if isinstance(plateau, Real) else math.nan
    if not 0 <= share < 1:
        raise InputError(f"plateau: expected a share of the hypervolume, at least 0 and below 1, got {plateau!r}")
    return Stop(patience=patience, plateau=share)
