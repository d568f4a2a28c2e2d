"""The mapper under calibrated cycles: all tile sizes in three orders, and given nests of the same loops."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from codesign.cost.calibrated import calibrated_cycles
from codesign.cost.calibration import coefficients
from codesign.cost.matmul import best_mappings
from codesign.cost.points import OBJECTIVES
from codesign.cost.prepare import BUFFERINGS, Options
from codesign.cost.quantity import PositiveQuantity, Quantity
from codesign.cost.technology import Technology
from tests.cost.enumeration import Mappings, Problem, count, form, least, weigh
from tests.cost.machines import (
    cost_model,
    problem,
    random_accelerators,
    random_extents,
    random_technology,
    value,
    with_array,
    with_registers,
)


def calibrated_technology(rng: np.random.Generator) -> Technology:
    """Return a random cost model with random coefficients."""
    calibration = cost_model("gemmini_40nm").calibration
    assert calibration is not None

    def number(low: float, high: float, kind: Any = Quantity) -> Any:
        return kind(value=float(rng.uniform(low, high)), source="random")

    drawn = msgspec.structs.replace(
        calibration,
        start_cycles=number(0, 100),
        request_latency_cycles=number(0, 40),
        bandwidth_ratio=number(0.3, 1, PositiveQuantity),
        beat_bytes=number(1, 8, PositiveQuantity),
        line_bytes=number(4, 32, PositiveQuantity),
    )
    return msgspec.structs.replace(random_technology(rng), calibration=drawn)


def calibrated_points(row: Problem, model: Technology) -> tuple[np.ndarray, np.ndarray]:
    """Cycles and pJ of every tiling that fits, in three orders: x outermost, no parts."""
    cycles, energies = [np.zeros(0)], [np.zeros(0)]
    for block in row.blocks:
        for x in range(3):
            found = form(row, x, (x + 1) % 3, block, parts="whole")
            for serial, share in row.modes:
                fits = found.at((whole_tiles(row, found) <= np.array(row.capacity)[:, None] * share).all(axis=0))
                ideal, energy = weigh(row, count(row, fits), fits.steps[1], serial)
                cycles.append(np.array([of_one(row, model, fits.at(i), ideal[i]) for i in range(len(ideal))]))
                energies.append(energy)
    return np.concatenate(cycles), np.concatenate(energies)


def whole_tiles(row: Problem, found: Mappings) -> np.ndarray:
    """(2, n) bytes of whole tiles in scratchpad and accumulator."""
    m, k, n = found.tiles
    inputs, weights, outputs = (size * word for size, word in zip((m * k, k * n, m * n), row.words, strict=True))
    return np.stack([inputs + weights, outputs])


def of_one(row: Problem, model: Technology, mapping: Mappings, ideal: float) -> float:
    """Calibrated cycles of one mapping."""
    M, K, N = (float(extent) for extent in row.extents)
    trips = -(-np.array(row.extents) // mapping.tiles)
    stream, both = (0 if row.weight_stationary else 1), float(mapping.steps.prod())
    F, f = float(row.extents[stream]), float(trips[stream])
    assert model.calibration is not None
    return calibrated_cycles(
        float(ideal),
        (M, K, N),
        (float(trips[0]), float(trips[1]), float(trips[2])),
        F * both * row.rates[3],
        (f * both, F / f),
        M * N * (float(mapping.fetches[2]) - 1.0),
        (row.widths.input, row.widths.weight, row.widths.output, row.widths.accumulator),
        (float(row.array[0]), float(row.array[1]), row.rates[2]),
        coefficients(model.calibration),
    )


def check(rng: np.random.Generator, model: Technology, rows: int, largest: int, **same: Any) -> None:
    """Map random rows under calibrated cycles, and enumerate the same."""
    chips, extents = random_accelerators(rng, rows), random_extents(rng, rows, largest)
    for buffering, modes in BUFFERINGS.items():
        costs = [
            best_mappings(
                extents,
                chips,
                model,
                Options(objective, fidelity="calibrated", buffering=buffering, **same),  # type: ignore[arg-type]
            )
            for objective in OBJECTIVES
        ]
        found = [value(cost, objective) for cost, objective in zip(costs, OBJECTIVES, strict=True)]
        fields = {"modes": modes, "perfect": same.get("perfect_factors", False)}
        for i in range(rows):
            row = problem(extents[i], chips.take(slice(i, i + 1)), model, "accelforge", **fields)
            every = calibrated_points(row, model)
            expected = [least(objective, *every) for objective in OBJECTIVES]
            np.testing.assert_allclose([column[i] for column in found], expected, rtol=1e-9, err_msg=str(row))


@pytest.mark.parametrize("perfect", [False, True])
def test_calibrated_optimum_is_that_of_enumeration(perfect: bool) -> None:
    """No tile sizes in any order take less than the mapper's, where tiles themselves take time."""
    rng = np.random.default_rng(1)
    check(rng, calibrated_technology(rng), rows=15, largest=6, perfect_factors=perfect)
    check(rng, with_registers(calibrated_technology(rng), 4, 3, 2), rows=5, largest=6, perfect_factors=perfect)
    check(rng, with_array(calibrated_technology(rng), 0.5, 3), rows=8, largest=6, perfect_factors=perfect)


@pytest.mark.long
@pytest.mark.parametrize("perfect", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_calibrated_optimum_is_that_of_enumeration_on_many_rows(seed: int, perfect: bool) -> None:
    """The same on 640 more rows, up to 11 long."""
    rng = np.random.default_rng(10 + seed)
    for largest, rows in ((7, 60), (11, 20)):
        check(rng, calibrated_technology(rng), rows, largest, perfect_factors=perfect)
