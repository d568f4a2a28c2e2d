"""The optimal mapper against plain enumeration, a walk through the loops, and given nests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codesign.cost.mapping import LARGEST_EXTENT, OBJECTIVES, tile_candidates
from codesign.cost.matmul import LEVELS, MatmulCosts, best_mappings, conventions, hardware_rates, unit_energies_pj
from codesign.cost.nest import NEST_RESULT, Nest, nest_rows, pack
from codesign.cost.technology import Technology
from codesign.design import Accelerator
from codesign.errors import InputError
from tests.cost.machines import (
    accelerator,
    cost_model,
    problem,
    random_accelerators,
    random_extents,
    random_technology,
)
from tests.cost.walk import best_enumerated, best_walk, pieces, steps

CONVENTIONS = ("timeloop", "accelforge", "zigzag")


def value(costs: MatmulCosts, objective: str) -> np.ndarray:
    """(r,) what the mapper minimised; infinite where nothing fits."""
    values = {
        "edp": costs.cycles * costs.total_energy_pj,
        "energy": costs.total_energy_pj,
        "delay": costs.cycles,
    }
    return np.where(costs.feasible, values[objective], np.inf)


def check_against_enumeration(seed: int, rows: int, largest: int, perfect: bool) -> None:
    """Map random rows for every objective and convention, and enumerate the same."""
    rng = np.random.default_rng(seed)
    for objective in OBJECTIVES:
        for convention in CONVENTIONS:
            model, chips = random_technology(rng), random_accelerators(rng, rows)
            extents = random_extents(rng, rows, largest)
            options: Any = {"objective": objective, "convention": convention}
            costs = best_mappings(extents, chips, model, **options, perfect_factors=perfect)
            expected = [
                best_enumerated(problem(extents[i], chips.take(slice(i, i + 1)), model, convention), objective, perfect)
                for i in range(rows)
            ]
            np.testing.assert_allclose(value(costs, objective), expected, rtol=1e-9)
            assert costs.feasible.tolist() == np.isfinite(expected).tolist()


@pytest.mark.parametrize("perfect", [False, True])
def test_optimum_is_that_of_enumeration(perfect: bool) -> None:
    """No tile sizes, however odd, do better than the mapper's, on any array, buffer or bandwidth."""
    check_against_enumeration(seed=1, rows=40, largest=24, perfect=perfect)


