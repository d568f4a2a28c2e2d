"""Laws of the optimal mapping: what a larger accelerator gives, and what no mapping can beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.cost.matmul import MatmulCosts, best_mappings
from codesign.cost.points import OBJECTIVES
from codesign.cost.prepare import BUFFERINGS, Options
from tests.cost.machines import accelerator, cost_model, with_array, with_registers

SIZES = {
    "scratchpad_bytes": st.integers(2, 2000),
    "accumulator_bytes": st.integers(1, 2000),
    "dram_bytes_per_cycle": st.floats(0.25, 64),
}
ARRAY = {"pe_rows": st.integers(1, 16), "pe_cols": st.integers(1, 16)}
CHIPS = st.fixed_dictionaries({**SIZES, **ARRAY, "dataflow": st.integers(0, 1)})
EXTENTS = st.tuples(*[st.integers(1, 80)] * 3)


def optimum(costs: MatmulCosts, objective: str) -> list[float]:
    """(r,) what the mapper minimised."""
    values = {"edp": costs.cycles * costs.total_energy_pj, "energy": costs.total_energy_pj, "delay": costs.cycles}
    return [float(value) for value in values[objective]]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("size", SIZES)
@settings(deadline=None, max_examples=50)
@given(data=st.data(), chip=CHIPS, extents=EXTENTS, perfect=st.booleans())
def test_more_hardware_never_costs_more(
    objective: Any, size: str, data: st.DataObject, chip: dict[str, Any], extents: tuple[int, ...], perfect: bool
) -> None:
    """Where an access costs the same at every size, a larger buffer or bandwidth never raises the optimum."""
    larger = chip | {size: chip[size] * data.draw(st.integers(1, 4)) + data.draw(st.integers(0, 3))}
    chips = accelerator(**{name: np.array([chip[name], larger[name]]) for name in chip})
    options = Options(objective, perfect_factors=perfect)
    before, after = optimum(best_mappings(np.array([extents] * 2), chips, cost_model("unit"), options), objective)
    assert after <= before * (1 + 1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
@settings(deadline=None)
@given(chip=CHIPS, extents=EXTENTS, perfect=st.booleans())
def test_no_mapping_beats_the_compulsory_work(
    objective: Any, chip: dict[str, Any], extents: tuple[int, ...], perfect: bool
) -> None:
    """Cycles are at least MACs / PEs and compulsory DRAM traffic / bandwidth; energy at least that of both."""
    M, K, N = extents
    options = Options(objective, perfect_factors=perfect)
    costs = best_mappings(np.array([extents]), accelerator(**chip), cost_model("unit"), options)
    compulsory = M * K + K * N + M * N
    assert costs.compute_cycles[0] >= M * K * N / (chip["pe_rows"] * chip["pe_cols"])
    assert costs.cycles[0] >= costs.compute_cycles[0]
    assert costs.cycles[0] >= compulsory / chip["dram_bytes_per_cycle"] * (1 - 1e-12)
    assert costs.dram_bytes[0] >= compulsory
    # Each level hands its operands on at least once: fills and loads; the drain and one update an output.
    assert costs.scratchpad_words[0] >= M * K + K * N + M * K + K * N
    assert costs.accumulator_words[0] >= 2 * M * N
    assert costs.register_bytes[0] >= M * K * N
    assert costs.total_energy_pj[0] >= M * K * N + compulsory


@settings(deadline=None)
@given(chip=CHIPS, extents=EXTENTS)
def test_each_objective_wins_at_its_own(chip: dict[str, Any], extents: tuple[int, ...]) -> None:
    """No mapping has less energy than the one of least energy, and so for delay and energy-delay product."""
    found = {
        objective: best_mappings(np.array([extents]), accelerator(**chip), cost_model("unit"), Options(objective))  # type: ignore[arg-type]
        for objective in OBJECTIVES
    }
    for objective, costs in found.items():
        assert all(optimum(costs, objective) <= np.multiply(optimum(other, objective), 1 + 1e-12)
                   for other in found.values())  # fmt: skip


@settings(deadline=None)
@given(chip=CHIPS, extents=EXTENTS)
def test_free_factors_are_no_worse_than_perfect_ones(chip: dict[str, Any], extents: tuple[int, ...]) -> None:
    """Tiles that divide the matmul are among all tiles.

    On one PE: on more, equal pieces may be smaller than the array, so they leave lanes idle and need less room.
    """
    args = (np.array([extents]), accelerator(**chip | {"pe_rows": 1, "pe_cols": 1}), cost_model("unit"))
    free, perfect = best_mappings(*args), best_mappings(*args, Options(perfect_factors=True))
    assert optimum(free, "edp")[0] <= optimum(perfect, "edp")[0] * (1 + 1e-12)


@settings(deadline=None)
@given(chip=CHIPS, extents=EXTENTS, grow=st.tuples(*[st.integers(0, 40)] * 3))
def test_more_work_never_costs_less(chip: dict[str, Any], extents: tuple[int, ...], grow: tuple[int, ...]) -> None:
    """A longer matmul costs at least as much energy, and as many cycles."""
    both = np.array([extents, np.add(extents, grow)])
    for objective in OBJECTIVES:
        chips = accelerator(**{name: np.array([size, size]) for name, size in chip.items()})
        options = Options(objective)  # type: ignore[arg-type]
        less, more = optimum(best_mappings(both, chips, cost_model("unit"), options), objective)
        assert less <= more * (1 + 1e-12)


TEMPLATES = st.tuples(
    st.sampled_from([(1, 1, 1), (4, 2, 3), (2, 6, 5)]), st.sampled_from([0, 3]), st.sampled_from([1.0, 0.4])
)


@settings(deadline=None, max_examples=100)
@given(
    template=TEMPLATES,
    size=st.sampled_from(["scratchpad_bytes", "accumulator_bytes", "dram_bytes_per_cycle"]),
    factor=st.floats(1, 4),
    chip=CHIPS,
    extents=EXTENTS,
    buffering=st.sampled_from(sorted(BUFFERINGS)),
)
def test_more_room_or_bandwidth_never_costs_more_on_any_template(
    template: Any, size: str, factor: float, chip: dict[str, Any], extents: tuple[int, ...], buffering: Any
) -> None:
    """With register files, arrays that reload, phases that are not hidden: EDP never rises, compute bounds cycles."""
    words, limit, overlap = template
    model = with_array(with_registers(cost_model("unit"), *words), overlap, limit)
    larger = chip | {size: type(chip[size])(chip[size] * factor)}
    chips = accelerator(**{name: np.array([chip[name], larger[name]]) for name in chip})
    costs = best_mappings(np.array([extents] * 2), chips, model, Options(buffering=buffering))
    before, after = np.where(costs.feasible, optimum(costs, "edp"), np.inf)
    assert after <= before * (1 + 1e-12)
    assert (costs.cycles >= costs.compute_cycles * (1 - 1e-12)).all()
    compute = np.prod(np.array(extents, dtype=np.float64)) / (chips.pe_rows * chips.pe_cols)
    assert (costs.compute_cycles >= compute * costs.feasible * (1 - 1e-12)).all()
