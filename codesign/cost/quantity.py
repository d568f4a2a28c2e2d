"""Numbers of a cost model file: a value and where it comes from. The unit is in the name of the key."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Source = Annotated[str, Meta(min_length=3)]
NotNegative = Annotated[float, Meta(ge=0, lt=1e30)]
Positive = Annotated[float, Meta(gt=0, lt=1e30)]
NotNegativeInt = Annotated[int, Meta(ge=0, le=2**40)]
PositiveInt = Annotated[int, Meta(ge=1, le=2**40)]
Bits = Annotated[int, Meta(ge=1, le=64)]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tables of a cost model file: immutable, unknown keys refused."""


class Quantity(Strict, frozen=True):
    """A number that may be zero, with its source."""

    value: NotNegative
    source: Source


class PositiveQuantity(Strict, frozen=True):
    """A number above zero, with its source."""

    value: Positive
    source: Source


class Share(Strict, frozen=True):
    """A number from 0 to 1, with its source."""

    value: Annotated[float, Meta(ge=0, le=1)]
    source: Source
