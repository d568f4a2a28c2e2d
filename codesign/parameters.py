"""How many weights a shape has, by the part that holds them, and how many bits they take.

Weights that a density removes count as parameters: the numbers are those of the dense shape. What they save is in
`stored_bits`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from codesign.checks import check_shape
from codesign.design import IntArray, LayerColumn, ModelShape


def parameters(shape: ModelShape) -> dict[str, IntArray]:
    """Return (n,) weights a part; the parts do not overlap.

    Cross-attention counts as attention. One token embedding serves all stacks; position tables, embedding norms and
    final norms are each stack's own. Counted are trainable numbers: rotary angles are none.
    """
    check_shape(shape)
    return {
        "attention": _over_layers(shape, _attention(shape)),
        "ffn": _over_layers(shape, _ffn(shape)),
        "norms": _norms(shape),
        "embeddings": _embeddings(shape),
        "positions": _positions(shape),
        "pooler": int(shape.family.pooler) * (shape.hidden**2 + shape.hidden),
        "lm_head": _lm_head(shape),
    }


def total_parameters(shape: ModelShape) -> IntArray:
    """Return (n,) all weights."""
    return np.asarray(sum(parameters(shape).values()))


def stored_bits(shape: ModelShape, operand_bits: int) -> IntArray:
    """Return (n,) bits that hold all weights of a shape, each matrix dense or with a bit mask, whichever is smaller.

    bits = z b + e,  z = round(density x elements)

    where:
        b  bits of one number: weight_bits, or `operand_bits` where the shape says none
        z  numbers that are not zero
        e  bits of the mask: one an element, or one a row where whole rows are removed (`Family.structured`)

    Embeddings, norms, biases, pooler and output projection are dense and `operand_bits` wide.

    Source: bit mask after NVMExplorer (Pentecost 2022), bitmask_utils.encoded_capacity (bits = nnz b + N).
    Left out: padding of numbers to bytes or banks.
    """
    matrices = _attention_matrices(shape) + _ffn_matrices(shape)
    inside = _over_layers(shape, np.asarray(sum(matrix.elements for matrix in matrices)))
    bits = sum(_stored(shape, matrix, operand_bits) for matrix in matrices)
    return (total_parameters(shape) - inside) * operand_bits + _over_layers(shape, np.asarray(bits))


class _Matrix(NamedTuple):
    """One weight matrix a layer, (n, S, L) each; all zeros where it is removed."""

    rows: IntArray  # inputs
    columns: IntArray  # outputs
    copies: IntArray | int  # of the same sizes
    density: LayerColumn | int

    @property
    def elements(self) -> IntArray:
        return self.rows * self.columns * self.copies


def _stored(shape: ModelShape, matrix: _Matrix, operand_bits: int) -> IntArray:
    """(n, S, L) bits of one matrix a layer."""
    width = operand_bits if shape.precision is None else shape.precision.weight_bits
    elements = matrix.rows * matrix.columns
    if shape.family.structured:
        kept, mask = np.rint(matrix.rows * matrix.density).astype(np.int64) * matrix.columns, matrix.rows
    else:
        kept, mask = np.rint(elements * matrix.density).astype(np.int64), elements
    return np.asarray(matrix.copies * np.minimum(elements * width, kept * width + mask))


def _over_layers(shape: ModelShape, weights: IntArray) -> IntArray:
    """Sum (n, S, L) to (n,); layers that share their weights count once."""
    counted = weights[:, :, :1] if shape.family.shared_layers else weights
    return np.asarray(counted.sum(axis=(1, 2)))


def _attentions(shape: ModelShape) -> IntArray:
    """(n, S, L) attention sublayers: two in a decoder that also attends to an encoder, none where removed."""
    in_stack = np.ones(len(shape.family.stacks), dtype=np.int64)
    if len(in_stack) == 2:
        in_stack[1] = 2
    return np.asarray((shape.heads > 0) * in_stack[:, None])


def _attention_matrices(shape: ModelShape) -> list[_Matrix]:
    """Query, key, value and output projections."""
    d, copies = shape.hidden[:, None, None], _attentions(shape)
    density = 1 if shape.sparsity is None else shape.sparsity.attention_density
    outward, inward = shape.heads * shape.value_width, shape.heads * shape.head_width
    widths = (inward, shape.kv_heads * shape.head_width, shape.kv_heads * shape.value_width)
    into = [_Matrix(np.broadcast_to(d, width.shape), width, copies, density) for width in widths]
    return [*into, _Matrix(outward, np.broadcast_to(d, outward.shape), copies, density)]


def _attention(shape: ModelShape) -> IntArray:
    """(n, S, L) query, key, value and output projections with their biases."""
    matrices = _attention_matrices(shape)
    biases = int(shape.family.attention_bias) * _attentions(shape) * sum(matrix.columns for matrix in matrices)
    return np.asarray(sum(matrix.elements for matrix in matrices) + biases)


def _ffn_matrices(shape: ModelShape) -> list[_Matrix]:
    """The matrix (gated: two) into the FFN and the one out of it."""
    d, f = np.broadcast_to(shape.hidden[:, None, None], shape.ffn.shape), shape.ffn
    density = 1 if shape.sparsity is None else shape.sparsity.ffn_density
    return [_Matrix(d, f, 2 if shape.family.gated_ffn else 1, density), _Matrix(f, d, 1, density)]


def _ffn(shape: ModelShape) -> IntArray:
    """(n, S, L) the matrices of the FFN with their biases."""
    matrices = _ffn_matrices(shape)
    biases = sum(matrix.columns * matrix.copies for matrix in matrices) * int(shape.family.ffn_bias)
    return np.asarray((shape.ffn > 0) * (sum(matrix.elements for matrix in matrices) + biases))


def _norms(shape: ModelShape) -> IntArray:
    """(n,) one norm a sublayer, and those after the embedding and after the last layer of each stack."""
    family, stacks = shape.family, len(shape.family.stacks)
    vectors = 2 if family.norm == "layernorm" else 1
    sublayers = _over_layers(shape, _attentions(shape) + (shape.ffn > 0))
    widths = (sublayers + stacks * int(family.final_norm)) * shape.hidden
    return vectors * (widths + stacks * int(family.embedding_norm) * _embedding_width(shape))


def _embedding_width(shape: ModelShape) -> IntArray:
    """(n,) width of the embedding tables."""
    width = shape.family.embedding_width
    return np.full_like(shape.hidden, width) if width else shape.hidden


def _embeddings(shape: ModelShape) -> IntArray:
    """(n,) token and segment tables, and the projection (with bias) of a factorised embedding (Lan 2020)."""
    family, width = shape.family, _embedding_width(shape)
    tables = (family.vocabulary + family.token_types) * width
    return tables + int(family.embedding_width > 0) * (width * shape.hidden + shape.hidden)


def _positions(shape: ModelShape) -> IntArray:
    """(n,) a learned table, or the relative bias (Raffel 2020): buckets x heads, one table for a whole stack.

    Where layers differ in heads, the table serves the widest and the others use its first columns.
    """
    rows, stacks = shape.family.position_count, len(shape.family.stacks)
    if shape.family.positions == "relative":
        return np.asarray(rows * shape.heads.max(axis=2).sum(axis=1))
    return stacks * rows * _embedding_width(shape)


def _lm_head(shape: ModelShape) -> IntArray:
    """(n,) an output projection of its own, without bias; 0 where it reuses the token embedding."""
    own = shape.family.lm_head and not shape.family.tied_embeddings
    return int(own) * shape.hidden * shape.family.vocabulary
