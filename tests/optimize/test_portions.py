"""How much a worker is sent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from codesign.optimize.portions import (
    DRIVER_SECONDS,
    DRIVER_SHARE,
    GROWTH,
    OWN_SECONDS,
    PORTION_SECONDS,
    Item,
    Pace,
    Portions,
    pieces,
)

from .pools import shapes
from .spaces import tiny


def filled(count: int) -> Portions:
    """So many shapes that wait."""
    portions, shape = Portions(), tiny().baseline.shape
    portions.add(Item(ticket, shape, 0) for ticket in range(count))
    return portions


def test_one_shape_until_its_time_is_known() -> None:
    """A proxy may take hours."""
    portions = filled(1000)
    assert len(portions.next(2)) == 1
    portions.took(0.001, 1)
    assert len(portions.next(2)) > 1


@pytest.mark.parametrize(("each", "count"), [(0.001, 100), (0.03, 3), (0.09, 1), (5.0, 1)])
def test_a_portion_takes_a_tenth_of_a_second(each: float, count: int) -> None:
    """As many shapes as take that long, and at least one."""
    portions = filled(100_000)
    portions.took(7 * each, 7)
    assert len(portions.next(2)) in (count, count - 1)
    assert portions.seconds_each == pytest.approx(each)


def test_workers_end_together() -> None:
    """Portions shrink towards the end: no worker gets more than half of its share of what is left."""
    portions = filled(100)
    portions.took(1e-6, 1)
    sizes = []
    while items := portions.next(4):
        sizes.append(len(items))
    assert sizes[0] == 12
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-4:] == [1, 1, 1, 1]
    assert sum(sizes) == 100


def test_a_driver_with_many_workers_sends_longer_portions() -> None:
    """However many workers there are, feeding them takes no more than its share of the driver's time."""
    portions = filled(400_000)
    portions.took(0.01, 1)
    for workers in (1, 100, 1000):
        seconds = portions.size(workers) * portions.seconds_each
        assert seconds >= PORTION_SECONDS * 0.99
        assert workers * DRIVER_SECONDS / seconds <= DRIVER_SHARE * 1.01


def test_suspects_are_sent_alone_and_first() -> None:
    """What may have killed a worker is not sent with others."""
    portions = filled(50)
    portions.took(1e-6, 1)
    items = portions.next(2)
    portions.suspect(items)
    assert [portions.next(2) for _ in items] == [[item] for item in items]
    assert len(portions) == 50 - len(items)
    portions.clear()
    assert portions.next(2) == []


def test_the_time_of_a_shape_follows_the_latest() -> None:
    """The mean runs: a proxy that has warmed up is known to be faster."""
    portions = filled(1)
    for _ in range(20):
        portions.took(1.0, 1)
    for _ in range(20):
        portions.took(0.01, 10)
    assert portions.seconds_each < 0.01


def test_pieces_are_the_shapes_of_the_items() -> None:
    """Items of one batch are one piece, in the order of the items."""
    one, other = shapes(20), shapes(30, seed=5)
    items = [Item(0, one, 3), Item(1, one, 0), Item(2, other, 7), Item(3, one, 1)]
    found = pieces(items)
    assert [len(piece) for piece in found] == [2, 1, 1]
    expected = [shape.hidden[rows] for shape, rows in ((one, [3, 0]), (other, [7]), (one, [1]))]
    for piece, hidden in zip(found, expected, strict=True):
        np.testing.assert_array_equal(piece.hidden, hidden)


def paced(seconds: Callable[[int], float], portions: int, least: int = 1) -> list[int]:
    """How many shapes are measured at once, portion after portion, if so many take so long."""
    pace, sizes = Pace(least), list[int]()
    for _ in range(portions):
        sizes.append(pace.size)
        pace.took(seconds(pace.size), pace.size)
    return sizes


def test_a_process_measures_for_a_second_at_once() -> None:
    """One shape, then more and more, until a portion takes that long; a dear shape has at most one other beside it."""
    sizes = paced(lambda count: 0.01 * count, 10)
    assert sizes[:2] == [1, GROWTH]
    assert set(sizes[4:]) <= {int(OWN_SECONDS / 0.01), int(OWN_SECONDS / 0.01) - 1}
    assert set(paced(lambda count: 100.0 * count, 10)) <= {1, 2}
    assert paced(lambda count: 1e-6 * count, 3) == [1, GROWTH, GROWTH**2]


def test_many_shapes_that_are_no_more_work_than_one_are_measured_together() -> None:
    """Where a call takes three seconds whatever it is asked, the number of shapes grows from call to call."""
    assert paced(lambda _: 3.0, 9)[-1] >= 2**8


def test_a_process_measures_never_fewer_than_it_was_told() -> None:
    """However long they take."""
    assert set(paced(lambda count: 100.0 * count, 10, least=8)) == {8}
