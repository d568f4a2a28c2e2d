"""Our optimal mappings beside what other tools find for the same matmuls on the same machines.

Every ratio is ours over theirs, counted as the other tool counts; at most 1 means that our mapping is no worse. Three
things differ from our conventions and are counted their way (docs/cost_model.md, Conventions):

* Timeloop leaves out the read that drains a finished output (4 bytes of accumulator, and of register where outputs are
  stationary). It is the same for every mapping, so the optimum stays.
* ZigZag, outputs stationary: an output that is finished in the PE takes 8 bits on its way through the accumulator, and
  has no first read; moves of partial sums between PE and accumulator are charged at the register.
* ZigZag's time has stalls and loads. Ours is compared with the ideal time of its mapping, which is what we count:
  max(compute, DRAM / bandwidth).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from codesign.bench.peer_data import COST_MODEL, PeerData, read_peers
from codesign.cost import technology as technologies
from codesign.cost.matmul import TENSORS, MatmulCosts, best_mappings
from codesign.cost.prepare import Convention, Objective, Options, unit_energies_pj
from codesign.cost.technology import Technology
from codesign.design import BoolArray, FloatArray

ACCELFORGE = "reference_accelforge_all.csv"
ZIGZAG = "reference_zigzag_all.csv"
TIMELOOP = "reference_energy_optimal.csv"
DRAM_BYTES = ("DRAM.O.wr_in_by_low.bytes", "DRAM.O.rd_out_to_low.bytes", "DRAM.I.rd_out_to_low.bytes",
              "DRAM.W.rd_out_to_low.bytes")  # fmt: skip

OBJECTIVES: dict[str, Objective] = {"energy": "energy", "edp": "edp", "latency": "delay"}
EQUAL, PERFECT_EQUAL = 1e-6, 1e-3
"""Ratios this close to 1 count as equal; with perfect factors, the issue's 0.1 %."""


def run(data: Path) -> list[dict[str, object]]:
    """Compare with every row of the peers' files; a row each, then a summary a peer.

    Raises:
        InputError: a file cannot be read or lacks a column.
    """
    peers, technology = read_peers(data), technologies.read(COST_MODEL).content
    tables = [accelforge(peers, technology), zigzag(peers, technology), timeloop(peers, technology)]
    rows = [{str(name): value for name, value in row.items()} for table in tables for row in table.to_dict("records")]
    return [*rows, *(summary(table) for table in tables)]


def summary(table: Any) -> dict[str, object]:
    """Return the largest ratios of one peer, and how many rows are equal, better and worse."""
    ratio = table["objective_ratio"].to_numpy()
    figures: dict[str, object] = {
        "comparison": table["comparison"].iloc[0],
        "rows": len(table),
        "largest_objective_ratio": float(ratio.max()),
        "smallest_objective_ratio": float(ratio.min()),
        "rows_equal": int((np.abs(ratio - 1) <= EQUAL).sum()),
        "rows_better": int((ratio < 1 - EQUAL).sum()),
        "rows_worse": int((ratio > 1 + EQUAL).sum()),
    }
    if "perfect_ratio" in table:
        equal = np.abs(table["perfect_ratio"] - 1) <= PERFECT_EQUAL
        figures["perfect_rows_equal"] = int(equal.sum())
        figures["perfect_rows_that_spill"] = int((~equal & table["perfect_spills"]).sum())
        figures["perfect_rows_unexplained"] = int((~equal & ~table["perfect_spills"]).sum())
    return figures


