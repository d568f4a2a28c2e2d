"""What one mapping moves and what that costs: the closed form behind the mapper and the evaluator of given mappings.

Compiled with numba and called for millions of mappings, so plain scalars in and out. All counts are floats: they stay
exact up to 2**53 and lose no more than rounding beyond.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar, cast

import numba
import numpy as np

# Which DRAM loop is innermost; the tensor that it does not index stays on chip while it runs.
M_INNERMOST, K_INNERMOST, N_INNERMOST = 0, 1, 2

Conventions = tuple[float, float, float, float, float, float]
"""operand bytes, output bytes, accumulator bytes, bytes of a partial sum spilled to DRAM, first-read switch (1 = the
first update of an output reads the accumulator too), drain weight (accumulator words per finished output read out)."""

Rates = tuple[float, float, float]
"""Words or bytes a cycle: scratchpad words, accumulator words per column in use, DRAM bytes."""

Energies = tuple[float, float, float, float, float]
"""pJ: MAC, register byte, accumulator word, scratchpad word, DRAM byte."""

Counts = tuple[float, float, float, float, float]
"""compute cycles, register bytes, accumulator words, scratchpad words, DRAM bytes."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def jit(function: Kernel) -> Kernel:
    """Compile a kernel of scalars or small arrays."""
    return _compile(function, parallel=False)


def jit_parallel(function: Kernel) -> Kernel:
    """Compile a kernel whose `numba.prange` loops run on all cores."""
    return _compile(function, parallel=True)


def _compile(function: Kernel, *, parallel: bool) -> Kernel:
    """Compile with numba; keep the code on disk where some folder can be written (in a container, none may be).

    numba finds compiled code again by the kernel's own file alone, so a kernel would go on with an old version of what
    it calls from another file. Hence a folder for each state of the sources.
    """
    folder, config = _cache_folder(), cast(Any, numba.config)
    if folder is None:
        return cast(Kernel, numba.njit(function, parallel=parallel, error_model="numpy"))
    given, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        return cast(Kernel, numba.njit(function, cache=True, parallel=parallel, error_model="numpy"))
    finally:
        config.CACHE_DIR = given


@cache
def _cache_folder() -> Path | None:
    """Return where compiled kernels are kept: what NUMBA_CACHE_DIR says, beside the sources, or the user's cache."""
    texts = (path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    state = hashlib.sha256(b"".join(text for text in texts if b"jit" in text)).hexdigest()[:16]
    given = cast(Any, numba.config).CACHE_DIR
    for base in filter(None, (given, Path(__file__).parent / "__pycache__", "~/.cache/codesign")):
        with suppress(OSError, RuntimeError):  # cannot be written, or there is no home
            folder = Path(base).expanduser() / f"kernels-{state}"
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                return folder
    return None


@jit
def counts(
    weight_stationary: bool,
    extents: tuple[float, float, float],
    trips: tuple[float, float, float],
    steps: tuple[float, float],
    single: bool,
    innermost: int,
    conventions: Conventions,
) -> Counts:
    """Count the accesses of one tiling under one loop order.

    Args:
        weight_stationary: the dataflow; otherwise output stationary.
        extents: M, K, N of the matmul.
        trips: DRAM loop trips M', K', N'.
        steps: array-sized pieces of the dimension on the rows (K, or M if output stationary) and of N on the columns,
            summed over all tiles.
        single: no tile is larger than the array, so what a register holds can outlive a tile.
        innermost: the innermost DRAM loop.
        conventions: widths and what is counted.

    Returns:
        compute cycles, register bytes, accumulator words, scratchpad words, DRAM bytes.

    Source: DOSA (Hong et al., MICRO 2023), `energy_model.py` and `latency_model.py`, for weight stationary; the output
    stationary form counts refetches alike, and its own registers. Left out: operands and partial sums that move from PE
    to PE, in both dataflows; writing refetched partial sums into the accumulator (below 1 % of the DRAM energy that a
    spill costs).
    """
    M, K, N = extents
    trips_m, trips_k, trips_n = trips
    steps_row, steps_col = steps
    operand_bytes, output_bytes, accumulator_bytes, spill_bytes, first_read, drain = conventions
    mac = M * K * N
    fill_weight = K * N * (1.0 if innermost == M_INNERMOST else trips_m)
    fill_input = M * K * (1.0 if innermost == N_INNERMOST else trips_n)
    fill_output = M * N * (1.0 if innermost == K_INNERMOST else trips_k)
    if weight_stationary:
        loads = K * N * (1.0 if single and innermost == M_INNERMOST else trips_m)  # weights shifted into PEs
        register_bytes = (mac + loads) * operand_bytes
        updates = M * N * steps_row
        scratchpad = fill_weight + fill_input + loads + M * K * steps_col
        compute = M * steps_row * steps_col
    else:
        register_bytes = 2.0 * mac * accumulator_bytes  # each MAC reads and writes its partial sum
        updates = M * N * (1.0 if single and innermost == K_INNERMOST else trips_k)
        scratchpad = fill_weight + fill_input + M * K * steps_col + K * N * steps_row
        compute = K * steps_row * steps_col
    reads = drain * M * N + (fill_output - M * N)  # finished outputs as the convention has it, spilled sums in full
    accumulator = reads + updates + (updates - M * N * (1.0 - first_read))
    dram = (fill_weight + fill_input) * operand_bytes + M * N * output_bytes
    dram += 2.0 * (fill_output - M * N) * spill_bytes
    return compute, register_bytes, accumulator, scratchpad, dram


@jit
def cycles_of(counted: Counts, columns: float, rates: Rates) -> float:
    """Return whole cycles = max over levels of accesses / bandwidth (perfect overlap, Timeloop's assumption).

    `columns` is the average number of array columns in use: only their accumulator banks work.
    """
    compute, _, accumulator, scratchpad, dram = counted
    scratchpad_rate, accumulator_rate, dram_rate = rates
    busiest = max(
        max(compute, accumulator / (accumulator_rate * columns)), max(scratchpad / scratchpad_rate, dram / dram_rate)
    )
    return float(np.ceil(busiest * (1.0 - 1e-12)))  # math.ceil would wrap around beyond 2**63


@jit
def energy_of(mac: float, counted: Counts, energies: Energies) -> float:
    """Return pJ = accesses weighted by the energy of one."""
    _, register_bytes, accumulator, scratchpad, dram = counted
    mac_pj, register_pj, accumulator_pj, scratchpad_pj, dram_pj = energies
    on_chip = mac_pj * mac + register_pj * register_bytes + accumulator_pj * accumulator + scratchpad_pj * scratchpad
    return on_chip + dram_pj * dram
