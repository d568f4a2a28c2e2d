"""Costs of everything that is not a matmul: passes of a vector unit over accumulator words.

Each operation sends its elements through the lanes a fixed number of times; a pass reads each element from the
accumulator once. Operands that are no longer on chip (the skipped-around side of a residual, rows of an embedding)
come from DRAM. Cycles = max(passes over the lanes, DRAM transfer), one operation after the other, not overlapped with
matmuls.

Source: passes from Kim et al. 2023 (arXiv 2302.14017), Sec. 2.1.1 and 3.3 (softmax: maximum, exponential and sum,
normalise; LayerNorm: mean, deviation, apply; one vector of lanes a cycle). Left out: rows of a softmax or norm that do
not fit into the accumulator and spill, and (de)quantisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.cost.technology import Technology
from codesign.cost.unit_costs import accumulator_energy_pj
from codesign.design import Accelerator, FloatArray
from codesign.workload import VectorOperations

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


@dataclass(frozen=True)
class VectorCosts:
    """Costs of V vector operations of n designs."""

    cycles: FloatArray  # (n, V)
    vector_pj: FloatArray  # (n, V) in the lanes
    accumulator_pj: FloatArray  # (n, V)
    dram_pj: FloatArray  # (n, V)


def vector_costs(operations: VectorOperations, accelerator: Accelerator, technology: Technology) -> VectorCosts:
    """Cost the vector operations of n designs, each on its own accelerator."""
    passes = np.array([PASSES[kind] for kind in operations.kinds], dtype=np.float64)
    fetched = np.array([kind in FETCHED for kind in operations.kinds], dtype=np.float64)
    elements = operations.elements.astype(np.float64)  # (n, V)
    dram_bytes = elements * fetched * technology.tensors.operand_bits / 8
    through_lanes = np.ceil(elements / accelerator.vector_lanes[:, None]) * passes
    from_dram = np.ceil(dram_bytes / accelerator.dram_bytes_per_cycle[:, None])
    return VectorCosts(
        cycles=np.maximum(through_lanes, from_dram),
        vector_pj=elements * passes * technology.vector_unit.energy_pj_per_element.value,
        accumulator_pj=elements * passes * accumulator_energy_pj(technology, accelerator)[:, None],
        dram_pj=dram_bytes * technology.dram.energy_pj_per_byte.value,
    )
