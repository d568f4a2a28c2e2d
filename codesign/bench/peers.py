"""Our optimal mappings beside what other tools find for the same matmuls on the same machines.

Every ratio is ours over theirs, counted under the other tool's convention (docs/cost_model.md, Conventions); at most 1
means that our mapping is no worse. Two things are left to allow for:

* Timeloop leaves out the read that drains a finished output (4 bytes of accumulator, and of register where outputs are
  stationary), which its convention here counts, as DOSA's Timeloop rows do. It is the same for every mapping, so the
  optimum stays, and is taken off.
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
from codesign.cost.matmul import MatmulCosts, best_mappings
from codesign.cost.prepare import Convention, Objective, Options, unit_energies_pj
from codesign.cost.technology import Technology
from codesign.design import FloatArray

ACCELFORGE = "reference_accelforge_all.csv"
ZIGZAG = "reference_zigzag_all.csv"
TIMELOOP = "reference_energy_optimal.csv"
DRAM_BYTES = ("DRAM.O.wr_in_by_low.bytes", "DRAM.O.rd_out_to_low.bytes", "DRAM.I.rd_out_to_low.bytes",
              "DRAM.W.rd_out_to_low.bytes")  # fmt: skip

OBJECTIVES: dict[str, Objective] = {"energy": "energy", "edp": "edp", "latency": "delay"}
EQUAL = 1e-6
"""Ratios this close to 1 count as equal."""


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
        perfect = table["perfect_ratio"].to_numpy()
        figures["perfect_rows_equal"] = int((np.abs(perfect - 1) <= EQUAL).sum())
        figures["largest_perfect_deviation"] = float(np.abs(perfect - 1).max())
    return figures


def accelforge(peers: PeerData, technology: Technology) -> Any:
    """Compare with AccelForge's optimum, the better one of its two orders of levels.

    It knows perfect factors only and forbids partial sums in DRAM; under the same limits our optimum is its own.
    """
    everything = peers.table(ACCELFORGE, ("metric", "energy_pj", "cycles"))
    parts = []
    for metric in ("ENERGY", "EDP", "LATENCY"):
        objective = OBJECTIVES[metric.lower()]
        rows = everything[everything["metric"] == metric].reset_index(drop=True)
        goal = _objective(rows["energy_pj"].to_numpy(), rows["cycles"].to_numpy(), objective)
        best = rows.assign(goal=goal).groupby(["hw", "workload"], sort=False)["goal"].idxmin()
        rows = rows.loc[best].reset_index(drop=True)
        energy, cycles = rows["energy_pj"].to_numpy(), rows["cycles"].to_numpy()
        found = _ours(peers, rows, technology, objective, "accelforge")
        part = _ratios("AccelForge", metric.lower(), rows, (found.total_energy_pj, found.cycles), (energy, cycles))
        limited = Options(objective=objective, convention="accelforge", perfect_factors=True, spills=False)
        perfect = best_mappings(peers.extents(rows["workload"]), peers.accelerator(rows["hw"]), technology, limited)
        ours = _objective(perfect.total_energy_pj, perfect.cycles, objective)
        part["perfect_ratio"] = ours / _objective(energy, cycles, objective)
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
        theirs = (rows["energy_pj"].to_numpy(), cycles)
        part = _ratios("ZigZag", target, rows, (found.total_energy_pj, found.cycles), theirs)
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


def _outputs(peers: PeerData, rows: Any) -> FloatArray:
    extents = peers.extents(rows["workload"])
    return np.asarray(extents[:, 0] * extents[:, 2], dtype=np.float64)


def _ours(
    peers: PeerData, rows: Any, technology: Technology, objective: Objective, convention: Convention
) -> MatmulCosts:
    options = Options(objective=objective, convention=convention)
    return best_mappings(peers.extents(rows["workload"]), peers.accelerator(rows["hw"]), technology, options)


def _objective(energy: FloatArray, cycles: FloatArray, objective: str) -> FloatArray:
    return {"energy": energy, "edp": energy * cycles, "delay": cycles}[objective]


def _ratios(peer: str, target: str, rows: Any, ours: tuple[Any, Any], theirs: tuple[FloatArray, FloatArray]) -> Any:
    """Return energy, cycles, EDP and objective ratios, a row each."""
    energy, cycles = (np.asarray(a) / b for a, b in zip(ours, theirs, strict=True))
    named = {"comparison": peer, "target": target, "machine": rows["hw"], "matmul": rows["workload"]}
    ratios = {"energy_ratio": energy, "cycles_ratio": cycles, "edp_ratio": energy * cycles}
    return pd.DataFrame(named | ratios | {"objective_ratio": _objective(energy, cycles, OBJECTIVES[target])})