@pytest.mark.long
@pytest.mark.parametrize("perfect", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_optimum_is_that_of_enumeration_on_many_rows(seed: int, perfect: bool) -> None:
    """The same on 7,200 more rows, up to 48 long."""
    check_against_enumeration(seed=100 + seed, rows=40, largest=48, perfect=perfect)


def test_optimum_is_that_of_a_walk() -> None:
    """Walking through all tilings in all six orders finds the same optimum, without any closed form."""
    rng = np.random.default_rng(2)
    for objective in OBJECTIVES:
        model, chips, extents = random_technology(rng), random_accelerators(rng, 15), random_extents(rng, 15, 5)
        costs = best_mappings(extents, chips, model, objective=objective)  # type: ignore[arg-type]
        rows = [problem(extents[i], chips.take(slice(i, i + 1)), model, "accelforge") for i in range(15)]
        np.testing.assert_allclose(value(costs, objective), [best_walk(row, objective) for row in rows], rtol=1e-9)


def test_reported_mapping_costs_what_is_reported() -> None:
    """Tiles fit on chip, and the parts of the result agree: energy per level, cycles, compute cycles."""
    rng = np.random.default_rng(3)
    model, chips, extents = random_technology(rng), random_accelerators(rng, 200), random_extents(rng, 200, 40)
    costs = best_mappings(extents, chips, model)
    assert costs.feasible.any()
    assert not costs.feasible.all()
    for i in np.flatnonzero(costs.feasible):
        row, (m, k, n) = problem(extents[i], chips.take(slice(i, i + 1)), model, "accelforge"), costs.tiles[i]
        assert m * k + k * n <= row.words[0]
        assert m * n <= row.words[1]
        counted = (costs.register_bytes, costs.accumulator_words, costs.scratchpad_words, costs.dram_bytes)
        accesses = [float(np.prod(extents[i])), *(column[i] for column in counted)]
        np.testing.assert_allclose(costs.energy_pj[i], np.multiply(row.energies, accesses))
        across = sum(len(pieces(length, row.array[1])) for length in pieces(int(extents[i, 2]), int(n)))
        lower = [
            costs.compute_cycles[i],
            costs.accumulator_words[i] / (row.rates[1] * extents[i, 2] / across),
            costs.scratchpad_words[i] / row.rates[0],
            costs.dram_bytes[i] / row.rates[2],
        ]
        assert np.ceil(max(lower) * (1 - 1e-12)) == costs.cycles[i]


def given_nest(extents: np.ndarray, chip: Accelerator, costs: MatmulCosts, i: int) -> Nest:
    """Write the mapping of row i as loops: tiles in DRAM, array-sized pieces in the accumulator."""
    order = [d for d in range(3) if d != costs.innermost[i]] + [int(costs.innermost[i])]
    tile = costs.tiles[i]
    loops = [(0, d, int(extents[i, d] // tile[d])) for d in order]
    lanes = {1: int(chip.pe_rows[i]), 2: int(chip.pe_cols[i])}
    spatial = {d: max(p for p in range(1, lanes[d] + 1) if tile[d] % p == 0) for d in (1, 2)}
    loops += [(2, 1, int(tile[1] // spatial[1])), (2, 2, int(tile[2] // spatial[2])), (2, 0, int(tile[0]))]
    return Nest(tuple(loops), spatial[1], spatial[2])


def test_best_mapping_costs_the_same_as_a_given_nest() -> None:
    """Two evaluators, the mapper's closed form and the one for given loops, agree on the mapper's choice."""
    rng = np.random.default_rng(4)
    for convention in CONVENTIONS:
        model, chips, extents = random_technology(rng), random_accelerators(rng, 300), random_extents(rng, 300, 60)
        chips = accelerator(**{**vars(chips), "dataflow": np.zeros(300, dtype=np.int64)})
        costs = best_mappings(extents, chips, model, convention=convention, perfect_factors=True)  # type: ignore[arg-type]
        fits = np.flatnonzero(costs.feasible)
        nests = [given_nest(extents, chips, costs, i) for i in fits]
        out = cost_nests(extents[fits], nests, chips.take(fits), model, convention)
        assert len(fits) > 200
        np.testing.assert_allclose(out["cycles"], costs.cycles[fits])
        np.testing.assert_allclose(out["energy_pj"], costs.total_energy_pj[fits])


def cost_nests(
    extents: np.ndarray, nests: list[Nest], chips: Accelerator, model: Technology, convention: Any
) -> dict[str, np.ndarray]:
    """Cost given nests; return the columns of `nest.NEST_RESULT`."""
    out = np.zeros((len(nests), len(NEST_RESULT)))
    energies = unit_energies_pj(model, chips)
    rates, widths = hardware_rates(model, chips), conventions(model, convention)
    nest_rows(extents.astype(np.float64), *pack(nests), widths, rates, energies, out)
    return dict(zip(NEST_RESULT, out.T, strict=True))


@pytest.mark.parametrize("lanes", [1, 3, 4, 16])
@pytest.mark.parametrize("perfect", [False, True])
def test_candidates_miss_no_trips_and_steps(lanes: int, perfect: bool) -> None:
    """Every tile size has a candidate that is no larger and has no more trips and steps."""
    for extent in range(1, 70):
        candidates = tile_candidates(extent, lanes, perfect)
        count = steps(extent, lanes, perfect)
        for tile in range(1, extent + 1):
            if perfect and extent % tile:
                continue
            least = (tile, -(-extent // tile), count[tile])
            assert (candidates <= least).all(axis=1).any()
        assert all(count[tile] == found for tile, _, found in candidates)


def test_batch_equals_single_and_rows_do_not_mix() -> None:
    """A row costs the same alone, in a batch, and in any place of it."""
    rng = np.random.default_rng(5)
    model, chips, extents = cost_model("gemmini_40nm"), random_accelerators(rng, 50), random_extents(rng, 50, 200)
    batch, order = best_mappings(extents, chips, model), rng.permutation(50)
    shuffled = best_mappings(extents[order], chips.take(order), model)
    for name in vars(batch):
        np.testing.assert_array_equal(getattr(batch, name)[order], getattr(shuffled, name))
    for i in range(50):
        alone = best_mappings(extents[i : i + 1], chips.take(slice(i, i + 1)), model)
        for name in vars(batch):
            np.testing.assert_array_equal(getattr(batch, name)[i], getattr(alone, name)[0])


@pytest.mark.parametrize("extents", [(0, 4, 4), (4, 0, 4), (4, 4, 0), (-1, 4, 4), (LARGEST_EXTENT + 1, 4, 4)])
def test_impossible_extents_are_flagged(extents: tuple[int, int, int]) -> None:
    """A matmul without extent, or with one beyond the limit, is infeasible; its neighbour is not touched."""
    costs = best_mappings(np.array([extents, (4, 4, 4)]), accelerator(pe_rows=[2, 2]), cost_model("unit"))
    assert costs.feasible.tolist() == [False, True]
    assert costs.energy_pj[0].tolist() == [0] * len(LEVELS)


@pytest.mark.parametrize(
    ("scratchpad", "accumulators", "fits"), [(1, 9, False), (2, 1, True), (0, 9, False), (9, 0, False), (2, 0, False)]
)
def test_buffers_that_hold_no_tile_are_flagged(scratchpad: int, accumulators: int, fits: bool) -> None:
    """The smallest tile is one input and one weight, and one output."""
    for dataflow in (0, 1):
        chip = accelerator(scratchpad_bytes=scratchpad, accumulator_bytes=accumulators, dataflow=dataflow)
        assert [fits] == best_mappings(np.array([[3, 3, 3]]), chip, cost_model("unit")).feasible.tolist()


def test_longest_extents_are_mapped() -> None:
    """Dimensions at the limit are mapped, and counts stay exact: all weights are fetched once."""
    extents = np.array([[1, LARGEST_EXTENT, 16], [LARGEST_EXTENT, 64, 64], [1, 1, LARGEST_EXTENT]])
    chips = accelerator(pe_rows=16, pe_cols=[16, 16, 16], scratchpad_bytes=2**16, accumulator_bytes=2**16)
    costs = best_mappings(extents, chips, cost_model("gemmini_40nm"))
    M, K, N = extents.T.astype(np.float64)
    assert costs.feasible.all()
    assert (costs.dram_bytes == M * K + K * N + M * N).all()


def test_no_rows_give_no_costs() -> None:
    """An empty batch is answered with empty columns."""
    costs = best_mappings(np.zeros((0, 3), dtype=np.int64), accelerator().take(slice(0, 0)), cost_model("unit"))
    assert costs.feasible.shape == (0,)
    assert costs.energy_pj.shape == (0, len(LEVELS))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"objective": "area"}, "unknown objective 'area'; known: delay, edp, energy"),
        ({"convention": "maestro"}, "unknown convention 'maestro'; known: accelforge, timeloop, zigzag"),
    ],
)
def test_unknown_options_list_the_known(option: dict[str, Any], message: str) -> None:
    """An objective or convention that does not exist is answered with those that do."""
    with pytest.raises(InputError, match=message):
        best_mappings(np.array([[1, 1, 1]]), accelerator(), cost_model("unit"), **option)
