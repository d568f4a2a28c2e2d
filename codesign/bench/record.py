"""How large a record may become: one is made, then written, read and judged, each in a process of its own.

The record looks like that of a search of sotu_lm: genomes from the space, the costs of some thousand real designs
blurred so that every number has all its digits, quality that falls with the parameters. It is written a portion at a
time as a search does, and at last resumed as one: told to the default algorithm, which asks for MORE designs. Bounds of
reading are taken in the same run: the bytes alone, and the bytes decoded but neither checked nor made columns.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from codesign import __version__
from codesign import run as runs
from codesign.accuracy.cache import NO_CACHE
from codesign.cost import technology as technologies
from codesign.cost.estimate import estimate
from codesign.cost.technology import Technology
from codesign.design import FloatArray, ModelShape
from codesign.evaluation import Evaluations, no_failures
from codesign.lines import SEAL_BYTES, whole_blocks, whole_lines
from codesign.manifest import Fork, read_manifest, sources
from codesign.optimize import resuming
from codesign.optimize.algorithms import DEFAULT_ALGORITHM
from codesign.optimize.asking import keys, unseen
from codesign.parameters import total_parameters
from codesign.record import EVALUATIONS, one_batch
from codesign.record_columns import decoder
from codesign.space import SearchSpace
from codesign.space_file import read_space

SPACE, COST_MODEL, QUALITY = "sotu_lm", "gemmini_40nm", "perplexity"
PROXY = "codesign.bench.record:quality_of"
MORE = 16
"""Designs that the resumed search evaluates."""
ROWS = 1_000_000
PORTION = 1000
COSTED = 4000
"""Designs whose costs are real."""

BLUR = 0.01
"""Standard deviation of the logarithm by which their costs are changed for the others."""


def run(rows: int | None) -> list[dict[str, Any]]:
    """Return a figure a step: seconds, of them busy, peak memory, and how often the bounds fit into them."""
    with tempfile.TemporaryDirectory() as parent:
        directory = Path(parent) / "run"
        figures = [_alone(write, directory, rows or ROWS)]
        size = (directory / EVALUATIONS).stat().st_size
        figures += [_alone(step, directory, 0) for step in STEPS]
    seconds = {figure["step"]: figure["seconds"] for figure in figures}
    return [
        {"step": figure["step"], "rows": rows or ROWS, "bytes": size}
        | figure
        | {f"over_{bound}": figure["seconds"] / seconds[bound] for bound in BOUNDS}
        for figure in figures
    ]


def write(directory: Path, rows: int) -> dict[str, Any]:
    """Write the record; also return how busy the last tenth kept us over the first: 1 unless appending slows down."""
    document, cost = read_space(SPACE), technologies.read(COST_MODEL)
    rng = np.random.default_rng(0)
    costs = _costs(document.content, cost.content, rng)
    manifest = runs.Manifest(
        codesign_version=__version__,
        versions=runs.versions(),
        space=runs.input_text(document),
        cost_model=runs.input_text(cost),
        sources=sources(),
        proxy=PROXY,
        quality=QUALITY,
        fidelity="ideal",
        algorithm=DEFAULT_ALGORITHM,
        population=PORTION,
        seed=0,
        budget=rows,
        forked_from=Fork(name="drawn", evaluations=rows),  # no algorithm asked for them: the last ones neither
    )
    seen: set[bytes] = set()
    found, waited, taken = runs.create(directory, manifest), 0.0, []
    for start in range(0, rows, PORTION):
        part = _portion(document.content, costs, min(PORTION, rows - start), rng, seen)
        begin, cpu = time.perf_counter(), time.process_time()
        found = found.extend(part, one_batch(start, len(part)))
        taken.append(time.process_time() - cpu)
        waited += time.perf_counter() - begin
    tenth = max(len(taken) // 10, 1)
    return {"seconds": waited, "busy": sum(taken), "last_over_first": sum(taken[-tenth:]) / sum(taken[:tenth])}


def raw(directory: Path, _: int) -> dict[str, Any]:
    """Read the bytes and do nothing with them."""
    for _block in whole_blocks(directory / EVALUATIONS):
        pass
    return {}


def decode(directory: Path, _rows: int) -> dict[str, Any]:
    """Decode the lines into structs that are forgotten, without looking at checksums or ranges."""
    read, _ = runs.begun(directory)
    decoded = decoder(list(read.evaluations.metrics))
    for block in whole_blocks(directory / EVALUATIONS):
        decoded(b"[" + b"},".join([line[:-SEAL_BYTES] for line in whole_lines(block)]) + b"}]")
    return {}


def open_run(directory: Path, _: int) -> dict[str, Any]:
    """Open the run."""
    return {"evaluations": len(runs.open_run(directory).evaluations)}


def front(directory: Path, _: int) -> dict[str, Any]:
    """Find the front of the opened run; opening it is not counted, but its memory is."""
    found = runs.open_run(directory)
    begin, cpu = time.perf_counter(), time.process_time()
    size = len(found.front_ids())
    return {"seconds": time.perf_counter() - begin, "busy": time.process_time() - cpu, "front": size}


def resume(directory: Path, _: int) -> dict[str, Any]:
    """Resume the search until it has evaluated MORE designs."""
    budget = read_manifest(directory).budget + MORE
    return {"evaluations": len(resuming.resume(directory, budget=budget, cache=NO_CACHE).evaluations)}


STEPS: tuple[Callable[[Path, int], dict[str, Any]], ...] = (raw, decode, open_run, front, resume)
"""What is done with the record, in this order."""

BOUNDS = ("raw", "decode")


def _alone(step: Callable[[Path, int], dict[str, Any]], directory: Path, rows: int) -> dict[str, Any]:
    """Run a step in a new process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, step, directory, rows).result()


