"""How many weights a shape has, by the part that holds them."""

from __future__ import annotations

import numpy as np

from codesign.checks import check_shape
from codesign.design import IntArray, ModelShape


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


def _attention(shape: ModelShape) -> IntArray:
    """(n, S, L) query, key, value and output projections with their biases."""
    d = shape.hidden[:, None, None]
    query, mixed = shape.heads * shape.head_width, shape.heads * shape.value_width
    key, value = shape.kv_heads * shape.head_width, shape.kv_heads * shape.value_width
    matrices = d * (query + key + value) + mixed * d
    biases = int(shape.family.attention_bias) * (query + key + value + d)
    return np.asarray(_attentions(shape) * (matrices + biases))


def _ffn(shape: ModelShape) -> IntArray:
    """(n, S, L) the matrix (gated: two) into the FFN and the one out of it, with their biases."""
    d, f = shape.hidden[:, None, None], shape.ffn
    inward = 2 if shape.family.gated_ffn else 1
    matrices = inward * d * f + f * d
    biases = int(shape.family.ffn_bias) * (inward * f + d)
    return np.asarray((f > 0) * (matrices + biases))


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
