"""Cost of whole designs: every operation of the workload, summed to energy, delay, energy-delay product and area.

Operations run one after the other, vector operations beside the matmul before them where they are fused (`fusion`). So
delay and energy are sums over operations, and EDP = energy x delay. Of each matmul's delay-energy hull, the mapping is
taken that makes the EDP of the whole design least (`combine`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from codesign.cost.combine import choose, lower_hulls
from codesign.cost.footprint import dram_footprint_bytes
from codesign.cost.kernels import get_ready, on_all_cores
from codesign.cost.matmul import LEVELS
from codesign.cost.power import peak_power_w
from codesign.cost.prepare import Fidelity, Options
from codesign.cost.search import count_rows
from codesign.cost.sublayers import Groups, Sublayers, group_matmuls, map_distinct
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import area_mm2, check_accumulator, leakage_w
from codesign.cost.vector import VectorCosts, vector_costs
from codesign.design import DATAFLOWS, Accelerator, BoolArray, Design, FloatArray, IntArray, Scenario
from codesign.errors import InputError
from codesign.parameters import total_parameters
from codesign.workload import Label, Workload, macs, workload

ENERGY_LEVELS = (*LEVELS, "vector")

COST_METRICS = (
    "edp_js",
    "energy_j",
    "delay_s",
    "cycles",
    "area_mm2",
    "macs",
    "parameters",
    "dram_bytes",
    "dram_footprint_bytes",
    "peak_power_w",
)

UNCERTAIN = ("edp_js", "delay_s", "cycles")
"""Metrics that are as uncertain as calibrated time."""

CHUNK = 20_000
"""Designs whose matmuls are in memory at once. Each chunk maps its own distinct matmuls."""

LEAKAGE = "leakage_j"
"""The metric of cost models with a table [leakage]."""


EVERY_COST = (*COST_METRICS, LEAKAGE)
"""Of some cost model."""


def cost_metrics(technology: Technology) -> tuple[str, ...]:
    """Return the names of `Cost.metrics` under a cost model."""
    return COST_METRICS if technology.leakage is None else EVERY_COST


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
    dram_footprint_bytes: FloatArray  # (n,)
    peak_power_w: FloatArray  # (n,) mean power of the hungriest operation, with leakage where it is known
    leakage_w: FloatArray | None  # (n,) None where the cost model does not say
    delay_ratios: tuple[float, float] | None  # 10th and 90th percentile of measured over calibrated cycles of a matmul

    def metrics(self) -> dict[str, FloatArray]:
        """Return the totals as named columns, (n,) each; names carry the units.

        Energy and EDP are dynamic, as in Timeloop; what leaks meanwhile is a metric of its own, where it is known.
        """
        cycles = np.where(self.feasible, self.cycles.sum(axis=1), np.nan)
        energy_j = np.where(self.feasible, self.energy_pj.sum(axis=(1, 2)) * 1e-12, np.nan)
        delay_s = cycles / self.frequency_hz
        totals = {
            "edp_js": energy_j * delay_s,
            "energy_j": energy_j,
            "delay_s": delay_s,
            "cycles": cycles,
            "area_mm2": self.area_mm2,
            "macs": self.macs.astype(np.float64),
            "parameters": self.parameters.astype(np.float64),
            "dram_bytes": np.where(self.feasible, self.dram_bytes.sum(axis=1), np.nan),
            "dram_footprint_bytes": self.dram_footprint_bytes,
            "peak_power_w": np.where(self.feasible, self.peak_power_w, np.nan),
        }
        return totals if self.leakage_w is None else totals | {LEAKAGE: self.leakage_w * delay_s}

    def intervals(self) -> dict[str, tuple[FloatArray, FloatArray]]:
        """Return (n,) low and high of the metrics whose calibrated time is uncertain; empty under ideal time.

        From the 10th to the 90th percentile of what RTL measured over calibrated cycles, a matmul at a time, taken for
        the whole design: too wide where errors of different operations cancel.
        """
        if self.delay_ratios is None:
            return {}
        metrics, (low, high) = self.metrics(), self.delay_ratios
        return {name: (metrics[name] * low, metrics[name] * high) for name in UNCERTAIN}


def estimate(design: Design, scenario: Scenario, technology: Technology, fidelity: Fidelity = "ideal") -> Cost:
    """Cost n designs in one scenario.

    Raises:
        InputError: the technology lacks a dataflow or buffer that a design uses, or is not calibrated.
    """
    get_ready(count_rows, lower_hulls, choose)
    check_dataflows(design.accelerator, technology)
    check_accumulator(technology, design.accelerator)
    shares = [slice(start, start + CHUNK) for start in range(0, max(len(design), 1), CHUNK)]
    parts = [_estimate(design.take(share), scenario, technology, fidelity) for share in shares]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: list[Cost]) -> Cost:
    """Put the costs of designs one after another."""
    columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(Cost)}
    joined: dict[str, Any] = {
        name: np.concatenate(column) for name, column in columns.items() if isinstance(column[0], np.ndarray)
    }
    return replace(parts[0], **joined)


def _estimate(design: Design, scenario: Scenario, technology: Technology, fidelity: Fidelity) -> Cost:
    """Cost designs, all in memory at once."""
    work = workload(design.shape, scenario)
    chip = design.accelerator
    groups = group_matmuls(work, chip, technology)
    mapped = map_distinct(groups, technology, Options(fidelity=fidelity))
    alone = vector_costs(work.vectors.kinds, work.vectors.elements.astype(np.float64), chip, technology)
    chosen = _choose(groups, mapped, alone)
    cost = _assemble(design, scenario, work, technology, groups, mapped, chosen, alone)
    return replace(cost, delay_ratios=delay_ratios(technology, fidelity))


def delay_ratios(technology: Technology, fidelity: Fidelity) -> tuple[float, float] | None:
    """Return the 10th and 90th percentile of measured over calibrated cycles of a matmul; None under ideal time."""
    if fidelity == "ideal" or technology.calibration is None:
        return None
    return technology.calibration.low_ratio.value, technology.calibration.high_ratio.value


def check_dataflows(accelerator: Accelerator, technology: Technology) -> None:
    """Refuse a dataflow that the cost model does not declare."""
    used = {DATAFLOWS[code] for code in np.unique(accelerator.dataflow)}
    missing = used - set(technology.dataflows)
    if missing:
        raise InputError(
            f"accelerator.dataflow: the cost model declares {', '.join(technology.dataflows)}; got "
            f"{', '.join(sorted(missing))}; leave it out of the search space, or take another cost model"
        )


def _choose(groups: Groups, mapped: Sublayers, alone: VectorCosts) -> IntArray:
    """Return (n, P) the vertex of each matmul under which the design's energy-delay product is least; -1 = none."""
    standing = [v for v in range(alone.cycles.shape[1]) if v not in groups.followed]
    fixed = np.stack([alone.cycles[:, standing].sum(axis=1), alone.energy_pj[:, standing].sum(axis=1)], axis=1)
    chosen = np.empty(groups.rows.shape, dtype=np.int64)
    hulls = (mapped.start, mapped.cycles, mapped.energy_pj)
    edges = int(np.diff(mapped.start)[groups.rows].sum(axis=1).max(initial=0))

    def work(start: int, step: int) -> None:
        room = np.empty(edges), np.empty(edges, dtype=np.int64)
        choose(groups.rows, groups.count, fixed, *hulls, chosen, start, step, *room)

    on_all_cores(len(fixed), work)
    return chosen


