"""Cost of whole designs: every operation of the workload, summed to energy, delay, energy-delay product and area.

Operations run one after the other, so delay and energy are sums over operations, and EDP = energy x delay. Each matmul
takes the mapping of least energy-delay product of its own; for the sum that is near, but not always at, the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.cost.matmul import LEVELS, MatmulCosts, best_mappings
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import area_mm2
from codesign.cost.vector import vector_costs
from codesign.design import DATAFLOWS, Accelerator, BoolArray, Design, FloatArray, IntArray, Scenario
from codesign.errors import InputError
from codesign.parameters import total_parameters
from codesign.workload import Label, Matmuls, macs, workload

ENERGY_LEVELS = (*LEVELS, "vector")

COST_METRICS = ("edp_js", "energy_j", "delay_s", "cycles", "area_mm2", "macs", "parameters")


@dataclass(frozen=True)
class Cost:
    """Costs of n designs, broken down by operation and by where the energy goes. The parts sum to the whole."""

    labels: tuple[Label, ...]  # O operations
    feasible: BoolArray  # (n,) every matmul has a mapping that fits; costs are NaN elsewhere
    cycles: FloatArray  # (n, O)
    energy_pj: FloatArray  # (n, O, ENERGY_LEVELS)
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


def estimate(design: Design, scenario: Scenario, technology: Technology) -> Cost:
    """Cost n designs in one scenario.

    Raises:
        InputError: the technology lacks a dataflow that a design uses.
    """
    check_dataflows(design.accelerator, technology)
    work = workload(design.shape, scenario)
    mapped, rows = _map_distinct(work.matmuls, design.accelerator, technology)
    count = work.matmuls.count.astype(np.float64)  # (n, P)
    matmul_pj = mapped.energy_pj[rows] * count[:, :, None]  # (n, P, LEVELS)
    vector = vector_costs(work.vectors, design.accelerator, technology)
    n, operations = len(design), len(work.matmuls.labels)
    energy = np.zeros((n, operations + len(work.vectors.labels), len(ENERGY_LEVELS)))
    energy[:, :operations, : len(LEVELS)] = matmul_pj
    energy[:, operations:, ENERGY_LEVELS.index("accumulator")] = vector.accumulator_pj
    energy[:, operations:, ENERGY_LEVELS.index("dram")] = vector.dram_pj
    energy[:, operations:, ENERGY_LEVELS.index("vector")] = vector.vector_pj
    return Cost(
        labels=work.matmuls.labels + work.vectors.labels,
        feasible=np.asarray((mapped.feasible[rows] | (count == 0)).all(axis=1)),
        cycles=np.concatenate([mapped.cycles[rows] * count, vector.cycles], axis=1),
        energy_pj=energy,
        frequency_hz=technology.clock.frequency_hz.value,
        area_mm2=area_mm2(technology, design.accelerator),
        macs=macs(work),
        parameters=total_parameters(design.shape),
    )


def check_dataflows(accelerator: Accelerator, technology: Technology) -> None:
    """Refuse a dataflow that the cost model does not declare."""
    used = {DATAFLOWS[code] for code in np.unique(accelerator.dataflow)}
    missing = used - set(technology.dataflows)
    if missing:
        raise InputError(
            f"accelerator.dataflow: the cost model declares {', '.join(technology.dataflows)}; got {', '.join(missing)}"
        )


def _map_distinct(matmuls: Matmuls, accelerator: Accelerator, technology: Technology) -> tuple[MatmulCosts, IntArray]:
    """Map each distinct (matmul, accelerator) once.

    Returns:
        costs of the distinct rows, and (n, P) which of them each matmul is. Absent matmuls point at some row; their
        count of 0 takes them out.
    """
    n, operations = matmuls.m.shape
    hardware = np.column_stack(
        [
            accelerator.pe_rows,
            accelerator.pe_cols,
            accelerator.dataflow,
            accelerator.scratchpad_bytes,
            accelerator.accumulator_bytes,
            accelerator.dram_bytes_per_cycle,
        ]
    )
    _, first, kind = np.unique(hardware, axis=0, return_index=True, return_inverse=True)
    keys = np.stack(
        [np.broadcast_to(kind.reshape(n, 1), (n, operations)), matmuls.m, matmuls.k, matmuls.n], axis=2
    ).reshape(-1, 4)
    distinct, rows = _unique_rows(np.where(matmuls.count.reshape(-1, 1) > 0, keys, 0))
    costs = best_mappings(distinct[:, 1:], accelerator.take(first[distinct[:, 0]]), technology)
    return costs, rows.reshape(n, operations)


def _unique_rows(keys: IntArray) -> tuple[IntArray, IntArray]:
    """Return distinct rows and the inverse; like np.unique(axis=0), on one packed view, several times faster."""
    packed = np.ascontiguousarray(keys).view([("", keys.dtype)] * keys.shape[1]).ravel()
    _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    return keys[first], inverse