def _measured(step: Callable[[Path, int], dict[str, Any]], directory: Path, rows: int) -> dict[str, Any]:
    begin, cpu = time.perf_counter(), time.process_time()
    figure = step(directory, rows)
    whole = {"step": step.__name__, "seconds": time.perf_counter() - begin, "busy": time.process_time() - cpu}
    return whole | figure | {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def _costs(space: SearchSpace, technology: Technology, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Return the metrics of COSTED designs, the baseline first."""
    genomes = np.concatenate([space.encode(space.baseline), space.sample(rng, COSTED - 1)])
    costs = estimate(space.decode(genomes), space.scenario, technology, "ideal").metrics()
    return quality_of(space.decode(genomes).shape) | costs


def quality_of(shape: ModelShape) -> dict[str, FloatArray]:
    """Return a made-up quality that falls with the parameters: the proxy of the record."""
    return {QUALITY: 100.0 * total_parameters(shape).astype(np.float64) ** -0.1}


def _portion(
    space: SearchSpace, costs: dict[str, FloatArray], count: int, rng: np.random.Generator, seen: set[bytes]
) -> Evaluations:
    """Return so many evaluations; the genome and the costs of one need not belong together, but of the first one do.

    No design of `seen` is among them; afterwards they are in it.
    """
    picked, blur, drawn = rng.integers(0, COSTED, count), BLUR * np.ones(count), space.sample(rng, 2 * count)
    if not seen:
        picked[0], blur[0] = 0, 0.0
        drawn = np.concatenate([space.encode(space.baseline), drawn])
    genomes = unseen(drawn, count, seen)
    seen.update(keys(genomes))
    metrics = {name: column[picked] * np.exp(blur * rng.normal(size=count)) for name, column in costs.items()}
    excess = np.zeros(count)
    for name, limit in space.limits.items():
        excess += np.maximum(metrics[name] / limit.largest(float(costs[name][0])) - 1, 0)
    unknown = ~np.isfinite(np.stack([metrics[name] for name in space.objectives])).all(axis=0)
    return Evaluations(
        genomes=genomes,
        metrics=metrics,
        log_standard_error=rng.lognormal(-4, 0.1, count),
        extrapolated=rng.random(count) < 0.1,
        violation=np.nan_to_num(excess) + unknown,
        failure=no_failures(count),
    )
