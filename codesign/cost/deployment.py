"""What a decoder's users wait for and pay: time to the first token, then time and energy of each further one.

A first token takes one prefill pass of the prompt, a further one a decode pass with the keys and values of the whole
context, read from DRAM. Where the cache of all layers fits into the scratchpad and what is left still serves the
mapper, it is also tried there, and the better EDP is taken.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from codesign.cost.estimate import Cost, estimate
from codesign.cost.footprint import kv_cache_bytes
from codesign.cost.prepare import Fidelity, Operands, stated_bits
from codesign.cost.technology import Technology
from codesign.design import Design, FloatArray, Scenario
from codesign.workload import workload

ON_CACHE = ("scores", "context")
"""Matmuls whose second operand is the cache."""

UNLIMITED_BANDWIDTH = 1e12
"""DRAM bytes a cycle that no matmul waits for."""


def deployment(
    design: Design, scenario: Scenario, technology: Technology, fidelity: Fidelity = "ideal"
) -> dict[str, FloatArray]:
    """Return (n,) figures of decoders by name; none for a model without a decoder. NaN where nothing fits.

    Args:
        design: n designs.
        scenario: gives the lengths and the batch; its phase does not matter.
        technology: what one action costs.
        fidelity: of time.

    Returns:
        time_to_first_token_s: of the whole batch; behind an encoder, with the encoder.
        time_per_output_token_s: of a decode pass, in which each sequence of the batch gets a token.
        energy_per_output_token_j: of that pass over the batch; dynamic.
        kv_cache_bytes: of the context.
        kv_cache_on_chip: 1 where the cache is kept in the scratchpad.
    """
    family = design.shape.family
    if "decoder" not in family.stacks:
        return {}
    target = 1 if len(family.stacks) == 2 else 0
    first = msgspec.structs.replace(scenario, phase="prefill", target_length=target)
    further = msgspec.structs.replace(scenario, phase="decode")
    prefill = estimate(design, first, technology, fidelity).metrics()
    fetched = estimate(design, further, technology, fidelity).metrics()
    cache = kv_cache_bytes(design.shape, further, technology.tensors.operand_bits)
    delay, energy = _with_cache_on_chip(design, further, technology, fidelity, cache)
    on_chip = delay * energy < fetched["edp_js"]  # False where NaN
    return {
        "time_to_first_token_s": prefill["delay_s"],
        "time_per_output_token_s": np.where(on_chip, delay, fetched["delay_s"]),
        "energy_per_output_token_j": np.where(on_chip, energy, fetched["energy_j"]) / scenario.batch,
        "kv_cache_bytes": cache,
        "kv_cache_on_chip": on_chip.astype(np.float64),
    }


def _with_cache_on_chip(
    design: Design, scenario: Scenario, technology: Technology, fidelity: Fidelity, cache: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return (n,) delay in s and energy in J of a decode pass with its cache in the scratchpad; NaN where none fits.

    The scratchpad is smaller by the cache. What reads the cache takes the mapping that is best where DRAM is never
    waited for; its traffic and the energy of it, less the cache, and the time that the rest takes, are those of that
    mapping. So this is what a real mapping costs, and an upper limit: others may be better. Saved but counted are the
    scratchpad words that take the cache in, and the store of the new token's keys and values.
    """
    n = len(design)
    delay, energy = np.full(n, np.nan), np.full(n, np.nan)
    chip = design.accelerator
    left = chip.scratchpad_bytes - np.ceil(cache).astype(np.int64)
    fits = np.flatnonzero(left > 0)
    if not len(fits):
        return delay, energy
    kept = Design(design.shape.take(fits), replace(chip.take(fits), scratchpad_bytes=left[fits]))
    unlimited = np.full(len(fits), UNLIMITED_BANDWIDTH)
    fast = Design(kept.shape, replace(kept.accelerator, dram_bytes_per_cycle=unlimited))
    usual = estimate(kept, scenario, technology, fidelity)
    near = estimate(fast, scenario, technology, fidelity)
    cycles, joules = _joined(kept, scenario, technology, usual, near)
    feasible = usual.feasible & near.feasible
    delay[fits] = np.where(feasible, cycles / usual.frequency_hz, np.nan)
    energy[fits] = np.where(feasible, joules, np.nan)
    return delay, energy


def _joined(
    design: Design, scenario: Scenario, technology: Technology, usual: Cost, near: Cost
) -> tuple[FloatArray, FloatArray]:
    """Return (n,) cycles and J: what reads the cache, and its softmax, as in `near`, everything else as usual."""
    names = [label.operation.removeprefix("cross_") for label in usual.labels]
    taken = np.array([name in (*ON_CACHE, "softmax", "position_bias") for name in names])
    matmuls = workload(design.shape, scenario).matmuls
    dense = np.ones(matmuls.m.shape)
    _, bits = stated_bits(Operands(matmuls.input_bits, matmuls.weight_bits, dense), technology)
    reads = np.array([name in ON_CACHE for name in names[: len(matmuls.labels)]])
    saved = np.zeros_like(near.dram_bytes)
    saved[:, : len(reads)] = 1.0 * matmuls.k * matmuls.n * matmuls.count * bits / 8 * reads
    moving = (near.dram_bytes - saved) / design.accelerator.dram_bytes_per_cycle[:, None]
    calibration = technology.calibration
    if calibration is None or near.delay_ratios is None:
        busy = np.maximum(near.cycles, np.ceil(moving))
    else:  # calibrated time overlaps only partly; none at all is assumed
        busy = near.cycles + moving / calibration.bandwidth_ratio.value
    cycles = np.where(taken, busy, usual.cycles).sum(axis=1)
    energy = np.where(taken[:, None], near.energy_pj, usual.energy_pj).sum(axis=(1, 2))
    return cycles, (energy - saved.sum(axis=1) * technology.dram.energy_pj_per_byte.value) * 1e-12