def accelforge(peers: PeerData, technology: Technology) -> Any:
    """Compare with AccelForge's optimum, the better one of its two orders of levels.

    It knows perfect factors only and forbids partial sums in DRAM: where our perfect factors are better, ours spill.
    """
    everything = peers.table(ACCELFORGE, ("metric", "energy_pj", "cycles"))
    parts = []
    for metric, objective in (("ENERGY", "energy"), ("EDP", "edp"), ("LATENCY", "delay")):
        rows = everything[everything["metric"] == metric].reset_index(drop=True)
        goal = _objective(rows["energy_pj"].to_numpy(), rows["cycles"].to_numpy(), objective)
        best = rows.assign(goal=goal).groupby(["hw", "workload"], sort=False)["goal"].idxmin()
        rows = rows.loc[best].reset_index(drop=True)
        energy, cycles = rows["energy_pj"].to_numpy(), rows["cycles"].to_numpy()
        found = _ours(peers, rows, technology, objective, "accelforge")
        part = _ratios("AccelForge", metric.lower(), rows, (found.total_energy_pj, found.cycles), (energy, cycles))
        perfect = _ours(peers, rows, technology, objective, "accelforge", perfect=True)
        ours = _objective(perfect.total_energy_pj, perfect.cycles, objective)
        part["perfect_ratio"] = ours / _objective(energy, cycles, objective)
        part["perfect_spills"] = spills(perfect, peers.extents(rows["workload"]))
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def zigzag(peers: PeerData, technology: Technology) -> Any:
    """Compare with ZigZag's best mapping for each of its targets."""
    everything = peers.table(ZIGZAG, ("opt", "energy_pj", "cycles_ideal", "cycles_total", *DRAM_BYTES))
    parts = []
    for target in dict.fromkeys(everything["opt"]):
        rows = everything[everything["opt"] == target].reset_index(drop=True)
        bandwidth = peers.accelerator(rows["hw"]).dram_bytes_per_cycle
        moved = rows[list(DRAM_BYTES)].fillna(0).sum(axis=1).to_numpy()
        cycles = np.maximum(rows["cycles_ideal"].to_numpy(), moved / bandwidth)
        found = _ours(peers, rows, technology, OBJECTIVES[target], "zigzag")
        energy = _zigzag_energy_pj(peers, rows, found, technology)
        part = _ratios("ZigZag", target, rows, (energy, found.cycles), (rows["energy_pj"].to_numpy(), cycles))
        part["own_count_energy_ratio"] = found.total_energy_pj / rows["energy_pj"]
        part["stalled_cycles_ratio"] = found.cycles / rows["cycles_total"]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def timeloop(peers: PeerData, technology: Technology) -> Any:
    """Compare with Timeloop's model of the mapping that AccelForge found for least energy in its first order."""
    named = ("timeloop_energy_pj_same_mapping_as_SA", "timeloop_cycles")
    rows = peers.table(TIMELOOP, named).dropna(subset=list(named)).reset_index(drop=True)
    energy, cycles = (rows[name].to_numpy() for name in named)
    outputs, accelerator = _outputs(peers, rows), peers.accelerator(rows["hw"])
    pj = unit_energies_pj(technology, accelerator)
    drain = pj[:, 2] + np.where(accelerator.dataflow == 1, pj[:, 1] * technology.tensors.accumulator_bits / 8, 0.0)
    parts = []
    for target in ("energy", "edp"):
        found = _ours(peers, rows, technology, OBJECTIVES[target], "timeloop")
        ours = (found.total_energy_pj - drain * outputs, found.cycles)
        part = _ratios("Timeloop", target, rows, ours, (energy, cycles))
        part["own_count_energy_ratio"] = found.total_energy_pj / energy
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def spills(found: MatmulCosts, extents: Any) -> BoolArray:
    """(r,) whether partial sums go to DRAM: K is cut, and outputs are not what is fetched once."""
    return np.asarray((found.tiles[:, 1] < extents[:, 1]) & (found.outermost != TENSORS.index("O")))


def _zigzag_energy_pj(peers: PeerData, rows: Any, found: MatmulCosts, technology: Technology) -> FloatArray:
    """(r,) pJ of our mappings as ZigZag counts; the same as ours where weights are stationary."""
    outputs, accelerator, extents = (
        _outputs(peers, rows),
        peers.accelerator(rows["hw"]),
        peers.extents(rows["workload"]),
    )
    word, byte = technology.tensors.accumulator_bits / 8, technology.tensors.output_bits / 8
    pj = unit_energies_pj(technology, accelerator)
    cut = -(-extents[:, 1] // found.tiles[:, 1])
    spilled = np.where(spills(found, extents), cut - 1.0, 0.0)
    loads = (found.accumulator_words / outputs - byte / word - spilled) / 2  # updates and as many reads
    finished = loads < 1 + EQUAL
    accumulator = np.where(finished, 2 * byte / word * outputs, found.accumulator_words)
    register = 2 * word * extents.prod(axis=1) + np.where(finished, byte, 2 * word * loads) * outputs
    change = (accumulator - found.accumulator_words) * pj[:, 2] + (register - found.register_bytes) * pj[:, 1]
    return found.total_energy_pj + np.where(accelerator.dataflow == 1, change, 0.0)


def _outputs(peers: PeerData, rows: Any) -> FloatArray:
    extents = peers.extents(rows["workload"])
    return np.asarray(extents[:, 0] * extents[:, 2], dtype=np.float64)


def _ours(
    peers: PeerData, rows: Any, technology: Technology, objective: Any, convention: Convention, perfect: bool = False
) -> MatmulCosts:
    options = Options(objective=objective, convention=convention, perfect_factors=perfect)
    return best_mappings(peers.extents(rows["workload"]), peers.accelerator(rows["hw"]), technology, options)


def _objective(energy: FloatArray, cycles: FloatArray, objective: str) -> FloatArray:
    return {"energy": energy, "edp": energy * cycles, "delay": cycles}[objective]


def _ratios(peer: str, target: str, rows: Any, ours: tuple[Any, Any], theirs: tuple[FloatArray, FloatArray]) -> Any:
    """Return energy, cycles, EDP and objective ratios, a row each."""
    energy, cycles = (np.asarray(a) / b for a, b in zip(ours, theirs, strict=True))
    named = {"comparison": peer, "target": target, "machine": rows["hw"], "matmul": rows["workload"]}
    ratios = {"energy_ratio": energy, "cycles_ratio": cycles, "edp_ratio": energy * cycles}
    return pd.DataFrame(named | ratios | {"objective_ratio": _objective(energy, cycles, OBJECTIVES[target])})
