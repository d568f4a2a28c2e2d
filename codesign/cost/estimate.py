"""Cost of whole designs: every operation of the workload, summed to energy, delay, energy-delay product and area.

Operations run one after the other, vector operations beside the matmul before them where they are fused (`fusion`). So
delay and energy are sums over operations, and EDP = energy x delay. Of each matmul's delay-energy hull, the mapping is
taken that makes the EDP of the whole design least (`combine`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.cost.combine import choose
from codesign.cost.kernels import on_all_cores
from codesign.cost.matmul import LEVELS
from codesign.cost.prepare import Fidelity, Options
from codesign.cost.sublayers import Groups, Sublayers, group_matmuls, map_distinct
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import area_mm2, check_accumulator
from codesign.cost.vector import VectorCosts, vector_costs
from codesign.design import DATAFLOWS, Accelerator, BoolArray, Design, FloatArray, IntArray, Scenario
from codesign.errors import InputError
from codesign.parameters import total_parameters
from codesign.workload import Label, Workload, macs, workload

ENERGY_LEVELS = (*LEVELS, "vector")

COST_METRICS = ("edp_js", "energy_j", "delay_s", "cycles", "area_mm2", "macs", "parameters")


@dataclass(frozen=True)
class Cost:
    """Costs of n designs, broken down by operation and by where the energy goes. The parts sum to the whole."""

    labels: tuple[Label, ...]  # O operations: P matmuls, then vector operations
    feasible: BoolArray  # (n,) every matmul has a mapping that fits; costs are NaN elsewhere
    cycles: FloatArray  # (n, O); of a fused vector operation, what exceeds its matmul
    compute_cycles: FloatArray  # (n, P) of the array, if it never waited
    energy_pj: FloatArray  # (n, O, ENERGY_LEVELS)
    dram_bytes: FloatArray  # (n, O)
    fused: BoolArray  # (n, P) the vector operations after the matmul run beside it
    frequency_hz: float
    area_mm2: FloatArray  # (n,)
    macs: IntArray  # (n,)
    parameters: IntArray  # (n,)

    def metrics(self) -> dict[str, FloatArray]:
        """Return the totals as named columns, (n,) each; names carry the units."""
        cycles = np.where(self.feasible, self.cycles.sum(axis=1), np.nan)
        energy_j = np.where(self.feasible, self.energy_pj.sum(axis=(1, 2)) * 1e-12, np.nan)
        delay_s = cycles / self.frequency_hz
        return {
            "edp_js": energy_j * delay_s,
            "energy_j": energy_j,
            "delay_s": delay_s,
            "cycles": cycles,
            "area_mm2": self.area_mm2,
            "macs": self.macs.astype(np.float64),
            "parameters": self.parameters.astype(np.float64),
        }


def estimate(design: Design, scenario: Scenario, technology: Technology, fidelity: Fidelity = "ideal") -> Cost:
    """Cost n designs in one scenario.

    Raises:
        InputError: the technology lacks a dataflow or buffer that a design uses, or is not calibrated.
    """
    check_dataflows(design.accelerator, technology)
    check_accumulator(technology, design.accelerator)
    work = workload(design.shape, scenario)
    chip = design.accelerator
    groups = group_matmuls(work, chip, technology)
    mapped = map_distinct(groups, technology, Options(fidelity=fidelity))
    alone = vector_costs(work.vectors.kinds, work.vectors.elements.astype(np.float64), chip, technology)
    chosen = _choose(groups, mapped, alone)
    return _assemble(design, work, technology, groups, mapped, chosen, alone)


def check_dataflows(accelerator: Accelerator, technology: Technology) -> None:
    """Refuse a dataflow that the cost model does not declare."""
    used = {DATAFLOWS[code] for code in np.unique(accelerator.dataflow)}
    missing = used - set(technology.dataflows)
    if missing:
        raise InputError(
            f"accelerator.dataflow: the cost model declares {', '.join(technology.dataflows)}; got {', '.join(missing)}"
        )


def _choose(groups: Groups, mapped: Sublayers, alone: VectorCosts) -> IntArray:
    """Return (n, P) the vertex of each matmul under which the design's energy-delay product is least; -1 = none."""
    standing = [v for v in range(alone.cycles.shape[1]) if v not in groups.followed]
    fixed = np.stack([alone.cycles[:, standing].sum(axis=1), alone.energy_pj[:, standing].sum(axis=1)], axis=1)
    chosen = np.empty(groups.rows.shape, dtype=np.int64)

    def work(share: slice) -> None:
        choose(
            groups.rows[share],
            groups.count[share],
            fixed[share],
            mapped.start,
            mapped.cycles,
            mapped.energy_pj,
            chosen[share],
        )

    on_all_cores(len(fixed), work)
    return chosen


def _assemble(
    design: Design,
    work: Workload,
    technology: Technology,
    groups: Groups,
    mapped: Sublayers,
    chosen: IntArray,
    alone: VectorCosts,
) -> Cost:
    """Lay the chosen mappings and the vector operations out by operation."""
    n, P = chosen.shape
    operations = P + alone.cycles.shape[1]
    present, count = chosen >= 0, groups.count
    fused = present & mapped.fused[chosen]
    times = np.where(present, count, 0.0)
    cycles, energy = np.zeros((n, operations)), np.zeros((n, operations, len(ENERGY_LEVELS)))
    moved = np.zeros((n, operations))
    cycles[:, :P] = mapped.matmul_cycles[chosen] * times
    energy[:, :P, : len(LEVELS)] = mapped.matmul_pj[chosen] * times[:, :, None]
    moved[:, :P] = mapped.dram_bytes[chosen] * times
    on_chip = vector_costs(
        work.vectors.kinds, work.vectors.elements.astype(np.float64), design.accelerator, technology, rows_on_chip=True
    )
    beside = groups.spread(fused)  # (n, V)
    cycles[:, P:] = np.where(beside, 0.0, alone.cycles)
    for name, level in (("accumulator_pj", "accumulator"), ("dram_pj", "dram"), ("vector_pj", "vector")):
        energy[:, P:, ENERGY_LEVELS.index(level)] = np.where(beside, getattr(on_chip, name), getattr(alone, name))
    moved[:, P:] = np.where(beside, on_chip.dram_bytes, alone.dram_bytes)
    return Cost(
        labels=work.matmuls.labels + work.vectors.labels,
        feasible=np.asarray((present | (count == 0)).all(axis=1)),
        cycles=cycles,
        compute_cycles=mapped.compute_cycles[chosen] * times,
        energy_pj=energy,
        dram_bytes=moved,
        fused=fused,
        frequency_hz=technology.clock.frequency_hz.value,
        area_mm2=area_mm2(technology, design.accelerator),
        macs=macs(work),
        parameters=total_parameters(design.shape),
    )
