"""The operations of a forward pass as columns: what `workload` lists and the cost model maps.

One row a design, one column an operation; an operation that a design lacks has size 0 and stays in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from codesign.design import BoolArray, FloatArray, IntArray, ModelShape
from codesign.errors import InputError

MOST_MACS = 2**62

WITHOUT_WEIGHTS = ("scores", "context", "cross_scores", "cross_context")
"""Products of two activations."""

OF_THE_FFN = ("ffn_gate", "ffn_up", "ffn_down")

VECTOR_KINDS = ("softmax", "norm", "activation", "product", "residual", "bias", "rotary", "lookup")


class Label(NamedTuple):
    """Names one operation, the same in every design of a workload."""

    stack: str  # encoder, decoder, or empty for the pooler and the language-model head
    layer: int  # 0-based; -1 outside the layers (embeddings, final norm, pooler, head)
    operation: str


@dataclass(frozen=True)
class Matmuls:
    """P kinds of matrix product (M x K) @ (K x N), each done `count` times; count 0 (then M = K = N = 0) = absent.

    Sizes are dense: what a removed weight saves is for the cost to say. The K x N operand of scores and context are
    activations, as wide as their input and dense.
    """

    labels: tuple[Label, ...]
    m: IntArray  # (n, P) rows, i.e. tokens
    k: IntArray  # (n, P) reduction
    n: IntArray  # (n, P) outputs
    count: IntArray  # (n, P)
    input_bits: IntArray  # (n, P) of a number of the M x K operand; 0 = the shape does not say
    weight_bits: IntArray  # (n, P) of a number of the K x N operand; 0 = the shape does not say
    weight_density: FloatArray  # (n, P) fraction of the K x N operand that is not zero; 1 = dense
    structured: bool  # the zeros of a K x N operand are whole rows of it, i.e. steps of the reduction


@dataclass(frozen=True)
class VectorOperations:
    """V operations without a reduction over weights."""

    labels: tuple[Label, ...]
    kinds: tuple[str, ...]  # V of VECTOR_KINDS
    elements: IntArray  # (n, V) elements produced; 0 = absent


@dataclass(frozen=True)
class Workload:
    """All operations of n shapes in one scenario."""

    matmuls: Matmuls
    vectors: VectorOperations


def macs(workload: Workload) -> IntArray:
    """Return (n,) multiply-accumulates of all matrix products; the literature's FLOPs are twice that.

    Raises:
        InputError: more than MOST_MACS, which integers would no longer hold.
    """
    products = workload.matmuls
    largest = (products.m.astype(np.float64) * products.k * products.n * products.count).sum(axis=1).max(initial=0.0)
    if largest > MOST_MACS:
        raise InputError(f"model: {largest:.3g} multiply-accumulates in one pass cannot be counted; make it smaller")
    return np.asarray((products.m * products.k * products.n * products.count).sum(axis=1))


def effective_macs(workload: Workload) -> FloatArray:
    """Return (n,) multiply-accumulates with a weight that is not zero: `macs` times density."""
    products = workload.matmuls
    dense = products.m.astype(np.float64) * products.k * products.n * products.count
    return np.asarray((dense * products.weight_density).sum(axis=1))


def operands(shape: ModelShape, labels: tuple[Label, ...], present: BoolArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Return input bits, weight bits and weight density of the products, (n, P) each; present is (n, P).

    A group that the shape lacks takes no memory: one number is seen as a whole column. Products outside the layers
    (embedding projection, pooler, output projection) are not covered by any group.
    """
    inside = np.array([label.layer >= 0 for label in labels])  # (P,)
    stack = np.array([shape.family.stacks.index(label.stack) if label.layer >= 0 else 0 for label in labels])
    layer = np.array([max(label.layer, 0) for label in labels])
    activations = np.array([label.operation in WITHOUT_WEIGHTS for label in labels])
    feeds = np.array([label.operation in OF_THE_FFN for label in labels])
    covered = present & inside
    input_bits = weight_bits = np.broadcast_to(np.int64(0), present.shape)
    density = np.broadcast_to(np.float64(1), present.shape)
    if shape.precision is not None:
        input_bits = shape.precision.activation_bits[:, stack, layer] * covered
        weight_bits = np.where(activations, input_bits, shape.precision.weight_bits[:, stack, layer] * covered)
    if shape.sparsity is not None:
        kept = np.where(feeds, shape.sparsity.ffn_density[:, stack, layer],
                        shape.sparsity.attention_density[:, stack, layer])  # fmt: skip
        density = np.where(covered & ~activations, kept, 1.0)
    return input_bits, weight_bits, density
