"""What one mapping moves and what that costs: the closed form behind the mapper and the evaluator of given mappings.

Compiled and called for millions of mappings, so plain scalars in and out. All counts are floats: they stay exact up to
2**53 and lose no more than rounding beyond.
"""

from __future__ import annotations

import numpy as np

from codesign.cost.kernels import jit

Widths = tuple[float, float, float, float, float, float, float, float]
"""bytes of an input, a weight, a finished output, an accumulator word, a partial sum spilled to DRAM; first-read switch
(1 = the first update of an output reads the accumulator too); drain weight (accumulator words read out per output);
words saved per output that a PE finishes in one go, because it leaves at its final width."""

Rates = tuple[float, float, float, float]
"""Scratchpad bytes a cycle; accumulator words a cycle per column in use (0: outputs share the scratchpad's ports); DRAM
bytes a cycle; compute cycles per step of the array."""

Energies = tuple[float, float, float, float, float, float]
"""pJ: MAC, register byte, accumulator word, input word and weight word in the scratchpad, DRAM byte."""

Counts = tuple[float, float, float, float, float, float]
"""array steps, register bytes, accumulator words, input words and weight words of the scratchpad, DRAM bytes."""

Fetches = tuple[float, float, float]
"""How often inputs, weights and outputs as a whole move between DRAM and their buffers."""


@jit
def counts(
    weight_stationary: bool,
    extents: tuple[float, float, float],
    fetches: Fetches,
    loads: float,
    steps: tuple[float, float],
    pieces: tuple[float, float],
    widths: Widths,
) -> Counts:
    """Count the accesses of one mapping.

    Args:
        weight_stationary: the dataflow; otherwise output stationary.
        extents: M, K, N of the matmul.
        fetches: of inputs, weights and outputs.
        loads: how often the stationary tensor as a whole moves between its buffer and the PEs.
        steps: array-sized parts of the dimension on the rows (K, or M if output stationary) and of N on the columns,
            summed over all tiles.
        pieces: the same, of parts as large as the registers of all PEs hold.
        widths: of words, and what is counted.

    Source: DOSA (Hong et al., MICRO 2023), `energy_model.py` and `latency_model.py`, for weight stationary; the output
    stationary form counts refetches alike, and its own registers. Left out: operands and partial sums that move from PE
    to PE, in both dataflows; writing refetched partial sums into the accumulator (below 1 % of the DRAM energy that a
    spill costs).
    """
    M, K, N = extents
    input_fetches, weight_fetches, output_fetches = fetches
    row_pieces, col_pieces = pieces
    input_bytes, weight_bytes, output_bytes, accumulator_bytes, spill_bytes, first_read, drain, saved = widths
    mac, outputs = M * K * N, M * N
    from_dram_input, from_dram_weight = M * K * input_fetches, K * N * weight_fetches
    spills = outputs * (output_fetches - 1.0)
    scratchpad_input = from_dram_input + M * K * col_pieces
    if weight_stationary:
        register_bytes = (mac + K * N * loads) * weight_bytes  # each MAC reads its weight
        updates = outputs * row_pieces
        scratchpad_weight = from_dram_weight + K * N * loads
        array_steps = M * steps[0] * steps[1]
    else:
        updates = outputs * loads
        # each MAC reads and writes its partial sum; one that comes back is written once more, and read to go
        register_bytes = 2.0 * (mac + updates - outputs) * accumulator_bytes
        scratchpad_weight = from_dram_weight + K * N * row_pieces
        array_steps = K * steps[0] * steps[1]
    # finished outputs are read as the convention has it, spilled sums in full
    accumulator = drain * outputs + spills + updates + (updates - outputs * (1.0 - first_read))
    if not weight_stationary:
        accumulator = accumulator - saved * outputs * (loads < 2.0)
    dram = from_dram_input * input_bytes + from_dram_weight * weight_bytes + outputs * output_bytes
    dram += 2.0 * spills * spill_bytes
    return array_steps, register_bytes, accumulator, scratchpad_input, scratchpad_weight, dram


@jit
def cycles_of(counted: Counts, columns: float, widths: Widths, rates: Rates, serial: bool) -> float:
    """Return whole cycles = max over levels of accesses / bandwidth (perfect overlap, Timeloop's assumption).

    Args:
        counted: accesses.
        columns: the average number of array columns in use: only their accumulator banks work.
        widths: of words.
        rates: bandwidths.
        serial: DRAM does not overlap with the rest, because buffers are not doubled.
    """
    array_steps, _, accumulator, scratchpad_input, scratchpad_weight, dram = counted
    scratchpad_rate, accumulator_rate, dram_rate, cycles_per_step = rates
    scratchpad = scratchpad_input * widths[0] + scratchpad_weight * widths[1]
    busiest = array_steps * cycles_per_step
    if accumulator_rate > 0.0:
        busiest = max(busiest, accumulator / (accumulator_rate * columns))
    else:
        scratchpad += accumulator * widths[3]
    busiest = max(busiest, scratchpad / scratchpad_rate)
    busiest = busiest + dram / dram_rate if serial else max(busiest, dram / dram_rate)
    return float(np.ceil(busiest * (1.0 - 1e-12)))  # math.ceil would wrap around beyond 2**63


@jit
def energy_of(mac: float, counted: Counts, energies: Energies) -> float:
    """Return pJ = accesses weighted by the energy of one."""
    _, register_bytes, accumulator, scratchpad_input, scratchpad_weight, dram = counted
    mac_pj, register_pj, accumulator_pj, input_pj, weight_pj, dram_pj = energies
    on_chip = mac_pj * mac + register_pj * register_bytes + accumulator_pj * accumulator
    return on_chip + input_pj * scratchpad_input + weight_pj * scratchpad_weight + dram_pj * dram
