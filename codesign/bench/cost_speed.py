"""How fast the cost model is: pairs and designs a second, cold and warm, beside other tools in the same run; memory.

A pair is a distinct (matmul, accelerator) row that is mapped optimally. Everything that starts a process is timed from
the outside, start included. Figures depend on the machine, and on what else it does: compare those of one run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from codesign.bench import scalesim, zigzag
from codesign.bench.enumeration import EnumeratedMachine, best_edp
from codesign.bench.peer_data import COST_MODEL, PeerData, read_peers
from codesign.cost import technology as technologies
from codesign.cost.matmul import best_mappings
from codesign.cost.prepare import Options, unit_energies_pj
from codesign.cost.technology import Technology
from codesign.design import KIB, Accelerator, FloatArray, IntArray

MACHINE = "A_ws"
SEED = 0
PAIRS = 100_000
DESIGNS = (100, 1_000, 10_000, 100_000)
MANY_DESIGNS = 1_000_000
CHUNK_DESIGNS = 100_000
"""Designs that are decoded and costed at a time, the largest of DESIGNS; a million is costed in parts."""
SPACE, SPACE_COST_MODEL = "survey_lm", "gemmini_40nm"
SMALL = ((48, 32, 40), (33, 47, 29), (16, 64, 64), (64, 24, 48))
"""Matmuls that plain enumeration can do, on a machine whose buffers they do not fit into."""
SMALL_MACHINE = {"rows": 4, "columns": 4, "scratchpad_bytes": 512, "accumulator_bytes": 384}
REPEATS = 3
"""Warm figures are the fastest of so many."""

DESIGNS_SCRIPT = """
import json, resource, sys, time
from codesign.bench.cost_speed import cost_designs
cost_designs(10, 1)
start = time.perf_counter()
cost_designs(int(sys.argv[1]), 0)
seconds = time.perf_counter() - start
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def run(data: Path, *, large: bool = False, scalesim_python: Path | None = None) -> list[dict[str, object]]:
    """Measure; one row of named figures a comparison.

    Args:
        data: folder with the definition of the comparison, see `peer_data.read_peers`.
        large: cost a million designs too.
        scalesim_python: interpreter with SCALE-Sim; its row says how to get one where it is not given.

    Raises:
        InputError: the folder is none, or SCALE-Sim does not run.
    """
    peers, technology = read_peers(data), technologies.read(COST_MODEL).content
    with TemporaryDirectory() as name:
        folder = Path(name)
        ours = peer_pairs(peers, technology)
        return [
            {"comparison": "start"} | starts(folder),
            {"comparison": "estimate --matmuls"} | matmul_file(folder),
            *({"comparison": "designs"} | designs(n) for n in (*DESIGNS, *([MANY_DESIGNS] if large else []))),
            {"comparison": "mapper, peers' matmuls"} | ours,
            {"comparison": "ZigZag"} | beside_zigzag(peers, technology, float(ours["pairs_per_s"]), folder),
            {"comparison": "SCALE-Sim"} | beside_scalesim(peers, float(ours["pairs_per_s"]), scalesim_python, folder),
            {"comparison": "plain enumeration"} | beside_enumeration(technology, float(ours["pairs_per_s"])),
        ]


def starts(folder: Path) -> dict[str, float]:
    """Time one estimate from the shell, first with nothing compiled, then with compiled code on disk."""
    write_pairs(folder / "one.csv", 1)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / "kernels")}
    cold = _estimate_matmuls(folder / "one.csv", environment)
    return {"cold_s": cold, "cached_s": min(_estimate_matmuls(folder / "one.csv", environment) for _ in range(REPEATS))}


def matmul_file(folder: Path, pairs: int = PAIRS) -> dict[str, float]:
    """Time a file of distinct random pairs through the shell, start and CSV included."""
    write_pairs(folder / "pairs.csv", pairs)
    seconds = min(_estimate_matmuls(folder / "pairs.csv", dict(os.environ)) for _ in range(REPEATS))
    return {"pairs": pairs, "seconds": seconds, "pairs_per_s": pairs / seconds}


