"""The closed form of one mapping against a walk through its loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.cost.count import counts, cycles_of, energy_of
from codesign.cost.prepare import counting
from tests.cost.enumeration import Mappings, Problem, count, form
from tests.cost.machines import cost_model
from tests.cost.walk import FREE, Counted, Machine, Widths, form_nest

EXTENT = st.integers(1, 6)
WIDTHS = st.builds(
    Widths,
    input=st.sampled_from([1.0, 2.0]),
    weight=st.sampled_from([0.5, 1.0]),
    output=st.sampled_from([1.0, 2.0, 4.0]),
    accumulator=st.sampled_from([2.0, 4.0]),
    spill=st.sampled_from([1.0, 4.0]),
    first_read=st.sampled_from([0.0, 1.0]),
    drain=st.sampled_from([0.0, 0.25, 1.0]),
    saved=st.sampled_from([0.0, 0.5]),
)
PROBLEMS = st.builds(
    Problem,
    weight_stationary=st.booleans(),
    extents=st.tuples(EXTENT, EXTENT, EXTENT),
    array=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    capacity=st.just((np.inf, np.inf)),
    unified=st.just(False),
    words=st.just((1.0, 1.0, 1.0)),
    widths=WIDTHS,
    rates=st.just((1.0, 1.0, 1.0, 1.0)),
    energies=st.just((1.0,) * 6),
    stream_limit=st.integers(0, 4),
    blocks=st.just(((1, 1),)),
    modes=st.just(((False, 1.0),)),
    perfect=st.just(False),
    whole_rows=st.just(False),
)
FORMS = st.permutations(range(3))


def compiled(problem: Problem, mapping: Mappings) -> Counted:
    """Call `count.counts` for one mapping."""
    M, K, N = map(float, problem.extents)
    fetched, steps, pieces = (tuple(map(float, column)) for column in (mapping.fetches, mapping.steps, mapping.pieces))
    held = problem.weight_stationary
    return Counted(*counts(held, (M, K, N), fetched, float(mapping.loads), steps, pieces, tuple(problem.widths)))


def nominal(problem: Problem, mapping: Mappings, x: int, z: int) -> bool:
    """Whether every loop of the form has more than one trip, so that all of them cost what they cost in general."""
    y = 3 - x - z
    cut = mapping.tiles[FREE[y]]
    return bool((mapping.tiles < problem.extents).all() and mapping.part < cut)


@settings(deadline=None, max_examples=400)  # the first call compiles
@given(problem=PROBLEMS, tensors=FORMS, data=st.data())
def test_closed_form_is_what_a_walk_counts(problem: Problem, tensors: list[int], data: st.DataObject) -> None:
    """The walk through a form's loops counts its closed form, and no more where a loop has a single trip.

    What is on chip takes the bytes that the form says.
    """
    x, _, z = tensors
    mappings = form(problem, x, z, (1, 1))
    row = data.draw(st.integers(0, len(mappings.loads) - 1))
    mapping = mappings.at(row)
    M, K, N = mapping.tiles.tolist()
    machine = Machine(problem.weight_stationary, problem.extents, problem.array, problem.widths, problem.stream_limit)
    counted = machine.walk(form_nest(x, z, (M, K, N), int(mapping.part), passes(problem, mapping, x, z)))
    closed = compiled(problem, mapping)
    np.testing.assert_allclose(closed, count(problem, mapping))
    assert all(np.greater_equal(closed, np.multiply(counted, 1 - 1e-12)))
    if nominal(problem, mapping, x, z):
        np.testing.assert_allclose(counted, closed)
    assert [machine.peak[0] + machine.peak[1], machine.peak[2]] == mapping.used.tolist()


def passes(problem: Problem, mapping: Mappings, x: int, z: int) -> bool:
    """Whether z only passes through, line by line, while x stays in the PEs."""
    part = mapping.tiles.copy()
    part[FREE[3 - x - z]] = mapping.part
    rows, held = (1, 1) if problem.weight_stationary else (0, 2)
    return bool(x == held and part[rows] <= problem.array[0] and part[2] <= problem.array[1])


ONES = Widths(1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0)


def test_slowest_level_sets_the_cycles() -> None:
    """Cycles are the largest of accesses / bandwidth, rounded up; the accumulator has a bank a column in use."""
    rates = (8.0, 2.0, 4.0, 1.0)  # scratchpad bytes, accumulator words per column, DRAM bytes; cycles a step
    cases = [
        ((10.0, 999.0, 16.0, 40.0, 32.0, 32.0), 10),  # 10; 16 / 8 = 2; 72 / 8 = 9; 32 / 4 = 8
        ((10.0, 999.0, 90.0, 40.0, 32.0, 32.0), 12),  # 90 / (2 x 4) = 11.25
        ((10.0, 999.0, 16.0, 64.0, 40.0, 32.0), 13),  # 104 / 8
        ((10.0, 999.0, 16.0, 40.0, 32.0, 57.0), 15),  # 57 / 4 = 14.25
    ]
    for counted, cycles in cases:
        assert cycles_of(counted, 4.0, ONES, rates, False) == cycles


def test_dram_and_array_take_turns_where_buffers_are_not_doubled() -> None:
    """Cycles are then those of DRAM and of the slowest other level together."""
    assert cycles_of((10.0, 999.0, 16.0, 40.0, 32.0, 32.0), 4.0, ONES, (8.0, 2.0, 4.0, 1.0), True) == 10 + 8


def test_loading_and_draining_that_is_not_hidden_takes_steps() -> None:
    """A step of the array takes as many cycles as the last rate says."""
    assert cycles_of((10.0, 999.0, 16.0, 40.0, 32.0, 32.0), 4.0, ONES, (8.0, 2.0, 4.0, 2.5), False) == 25


def test_outputs_in_the_scratchpad_take_its_bandwidth() -> None:
    """Without an accumulator, outputs pass the scratchpad's ports at their own width."""
    widths = ONES._replace(accumulator=4.0)
    rates = (8.0, 0.0, 4.0, 1.0)
    assert cycles_of((10.0, 999.0, 16.0, 40.0, 32.0, 32.0), 4.0, widths, rates, False) == 17  # (72 + 16 x 4) / 8


