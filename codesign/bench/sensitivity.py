"""How much what the cost model leaves out, or lets one choose, matters: on the survey's baseline and random designs.

Matmuls count under their own best mappings where nothing else is said. docs/cost_model.md shows the result.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from codesign.bench.enumeration import EnumeratedMachine, best_edp
from codesign.cost import technology as technologies
from codesign.cost.bounds import design_bounds, gaps
from codesign.cost.estimate import LEAKAGE, estimate
from codesign.cost.matmul import best_mappings, hulls
from codesign.cost.prepare import SEARCH_CONVENTION, Buffering, Operands, Options, unit_energies_pj
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import reference_accelerator
from codesign.cost.vector import vector_costs
from codesign.design import KIB, Design, FloatArray, IntArray
from codesign.space import SearchSpace
from codesign.space_file import read_space
from codesign.workload import workload

COST_MODEL, SPACE = "gemmini_40nm", "survey_lm"
PARTS_COST_MODEL = "simple_8bit"
"""On-chip bandwidth is not limited there, as in `enumeration`."""
DESIGNS = 300
SHAPES = 60
SEED = 0
BUFFERING: tuple[Buffering, ...] = ("double", "single", "best")


def run(designs: int = DESIGNS, shapes: int = SHAPES) -> list[dict[str, object]]:
    """Measure; one row of named figures a comparison.

    Args:
        designs: random designs of SPACE.
        shapes: random small matmuls for plain enumeration.
    """
    technology, space = technologies.read(COST_MODEL).content, read_space(SPACE).content
    genomes = space.canonical(space.sample(np.random.default_rng(SEED), designs))
    random = space.decode(genomes)
    figures: dict[str, dict[str, float]] = {}
    for name, population in (("baseline", space.baseline), ("space", random)):
        figures |= {f"buffering {kind}, {name}": _buffering(population, space, technology, kind) for kind in BUFFERING}
        figures |= {
            f"{what}, {name}": own for what, own in whole_model_and_fusion(population, space, technology).items()
        }
        figures |= {f"{what}, {name}": own for what, own in bounds_and_leakage(population, space, technology).items()}
    figures |= dataflows(random, space, technology)
    rows: list[dict[str, object]] = [
        {"comparison": name, "cost_model": COST_MODEL, **own} for name, own in figures.items()
    ]
    small = parts(technologies.read(PARTS_COST_MODEL).content, shapes)
    return [*rows, {"comparison": "tilings over mappings with parts, EDP", "cost_model": PARTS_COST_MODEL, **small}]


def _quantiles(ratio: FloatArray) -> dict[str, float]:
    """Return median, 90th percentile and largest."""
    found = np.percentile(ratio, [50, 90, 100])
    return dict(zip(("median", "p90", "largest"), map(float, found), strict=True)) | {"rows": len(ratio)}


def matmuls(
    population: Design, space: SearchSpace, technology: Technology, options: Options
) -> tuple[FloatArray, FloatArray]:
    """Return (n,) cycles and (n,) pJ of all matmuls, each under its own best mapping; infinite where one has none."""
    extents, count = _products(population, space)
    n, P = count.shape
    chips = population.accelerator.take(np.repeat(np.arange(n), P))
    costs = best_mappings(extents.reshape(-1, 3), chips, technology, options)
    good = costs.feasible | (count.ravel() == 0)
    cycles, energy = (
        (np.where(good, column, np.inf) * np.maximum(count.ravel(), 0)).reshape(n, P).sum(axis=1)
        for column in (costs.cycles, costs.total_energy_pj)
    )
    return np.asarray(cycles), np.asarray(energy)


def _products(population: Design, space: SearchSpace) -> tuple[IntArray, FloatArray]:
    """Return (n, P, 3) extents, 1 where a matmul is absent, and (n, P) how often each is done."""
    products = workload(population.shape, space.scenario).matmuls
    extents = np.stack([products.m, products.k, products.n], axis=2)
    return np.maximum(extents, 1), products.count.astype(np.float64)


def _buffering(population: Design, space: SearchSpace, technology: Technology, kind: Buffering) -> dict[str, float]:
    """Return how many times more EDP, energy and cycles the matmuls take than with buffers used in full and overlap."""
    full, own = (
        matmuls(population, space, technology, Options(convention=SEARCH_CONVENTION, buffering=buffering))
        for buffering in ("ideal", kind)
    )
    edp = _quantiles(own[0] * own[1] / (full[0] * full[1]))
    energy, cycles = np.median(own[1] / full[1]), np.median(own[0] / full[0])
    return {f"edp_ratio_{name}": value for name, value in edp.items() if name != "rows"} | {
        "energy_ratio_median": float(energy),
        "cycles_ratio_median": float(cycles),
        "rows": edp["rows"],
    }


def whole_model_and_fusion(
    population: Design, space: SearchSpace, technology: Technology
) -> dict[str, dict[str, float]]:
    """Return the EDP of whole designs without the whole-model choice, and without fusion, over that with them."""
    work = workload(population.shape, space.scenario)
    alone = vector_costs(
        work.vectors.kinds, work.vectors.elements.astype(np.float64), population.accelerator, technology
    )
    fixed = np.stack([alone.cycles.sum(axis=1), alone.energy_pj.sum(axis=1)], axis=1)
    cycles, energy = matmuls(population, space, technology, Options(convention=SEARCH_CONVENTION))
    separate = (cycles + fixed[:, 0]) * (energy + fixed[:, 1])
    whole = whole_model_edp(population, space, technology, fixed)
    metrics = estimate(population, space.scenario, technology).metrics()
    fused = metrics["energy_j"] * 1e12 * metrics["cycles"]
    return {
        "own over whole-model mappings, EDP": _quantiles(separate / whole),
        "no fusion over fusion, EDP": _quantiles(whole / fused),
        "vector share of unfused cycles": _quantiles(fixed[:, 0] / (cycles + fixed[:, 0])),
        "vector share of unfused energy": _quantiles(fixed[:, 1] / (energy + fixed[:, 1])),
    }


def whole_model_edp(population: Design, space: SearchSpace, technology: Technology, fixed: FloatArray) -> FloatArray:
    """Return (n,) the least EDP over one shared price of delay, without fusion.

    Args:
        population: n designs.
        space: gives the scenario.
        technology: what one action costs.
        fixed: (n, 2) cycles and pJ of everything but matmuls.
    """
    extents, count = _products(population, space)
    n, P = count.shape
    chips = population.accelerator.take(np.repeat(np.arange(n), P))
    options = Options(convention=SEARCH_CONVENTION)
    found = hulls(extents.reshape(-1, 3), chips, technology, options, Operands.dense(n * P))
    energy = found.energy_pj.sum(axis=1)
    edp = np.empty(n)
    for i in range(n):
        own = [
            (found.cycles[s:e], energy[s:e], times)
            for s, e, times in zip(found.start[i * P : (i + 1) * P], found.start[i * P + 1 :], count[i], strict=False)
        ]
        edges = [-np.diff(joules) / np.diff(cycles) for cycles, joules, times in own if times > 0]
        slopes = np.unique(np.concatenate(edges))
        prices = np.concatenate([[0.0], np.sqrt(slopes[1:] * slopes[:-1]), slopes[-1:] * 2]) if len(slopes) else [0.0]
        total = np.zeros((2, len(prices))) + fixed[i][:, None]
        for cycles, joules, times in own:
            if times > 0:
                chosen = np.argmin(joules[:, None] + cycles[:, None] * np.asarray(prices), axis=0)
                total += times * np.stack([cycles[chosen], joules[chosen]])
        edp[i] = total.prod(axis=0).min()
    return edp


def bounds_and_leakage(population: Design, space: SearchSpace, technology: Technology) -> dict[str, dict[str, float]]:
    """Return costs of whole designs over their lower bounds, and what leaks over dynamic energy."""
    cost = estimate(population, space.scenario, technology)
    over = gaps(cost, design_bounds(population, space.scenario, technology))
    metrics = cost.metrics()
    return {
        **{name: _quantiles(ratio) for name, ratio in over.items()},
        "leakage over dynamic energy": _quantiles(metrics[LEAKAGE] / metrics["energy_j"]),
    }


def dataflows(population: Design, space: SearchSpace, technology: Technology) -> dict[str, dict[str, float]]:
    """Return how often output stationary has the lower EDP, at either price of a partial sum's register."""
    register = technology.register
    as_weight = msgspec.structs.replace(register, partial_sum_energy_pj_per_byte=register.energy_pj_per_byte)
    figures = {}
    for price, model in (
        ("own", technology),
        ("of a weight's", msgspec.structs.replace(technology, register=as_weight)),
    ):
        edp = []
        for code in (0, 1):
            chip = replace(population.accelerator, dataflow=np.full(len(population.accelerator), code))
            costs = matmuls(Design(population.shape, chip), space, model, Options(convention=SEARCH_CONVENTION))
            edp.append(costs[0] * costs[1])
        ratio = edp[1] / edp[0]
        figures[f"output over weight stationary, EDP, register energy {price}"] = {
            "output_stationary_better_percent": 100 * float((ratio < 1).mean()),
            **_quantiles(ratio),
        }
    return figures