def write_pairs(path: Path, n: int) -> None:
    """Write n random matmuls on random accelerators, in the ranges of the reference data (DOSA's layers, Gemmini)."""
    import pandas as pd

    extents, accelerator = random_pairs(n)
    columns = dict(zip("mkn", extents.T, strict=True))
    named = ("pe_rows", "pe_cols", "scratchpad_bytes", "accumulator_bytes", "dram_bytes_per_cycle")
    columns |= {name: getattr(accelerator, name) for name in named}
    columns["dataflow"] = np.where(accelerator.dataflow == 0, "ws", "os")
    pd.DataFrame(columns).to_csv(path, index=False)


def random_pairs(n: int) -> tuple[IntArray, Accelerator]:
    """Return (n, 3) extents and n accelerators."""
    rng = np.random.default_rng(SEED)
    extents = np.stack([rng.integers(low, 3073, n) for low in (1, 16, 16)], axis=1)
    return extents, random_accelerators(rng, n)


def random_accelerators(rng: np.random.Generator, n: int) -> Accelerator:
    """Return n square arrays of 8 to 128 with buffers of 8 KiB to 1 MiB."""
    lanes = 2 ** rng.integers(3, 8, n)
    return Accelerator(
        pe_rows=lanes,
        pe_cols=lanes,
        dataflow=rng.integers(0, 2, n),
        scratchpad_bytes=KIB * rng.integers(8, 1025, n),
        accumulator_bytes=KIB * rng.integers(4, 513, n),
        dram_bytes_per_cycle=np.array([4.0, 8.0, 16.0, 32.0])[rng.integers(0, 4, n)],
        vector_lanes=lanes,
    )


