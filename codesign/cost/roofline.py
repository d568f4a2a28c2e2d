"""The survey's analytical model: FLOPs, traffic, arithmetic intensity and roofline latency of every operation.

No mapper: an operation is split into the largest square tiles that fit on chip, and is bound by the array or by the
memory, whichever takes longer. It needs a shape and a scenario only, so that it says in microseconds where a
transformer is memory-bound; `codesign.cost.estimate` says what it costs on an accelerator.

Source: Kim et al. 2023 (arXiv 2302.14017), Sec. 3.3. The paper prints its tables but not all of its rules. Those of the
matmuls follow from Tab. 5, those per element from Tab. 3 and 10 (`PER_ELEMENT`), the sum of the two transfers from
Fig. 32; `codesign bench survey` holds them against every printed figure. All tensors are dense and as wide as in the
survey, whatever bits and densities a shape has. Left out: scales and shifts of norms (0.1 % of the traffic at 128
tokens), partial sums that leave the chip, fusion.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Literal, NamedTuple

import numpy as np

from codesign.design import BoolArray, Family, FloatArray, ModelShape, Scenario
from codesign.errors import InputError
from codesign.workload import Label, Matmuls, VectorOperations, Workload, workload

Traffic = Literal["compulsory", "tiled"]
"""compulsory: every tensor crosses once, 8-bit words, no biases (the survey's "ideal"). tiled: tiles are fetched
again, biases are read, and what a non-linear operation reads is 32 bits wide ("non-ideal")."""

OPERAND_BYTES = 1
WIDE_BYTES = 4
"""An output that a non-linear operation reads; also a word of the accumulator."""

WIDE_OUTPUTS = frozenset({"scores", "output", "ffn_gate", "ffn_up", "ffn_down", "pooler", "lm_head"})
"""Matmuls that softmax, a norm or an activation follows; in a gated FFN only a product follows ffn_up."""


class _Counts(NamedTuple):
    """What one element of a vector operation costs."""

    flops: float
    compulsory_bytes: float
    tiled_bytes: float


PER_ELEMENT = {
    "softmax": _Counts(4, 2, 5),
    "norm": _Counts(8, 2, 5),
    "activation": _Counts(10, 2, 5),
    "residual": _Counts(1, 2.5, 3),
    "product": _Counts(1, 3, 3),
    "bias": _Counts(1, 3, 3),
    "rotary": _Counts(3, 2, 2),
    "lookup": _Counts(0, 2, 2),
}
"""Softmax is determined by Tab. 3. Of the others only sums over a layer are: 2 (norm + residual) + 4 activation = 58
FLOPs and 17 bytes (Tab. 3 and 10), tiled 36 bytes (Tab. 5), each times the hidden size. Their split is ours: read and
write one word (tiled: 4 bytes and 1), a residual reads two; 17 is one less than that gives. The last four kinds do not
occur in the survey: additions, products and words as they are."""


@dataclass(frozen=True)
class Machine:
    """A square array and a vector unit behind a local memory, an L2 and DRAM, the same for all designs.

    Raises:
        InputError: a buffer that holds no tile, or a size or rate that is not positive.
    """

    array_width: int  # W: W x W PEs, W cycles a W x W x W tile
    vector_lanes: int  # elements a cycle
    l2_bytes: int
    scratchpad_bytes: int  # inputs and weights
    accumulator_bytes: int  # outputs, WIDE_BYTES each
    dram_bytes_per_cycle: float  # DRAM to L2
    local_bytes_per_cycle: float  # L2 to scratchpad and accumulator

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < float("inf"):
                raise InputError(f"machine.{name}: expected a positive number, got {value}")
        if min(self.l2_tile, self.local_tile) < 1:
            raise InputError("machine: l2_bytes, scratchpad_bytes and accumulator_bytes must hold a tile of 1 x 1")

    @property
    def l2_tile(self) -> int:
        """Side of the square tiles of which an input's and a weight's fill the L2."""
        return isqrt(self.l2_bytes // (2 * OPERAND_BYTES))

    @property
    def local_tile(self) -> int:
        """Side of the square tiles that fit into the scratchpad (two) and the accumulator (one)."""
        return min(isqrt(self.scratchpad_bytes // (2 * OPERAND_BYTES)), isqrt(self.accumulator_bytes // WIDE_BYTES))


SURVEY_MACHINE = Machine(
    array_width=16,
    vector_lanes=16,
    l2_bytes=2 * 2**20,
    scratchpad_bytes=256 * 2**10,
    accumulator_bytes=128 * 2**10,
    dram_bytes_per_cycle=64,
    local_bytes_per_cycle=16,
)
"""The defaults of Kim 2023, Sec. 3.3; its clock is 1 GHz."""


@dataclass(frozen=True)
class Roofline:
    """Columns over n designs and O operations: the P matmuls, then the V vector operations; 0 = absent."""

    labels: tuple[Label, ...]  # O
    flops: FloatArray  # (n, O)
    dram_bytes: FloatArray  # (n, O) between DRAM and L2: the survey's memory operations, MOPs
    local_bytes: FloatArray  # (n, O) between L2 and the local memories
    compute_cycles: FloatArray  # (n, O)
    memory_cycles: FloatArray  # (n, O)

    @property
    def cycles(self) -> FloatArray:
        """(n, O) the longer of computing and moving, perfectly overlapped."""
        return np.maximum(self.compute_cycles, self.memory_cycles)

    @property
    def memory_bound(self) -> BoolArray:
        """(n, O) whether moving takes longer than computing."""
        return np.asarray(self.memory_cycles > self.compute_cycles)

    def intensity(self, chosen: BoolArray | None = None) -> FloatArray:
        """(n,) FLOPs a DRAM byte over the chosen (O,) operations, or all; NaN for a design that has none of them."""
        picked = np.ones(len(self.labels), dtype=np.bool_) if chosen is None else chosen
        return _ratio(self.flops[:, picked].sum(axis=1), self.dram_bytes[:, picked].sum(axis=1))

    def intensities(self) -> FloatArray:
        """(n, O) FLOPs a DRAM byte of each operation; NaN where it is absent."""
        return _ratio(self.flops, self.dram_bytes)


def roofline(
    shape: ModelShape, scenario: Scenario, machine: Machine = SURVEY_MACHINE, traffic: Traffic = "tiled"
) -> Roofline:
    """Apply the survey's model to every operation of n designs on one machine."""
    work = workload(shape, scenario)
    dram, local = (_bytes(work, shape.family, tile, traffic) for tile in (machine.l2_tile, machine.local_tile))
    return Roofline(
        labels=work.matmuls.labels + work.vectors.labels,
        flops=operation_flops(work, shape.family),
        dram_bytes=dram,
        local_bytes=local,
        compute_cycles=np.hstack([_array_cycles(work.matmuls, machine), _lane_cycles(work.vectors, machine)]),
        # One transfer after the other: reading weights in decode runs at 1 / (1/64 + 1/16) = 12.8 bytes a cycle
        # (Fig. 32); an overlap of the two, 16 bytes a cycle, would make that row 18 % shorter than published.
        memory_cycles=dram / machine.dram_bytes_per_cycle + local / machine.local_bytes_per_cycle,
    )


def operation_flops(work: Workload, family: Family) -> FloatArray:
    """(n, P + V) FLOPs: K products and K - 1 additions an output, one more where a bias is added (Tab. 3)."""
    products = work.matmuls
    outputs = products.m.astype(np.float64) * products.n * products.count
    matmuls = outputs * (2.0 * products.k - 1 + _biased(products, family))
    return np.hstack([matmuls, work.vectors.elements * _per_element(work.vectors, "flops")])


def _bytes(work: Workload, family: Family, tile: int, traffic: Traffic) -> FloatArray:
    """(n, P + V) bytes that cross the border of a buffer which holds square tiles of side `tile`."""
    products = work.matmuls
    m, k, n = (column.astype(np.float64) for column in (products.m, products.k, products.n))
    inputs, weights, outputs = m * k * OPERAND_BYTES, k * n * OPERAND_BYTES, m * n
    if traffic == "compulsory":
        each = inputs + weights + outputs * OPERAND_BYTES
    else:
        width = np.where(_wide(products, family), WIDE_BYTES, OPERAND_BYTES) + _biased(products, family) * OPERAND_BYTES
        each = inputs * np.ceil(n / tile) + weights * np.ceil(m / tile) + outputs * width
    vectors = work.vectors.elements * _per_element(work.vectors, f"{traffic}_bytes")
    return np.hstack([each * products.count, vectors])


def _array_cycles(products: Matmuls, machine: Machine) -> FloatArray:
    """(n, P) W cycles for each of the array-sized tiles; a partial tile takes as long as a whole one."""
    side = machine.array_width
    m, k, n = (np.ceil(column / side) for column in (products.m, products.k, products.n))
    return np.asarray(m * k * n * side * products.count)


def _lane_cycles(operations: VectorOperations, machine: Machine) -> FloatArray:
    """(n, V) one cycle a vector of lanes, however many passes an operation makes."""
    return np.ceil(operations.elements / machine.vector_lanes)


def _biased(products: Matmuls, family: Family) -> FloatArray:
    """(P,) 1 where the weights have a bias, else 0."""
    with_bias = {"query": family.attention_bias, "key": family.attention_bias, "value": family.attention_bias}
    with_bias |= {"output": family.attention_bias, "ffn_gate": family.ffn_bias, "ffn_up": family.ffn_bias}
    with_bias |= {"ffn_down": family.ffn_bias, "pooler": True, "embedding_projection": True}
    return np.array([with_bias.get(_plain(label), False) for label in products.labels], dtype=np.float64)


def _wide(products: Matmuls, family: Family) -> BoolArray:
    """(P,) whether a non-linear operation reads the outputs."""
    wide = WIDE_OUTPUTS - {"ffn_up"} if family.gated_ffn else WIDE_OUTPUTS
    return np.array([_plain(label) in wide for label in products.labels], dtype=np.bool_)


def _plain(label: Label) -> str:
    """Name the operation alike in self-attention and in cross-attention."""
    return label.operation.removeprefix("cross_")


def _per_element(operations: VectorOperations, name: str) -> FloatArray:
    """(V,) one of the counts of each operation's kind."""
    return np.array([getattr(PER_ELEMENT[kind], name) for kind in operations.kinds], dtype=np.float64)


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Divide; NaN where there is nothing to divide by."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0))