def parts(technology: Technology, shapes: int) -> dict[str, float]:
    """Return the EDP of the best tiling without parts (plain enumeration) over that of our best mapping.

    Random matmuls of up to 48 a side on a 4 x 4 array with buffers that they do not fit into.
    """
    rng = np.random.default_rng(SEED)
    extents = rng.integers(8, 49, (shapes, 3))
    reference = reference_accelerator(technology, shapes)
    lanes = np.full(shapes, 4)
    accelerator = replace(
        reference,
        pe_rows=lanes,
        pe_cols=lanes,
        scratchpad_bytes=rng.integers(KIB // 8, KIB, shapes),
        accumulator_bytes=rng.integers(KIB // 8, KIB, shapes),
    )
    ours = best_mappings(extents, accelerator, technology, Options(convention=SEARCH_CONVENTION))
    pj, tensors = unit_energies_pj(technology, accelerator), technology.tensors
    theirs = [
        best_edp(
            (int(M), int(K), int(N)),
            EnumeratedMachine(
                rows=4,
                columns=4,
                scratchpad_bytes=int(accelerator.scratchpad_bytes[i]),
                accumulator_bytes=int(accelerator.accumulator_bytes[i]),
                dram_bytes_per_cycle=float(accelerator.dram_bytes_per_cycle[i]),
                operand_bytes=tensors.operand_bits / 8,
                output_bytes=tensors.output_bits / 8,
                sum_bytes=tensors.accumulator_bits / 8,
                energies_pj=(pj[i, 0], pj[i, 1], pj[i, 2], pj[i, 3], pj[i, 5]),
            ),
        )[0]
        for i, (M, K, N) in enumerate(extents)
    ]
    ratio = np.array(theirs) / (ours.total_energy_pj * ours.cycles)
    return _quantiles(ratio) | {"rows_with_gain": int((ratio > 1 + 1e-9).sum()), "smallest": float(ratio.min())}
