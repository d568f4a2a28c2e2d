"""Small matmuls worked out by hand under the unit cost model, where energy equals the number of accesses.

The array is 2 x 2; a cycle moves 1 DRAM byte, 4 scratchpad words (1 a row, 1 a column), 1 accumulator word a column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codesign.cost.matmul import LEVELS, MatmulCosts, best_mappings
from codesign.cost.prepare import Options
from tests.cost.machines import accelerator, cost_model


def costs_of(
    M: int, K: int, N: int, objective: Any = "edp", convention: Any = "accelforge", **chip: Any
) -> MatmulCosts:
    """Map one matmul; everything about the accelerator that is not said is as above, with 1 KiB buffers."""
    unit = cost_model("unit")
    return best_mappings(np.array([[M, K, N]]), accelerator(**chip), unit, Options(objective, convention))


def energy(costs: MatmulCosts) -> dict[str, float]:
    """Accesses by level; the machine has no L2."""
    levels = dict(zip(LEVELS, costs.energy_pj[0].tolist(), strict=True))
    assert levels.pop("l2") == 0
    return levels


def test_one_tile_that_fills_the_array() -> None:
    """2 x 2 x 2, weight stationary: one load of the array, two input rows stream through."""
    costs = costs_of(2, 2, 2)
    assert energy(costs) == {
        "mac": 8,  # 2 x 2 x 2
        "register": 12,  # 8 reads, one a MAC, and 4 weights written
        "accumulator": 8,  # 4 outputs written (a single piece of K: no partial sum to read) and 4 drained
        "scratchpad": 16,  # 4 weights, 4 inputs written; 4 weights read; 4 inputs read once for both columns
        "dram": 12,  # 4 weights, 4 inputs, 4 outputs
    }
    assert costs.compute_cycles[0] == 2  # M rows, one piece
    assert costs.cycles[0] == 12  # DRAM 12 / 1; accumulator 8 / 2; scratchpad 16 / 4; compute 2


def test_partial_pieces() -> None:
    """3 x 5 x 3, weight stationary: K in pieces 2, 2, 1 on the rows and N in pieces 2, 1 on the columns."""
    costs = costs_of(3, 5, 3)
    assert energy(costs) == {
        "mac": 45,
        "register": 60,  # 45 reads and 15 weights written
        "accumulator": 54,  # 9 outputs x 3 pieces of K written; 9 x 2 partial sums read; 9 drained
        "scratchpad": 75,  # 15 weights and 15 inputs written; 15 weights read; 15 inputs read for each of 2 pieces of N
        "dram": 39,  # 15 + 15 + 9
    }
    assert costs.compute_cycles[0] == 18  # 3 rows x 3 x 2 pieces
    assert costs.cycles[0] == 39  # DRAM 39; accumulator 54 / 1.5 columns in use on average = 36; scratchpad 75 / 4


def test_partial_pieces_output_stationary() -> None:
    """3 x 5 x 3, output stationary: M in pieces 2, 1 on the rows and N in pieces 2, 1 on the columns."""
    costs = costs_of(3, 5, 3, dataflow=1)
    assert energy(costs) == {
        "mac": 45,
        "register": 90,  # each MAC reads and writes its partial sum
        "accumulator": 18,  # 9 finished outputs written and drained
        "scratchpad": 90,  # 15 + 15 written; 15 inputs read for 2 pieces of N; 15 weights read for 2 pieces of M
        "dram": 39,
    }
    assert costs.compute_cycles[0] == 20  # K = 5 steps x 2 x 2 pieces
    assert costs.cycles[0] == 39


@pytest.mark.parametrize(
    ("objective", "innermost", "expected", "cycles"),
    [
        # K innermost: outputs stay; weights are fetched for both M, inputs for both N. Spills nothing.
        # Register 8 + 8 loads; accumulator 8 + 4 + 4; scratchpad 8 + 8 + 8 loads + 8 reads; DRAM 8 + 8 + 4. Sum 92.
        ("edp", "K", (8, 16, 16, 32, 20), 20),  # DRAM 20 / 1
        ("delay", "K", (8, 16, 16, 32, 20), 20),
        # M innermost: each weight is fetched and loaded once; every output is spilled once and comes back.
        # Register 8 + 4; accumulator 8 + 4 + 8 drained; scratchpad 4 + 8 + 4 + 8; DRAM 4 + 8 + 4 + 2 x 4. Sum 88.
        ("energy", "M", (8, 12, 20, 24, 24), 24),
        # N innermost has no advantage: inputs are fetched once (4), weights twice (8), outputs spill as above. Sum 96.
    ],
)
def test_tiles_of_one_word(objective: str, innermost: str, expected: tuple[int, ...], cycles: int) -> None:
    """2 x 2 x 2 where one input, one weight and one output fit: which order is best depends on the objective.

    Energy-delay products: K innermost 92 x 20 = 1840, M innermost 88 x 24 = 2112.
    """
    costs = costs_of(2, 2, 2, objective, scratchpad_bytes=2, accumulator_bytes=1)
    assert tuple(energy(costs).values()) == expected
    assert costs.cycles[0] == cycles
    assert costs.tiles.tolist() == [[1, 1, 1]]
    assert {"K": 2, "M": 1, "N": 0}[innermost] == costs.outermost[0]  # the tensor that its loop leaves in place


def test_outputs_stay_in_registers_while_the_reduction_advances() -> None:
    """2 x 4 x 2, output stationary, where one K step of operands fits: the array keeps its outputs over all four.

    Tiles 2 x 1 x 2, K innermost: operands are fetched once, and outputs reach the accumulator once.
    """
    costs = costs_of(2, 4, 2, dataflow=1, scratchpad_bytes=4)
    assert costs.tiles.tolist() == [[2, 1, 2]]
    assert energy(costs) == {
        "mac": 16,
        "register": 32,
        "accumulator": 8,  # 4 written, 4 drained
        "scratchpad": 32,  # 8 + 8 written, 8 + 8 read
        "dram": 20,  # 8 + 8 + 4
    }


@pytest.mark.parametrize(
    ("convention", "accumulator"),
    [
        ("timeloop", 54),  # as in test_partial_pieces
        ("accelforge", 54),
        ("zigzag", 63),  # the first of three updates of the 9 outputs reads, too; output word = accumulator word here
    ],
)
def test_conventions_by_hand(convention: str, accumulator: int) -> None:
    """3 x 5 x 3 under each convention: one byte a word, so that only the first read differs."""
    assert energy(costs_of(3, 5, 3, convention=convention))["accumulator"] == accumulator
