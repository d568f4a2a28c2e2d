"""The closed form of one mapping against a walk through its loops."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.cost.access import counts, cycles_of, energy_of
from codesign.cost.matmul import conventions
from tests.cost.machines import cost_model
from tests.cost.walk import Counted, Widths, pieces, walk

EXTENT = st.integers(1, 7)
EXTENTS = st.tuples(EXTENT, EXTENT, EXTENT)
ARRAY = st.tuples(st.integers(1, 4), st.integers(1, 4))
WIDTHS = st.builds(
    Widths,
    operand=st.sampled_from([1.0, 2.0]),
    output=st.sampled_from([1.0, 2.0, 4.0]),
    accumulator=st.sampled_from([2.0, 4.0]),
    spill=st.sampled_from([1.0, 4.0]),
    first_read=st.sampled_from([0.0, 1.0]),
    drain=st.sampled_from([0.0, 0.25, 1.0]),
)


@st.composite
def tilings(draw: st.DrawFn) -> tuple[Any, ...]:
    """Draw (extents, tiles): tiles as long as the matmul, and such that leave a partial one, among them."""
    extents = draw(EXTENTS)
    return extents, tuple(draw(st.integers(1, extent)) for extent in extents)


def closed_form(
    weight_stationary: bool,
    extents: tuple[int, int, int],
    tiles: tuple[int, int, int],
    array: tuple[int, int],
    innermost: int,
    widths: Widths,
) -> Counted:
    """Call `access.counts` for given tiles."""
    rows = 1 if weight_stationary else 0
    steps = [
        sum(len(pieces(length, lanes)) for length in pieces(extents[dimension], tiles[dimension]))
        for dimension, lanes in ((rows, array[0]), (2, array[1]))
    ]
    single = tiles[rows] <= array[0] and tiles[2] <= array[1]
    trips = tuple(float(-(-extent // tile)) for extent, tile in zip(extents, tiles, strict=True))
    M, K, N = map(float, extents)
    counted = counts(
        weight_stationary, (M, K, N), trips, (float(steps[0]), float(steps[1])), single, innermost, tuple(widths)
    )
    return Counted(*counted)


@settings(deadline=None)  # the first call compiles
@given(weight_stationary=st.booleans(), tiling=tilings(), array=ARRAY, widths=WIDTHS)
def test_closed_form_is_what_a_walk_counts(
    weight_stationary: bool, tiling: tuple[Any, ...], array: tuple[int, int], widths: Widths
) -> None:
    """In every order the walk counts the closed form of its innermost loop, those of one trip left aside."""
    extents, tiles = tiling
    trips = [-(-extent // tile) for extent, tile in zip(extents, tiles, strict=True)]
    for order in permutations(range(3)):
        innermost = next((dimension for dimension in reversed(order) if trips[dimension] > 1), order[2])
        walked = walk(weight_stationary, extents, tiles, array, order, widths)
        assert closed_form(weight_stationary, extents, tiles, array, innermost, widths) == walked


@settings(deadline=None)  # the first call compiles
@given(weight_stationary=st.booleans(), tiling=tilings(), array=ARRAY, widths=WIDTHS)
def test_a_loop_of_one_trip_never_makes_the_closed_form_too_small(
    weight_stationary: bool, tiling: tuple[Any, ...], array: tuple[int, int], widths: Widths
) -> None:
    """Taken literally, an innermost loop of one trip counts no less than the walk: the minimum over orders is exact."""
    extents, tiles = tiling
    for order in permutations(range(3)):
        walked = walk(weight_stationary, extents, tiles, array, order, widths)
        counted = closed_form(weight_stationary, extents, tiles, array, order[2], widths)
        assert all(np.greater_equal(counted, walked))


def test_slowest_level_sets_the_cycles() -> None:
    """Cycles are the largest of accesses / bandwidth, rounded up; the accumulator has a bank a column in use."""
    rates = (8.0, 2.0, 4.0)  # scratchpad words, accumulator words per column, DRAM bytes
    assert cycles_of((10.0, 999.0, 16.0, 72.0, 32.0), 4.0, rates) == 10  # 10; 16 / 8 = 2; 72 / 8 = 9; 32 / 4 = 8
    assert cycles_of((10.0, 999.0, 90.0, 72.0, 32.0), 4.0, rates) == 12  # 90 / (2 x 4) = 11.25
    assert cycles_of((10.0, 999.0, 16.0, 104.0, 32.0), 4.0, rates) == 13  # 104 / 8
    assert cycles_of((10.0, 999.0, 16.0, 72.0, 57.0), 4.0, rates) == 15  # 57 / 4 = 14.25


def test_energy_is_the_weighted_sum_of_accesses() -> None:
    """Each level's accesses count with the energy of one."""
    energies = (1.0, 10.0, 100.0, 1000.0, 10000.0)  # MAC, register, accumulator, scratchpad, DRAM
    assert energy_of(2.0, (99.0, 3.0, 4.0, 5.0, 6.0), energies) == 65432


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # operand, output, accumulator bytes; bytes of a spilled partial sum, first read, drain weight
        ("timeloop", (1, 1, 4, 1, 0, 1)),
        ("accelforge", (1, 1, 4, 4, 0, 1)),
        ("zigzag", (1, 1, 4, 4, 1, 0.25)),
    ],
)
def test_conventions_differ_in_three_things(name: Any, expected: tuple[float, ...]) -> None:
    """The conventions of three tools: width of a spill, first partial-sum read, width of the final drain."""
    assert expected == conventions(cost_model("gemmini_40nm"), name)


def test_accelforge_and_zigzag_accumulator_counts() -> None:
    """The counts of the tools that were compared: M N (K/R - 1) reads and a drain, and M N K/R reads and a drain.

    16 x 64 x 16 on 16 x 16 in one tile: K/R = 4 pieces, M N = 256 outputs.
    """
    for name, accumulator in (("accelforge", 256 * (4 + 3 + 1)), ("zigzag", 256 * (4 + 4 + 0.25))):
        widths = Widths(*conventions(cost_model("gemmini_40nm"), name))  # type: ignore[arg-type]
        counted = closed_form(True, (16, 64, 16), (16, 64, 16), (16, 16), 1, widths)
        assert accumulator == counted.accumulator