def test_energy_is_the_weighted_sum_of_accesses() -> None:
    """Each level's accesses count with the energy of one."""
    energies = (1.0, 10.0, 100.0, 1000.0, 10000.0, 100000.0)  # MAC, register, accumulator, input, weight, DRAM
    assert energy_of(2.0, (99.0, 3.0, 4.0, 5.0, 6.0, 7.0), energies) == 765432


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("timeloop", (1, 0, 1, 0)),  # bytes of a spilled partial sum, first read, drain weight, saved in one go
        ("accelforge", (4, 0, 1, 0)),
        ("zigzag", (4, 1, 0.25, 1.75)),
    ],
)
def test_conventions_differ_in_four_things(name: Any, expected: tuple[float, ...]) -> None:
    """Conventions of three tools: width of a spill, first read, width of the drain, outputs finished in one go."""
    assert expected == counting(cost_model("gemmini_40nm"), name)


def test_accelforge_and_zigzag_accumulator_counts() -> None:
    """The counts of the tools that were compared: M N (K/R - 1) reads and a drain, and M N K/R reads and a drain.

    16 x 64 x 16 on 16 x 16 in one tile: K/R = 4 pieces, M N = 256 outputs.
    """
    for name, accumulator in (("accelforge", 256 * (4 + 3 + 1)), ("zigzag", 256 * (4 + 4 + 0.25))):
        widths = (1.0, 1.0, 1.0, 4.0, *counting(cost_model("gemmini_40nm"), name))  # type: ignore[arg-type]
        once, steps = (1.0, 1.0, 1.0), (4.0, 1.0)
        counted = Counted(*counts(True, (16.0, 64.0, 16.0), once, 1.0, steps, steps, widths))
        assert accumulator == counted.accumulator