def _estimate_matmuls(source: Path, environment: dict[str, str]) -> float:
    command = [sys.executable, "-m", "codesign", "estimate", "--matmuls", str(source), SPACE_COST_MODEL]
    start = time.perf_counter()
    output = [*command, "-o", str(source.with_suffix(".out.csv"))]
    subprocess.run(output, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def designs(n: int) -> dict[str, float]:
    """Cost n designs in a process of its own: compiled code is loaded first, the rest is timed."""
    done = subprocess.run([sys.executable, "-c", DESIGNS_SCRIPT, str(n)], check=True, capture_output=True, text=True)
    seconds, peak_kib = json.loads(done.stdout)
    return {"designs": n, "seconds": seconds, "designs_per_s": n / seconds, "peak_rss_gb": peak_kib * KIB / 1e9}


def cost_designs(n: int, seed: int) -> FloatArray:
    """Return the EDP of n random designs of SPACE."""
    from codesign.cost.estimate import estimate
    from codesign.space_file import read_space

    space, technology = read_space(SPACE).content, technologies.read(SPACE_COST_MODEL).content
    genomes = space.canonical(space.sample(np.random.default_rng(seed), n))
    edp = []
    for start in range(0, n, CHUNK_DESIGNS):
        cost = estimate(space.decode(genomes[start : start + CHUNK_DESIGNS]), space.scenario, technology)
        edp.append(cost.energy_pj.sum(axis=(1, 2)) * cost.cycles.sum(axis=1))
    return np.concatenate(edp)


def peer_pairs(peers: PeerData, technology: Technology, pairs: int = PAIRS) -> dict[str, Any]:
    """Time the mapper on the peers' matmuls and machine; its bandwidth differs by millionths: pairs are distinct."""
    names = list(peers.definition.workloads)
    extents = peers.extents([names[row % len(names)] for row in range(pairs)])
    given = peers.accelerator([MACHINE] * pairs)
    bandwidth = given.dram_bytes_per_cycle * (1 + 1e-6 * (np.arange(pairs) // len(names)))
    accelerator = replace(given, dram_bytes_per_cycle=bandwidth)
    best_mappings(extents[:1], accelerator.take(slice(0, 1)), technology)
    seconds = min(_timed(lambda: best_mappings(extents, accelerator, technology)) for _ in range(REPEATS))
    return {"pairs": pairs, "seconds": seconds, "pairs_per_s": pairs / seconds}


def _timed(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def beside_zigzag(peers: PeerData, technology: Technology, pairs_per_s: float, folder: Path) -> dict[str, object]:
    """Time ZigZag's search for the least EDP on the peers' matmuls, and compare its mappings with ours."""
    if not zigzag.installed():
        return {"status": zigzag.INSTALL}
    names = list(peers.definition.workloads)
    zigzag.search(peers.definition, MACHINE, names[1:2], folder)  # imports
    start = time.perf_counter()
    found = zigzag.search(peers.definition, MACHINE, names, folder)
    theirs = len(names) / (time.perf_counter() - start)
    options = Options(convention="zigzag")
    ours = best_mappings(peers.extents(names), peers.accelerator([MACHINE] * len(names)), technology, options)
    ratio = ours.total_energy_pj * ours.cycles / [one.energy_pj * one.cycles for one in found]
    return {
        "loop_factor_limit": zigzag.LOOP_FACTOR_LIMIT,
        "pairs": len(names),
        "pairs_per_s": theirs,
        "ours_over_theirs_pairs_per_s": pairs_per_s / theirs,
        "edp_ratio_largest": float(ratio.max()),
        "edp_ratio_geometric_mean": float(np.exp(np.log(ratio).mean())),
    }


def beside_scalesim(peers: PeerData, pairs_per_s: float, python: Path | None, folder: Path) -> dict[str, object]:
    """Time SCALE-Sim on its one mapping of the peers' smaller matmuls; it has no energies of its own."""
    if python is None:
        return {"status": scalesim.INSTALL}
    volumes = {name: np.prod(list(sizes.values())) for name, sizes in peers.definition.workloads.items()}
    names = sorted(volumes, key=lambda name: volumes[name])[:3]
    theirs = len(names) / sum(scalesim.seconds(python, peers.definition, MACHINE, names, folder))
    return {"pairs": len(names), "pairs_per_s": theirs, "ours_over_theirs_pairs_per_s": pairs_per_s / theirs}


def beside_enumeration(technology: Technology, pairs_per_s: float) -> dict[str, object]:
    """Time plain enumeration on small matmuls, and compare its best mappings with ours."""
    extents = np.array(SMALL)
    accelerator = _small_machines(len(SMALL))
    pj, tensors = unit_energies_pj(technology, accelerator)[0], technology.tensors
    machine = EnumeratedMachine(
        **SMALL_MACHINE,
        dram_bytes_per_cycle=float(accelerator.dram_bytes_per_cycle[0]),
        operand_bytes=tensors.operand_bits / 8,
        output_bytes=tensors.output_bits / 8,
        sum_bytes=tensors.accumulator_bits / 8,
        energies_pj=(pj[0], pj[1], pj[2], pj[3], pj[5]),
    )
    start = time.perf_counter()
    found = [best_edp(shape, machine) for shape in SMALL]
    theirs = len(SMALL) / (time.perf_counter() - start)
    ours = best_mappings(extents, accelerator, technology)
    ratio = ours.total_energy_pj * ours.cycles / [edp for edp, _ in found]
    return {
        "pairs": len(SMALL),
        "mappings": sum(mappings for _, mappings in found),
        "pairs_per_s": theirs,
        "ours_over_theirs_pairs_per_s": pairs_per_s / theirs,
        "edp_ratio_largest": float(ratio.max()),
        "edp_ratio_smallest": float(ratio.min()),
    }


def _small_machines(n: int) -> Accelerator:
    sizes = {name: np.full(n, size) for name, size in SMALL_MACHINE.items()}
    return Accelerator(
        pe_rows=sizes["rows"],
        pe_cols=sizes["columns"],
        dataflow=np.zeros(n, dtype=np.int64),
        scratchpad_bytes=sizes["scratchpad_bytes"],
        accumulator_bytes=sizes["accumulator_bytes"],
        dram_bytes_per_cycle=np.full(n, 4.0),
        vector_lanes=np.ones(n, dtype=np.int64),
    )
