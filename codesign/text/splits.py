"""Which part of a list is trained on, which chosen by, which reported: by index alone, so it never moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from codesign.errors import InputError

T = TypeVar("T")

EVERY = 20
"""One item in so many is test, another one validation."""

FEWEST = EVERY // 2 + 1
"""Items of which one is validation."""


@dataclass(frozen=True)
class Split(Generic[T]):
    """Three disjoint parts of a list that together are the list, each in its order."""

    train: list[T]
    validation: list[T]
    test: list[T]


def split(items: Sequence[T], every: int = EVERY) -> Split[T]:
    """Give each `every`-th item to the test part (index % every == 0), those half-way between to validation.

    Neighbours in time are thus spread over the parts, and an item appended at the end moves no other one.

    Raises:
        InputError: fewer than three places a round, or so few items that a part would be empty.
    """
    if every < 3:
        raise InputError(f"split: every = {every}: expected at least 3, so that each part gets an item")
    test, validation = 0, every // 2
    if len(items) <= validation:
        raise InputError(
            f"split: {len(items)} items: expected at least {validation + 1} with every = {every}, "
            "or the validation part is empty; give more documents or a smaller `every`"
        )
    places = [(index % every, item) for index, item in enumerate(items)]
    return Split(
        train=[item for place, item in places if place not in (test, validation)],
        validation=[item for place, item in places if place == validation],
        test=[item for place, item in places if place == test],
    )
