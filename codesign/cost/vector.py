"""Costs of everything that is not a matmul: passes of a vector unit over accumulator words.

Each operation sends its elements through the lanes a fixed number of times; a pass reads each element from the
accumulator once. Operands that are no longer on chip (the skipped-around side of a residual, rows of an embedding)
come from DRAM. Operations on whole rows (softmax, norms) find their rows in the accumulator if they are fused with the
matmul before them (`fusion`); else the rows come from DRAM, written there and read again at accumulator width.
Cycles = max(passes over the lanes, DRAM transfer).

Source: passes from Kim et al. 2023 (arXiv 2302.14017), Sec. 2.1.1 and 3.3 (softmax: maximum, exponential and sum,
normalise; LayerNorm: mean, deviation, apply; one vector of lanes a cycle); 32-bit activations before every non-linear
operation from its Sec. 3.3. (De)quantisation happens on the way into and out of the accumulator, as in Gemmini's
scaling units, and takes no time of its own; without such units it is half of an inference (Sec. 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codesign.cost.technology import Technology
from codesign.cost.unit_costs import accumulator_energy_pj
from codesign.design import Accelerator, FloatArray

PASSES = {
    "softmax": 3,
    "norm": 3,
    "activation": 1,
    "product": 1,
    "residual": 1,
    "bias": 1,
    "rotary": 1,
    "lookup": 0,
}

FETCHED = {"residual", "lookup"}
"""Kinds that read one operand word an element from DRAM."""

ON_ROWS = {"softmax", "norm"}
"""Kinds that need whole rows of N elements at once."""


@dataclass(frozen=True)
class VectorCosts:
    """Costs of (n, V) vector operations."""

    lane_cycles: FloatArray  # (n, V)
    cycles: FloatArray  # (n, V) with the time of DRAM, which they overlap
    vector_pj: FloatArray  # (n, V) in the lanes
    accumulator_pj: FloatArray  # (n, V)
    dram_pj: FloatArray  # (n, V)
    dram_bytes: FloatArray  # (n, V)

    @property
    def energy_pj(self) -> FloatArray:
        """(n, V) all of it."""
        return np.asarray(self.vector_pj + self.accumulator_pj + self.dram_pj)


def vector_costs(
    kinds: Sequence[str],
    elements: FloatArray,
    accelerator: Accelerator,
    technology: Technology,
    *,
    rows_on_chip: bool = False,
) -> VectorCosts:
    """Cost vector operations of n designs, each on its own accelerator.

    Args:
        kinds: V of workload.VECTOR_KINDS.
        elements: (n, V).
        accelerator: n rows.
        technology: what one action costs.
        rows_on_chip: softmax and norms find whole rows in the accumulator, and leave them there.
    """
    tensors = technology.tensors
    passes = np.array([PASSES[kind] for kind in kinds], dtype=np.float64)
    fetched = np.array([(kind in FETCHED) * tensors.operand_bits / 8 for kind in kinds], dtype=np.float64)
    if not rows_on_chip:
        fetched = fetched + [(kind in ON_ROWS) * 2 * tensors.accumulator_bits / 8 for kind in kinds]
    dram_bytes = elements * fetched
    through_lanes = np.ceil(elements / accelerator.vector_lanes[:, None]) * passes
    from_dram = np.ceil(dram_bytes / accelerator.dram_bytes_per_cycle[:, None])
    return VectorCosts(
        lane_cycles=through_lanes,
        cycles=np.maximum(through_lanes, from_dram),
        vector_pj=elements * passes * technology.vector_unit.energy_pj_per_element.value,
        accumulator_pj=elements * passes * accumulator_energy_pj(technology, accelerator)[:, None],
        dram_pj=dram_bytes * technology.dram.energy_pj_per_byte.value,
        dram_bytes=dram_bytes,
    )