def _assemble(
    design: Design,
    scenario: Scenario,
    work: Workload,
    technology: Technology,
    groups: Groups,
    mapped: Sublayers,
    chosen: IntArray,
    alone: VectorCosts,
) -> Cost:
    """Lay the chosen mappings and the vector operations out by operation."""
    present, count = chosen >= 0, groups.count
    fused, times = present & mapped.fused[chosen], np.where(present, count, 0.0)
    beside, chip = groups.spread(fused), design.accelerator  # (n, V)
    elements = work.vectors.elements.astype(np.float64)
    on_chip = vector_costs(work.vectors.kinds, elements, chip, technology, rows_on_chip=True)
    own = np.where(beside, 0.0, alone.cycles)
    cycles = np.concatenate([mapped.matmul_cycles[chosen] * times, own], axis=1)
    moved = np.where(beside, on_chip.dram_bytes, alone.dram_bytes)
    energy = np.zeros((*cycles.shape, len(ENERGY_LEVELS)))
    P = chosen.shape[1]
    energy[:, :P, : len(LEVELS)] = mapped.matmul_pj[chosen] * times[:, :, None]
    for name, level in (("accumulator_pj", "accumulator"), ("dram_pj", "dram"), ("vector_pj", "vector")):
        energy[:, P:, ENERGY_LEVELS.index(level)] = np.where(beside, getattr(on_chip, name), getattr(alone, name))
    frequency, leakage = technology.clock.frequency_hz.value, leakage_w(technology, chip)
    peak = peak_power_w(cycles, energy.sum(axis=2), groups.owner, beside, frequency)
    return Cost(
        labels=work.matmuls.labels + work.vectors.labels,
        feasible=np.asarray((present | (count == 0)).all(axis=1)),
        cycles=cycles,
        compute_cycles=mapped.compute_cycles[chosen] * times,
        energy_pj=energy,
        dram_bytes=np.concatenate([mapped.dram_bytes[chosen] * times, moved], axis=1),
        fused=fused,
        frequency_hz=frequency,
        area_mm2=area_mm2(technology, chip),
        macs=macs(work),
        parameters=total_parameters(design.shape),
        dram_footprint_bytes=dram_footprint_bytes(design.shape, scenario, work, technology),
        peak_power_w=peak if leakage is None else peak + leakage,
        leakage_w=leakage,
        delay_ratios=None,
    )
