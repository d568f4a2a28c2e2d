"""What a transformer computes: the matrix products and the element-wise operations of a shape in a scenario.

The only place that knows. One pass over a batch of sequences is listed; prefill passes all tokens at once, decode one
new token a sequence, with the keys and values of earlier tokens (and of the source, for cross-attention) in a cache.

Counted in full although an implementation may save it: scores above the diagonal under a causal mask. A span shortens
what each query sees to span keys, so scores and context are products of all queries with span keys and values. Counted
too little there: in prefill the queries of a sequence see different keys, so a band reads all (context) keys and values
at least once and not span of them; in decode, where one query asks, the count is exact.
Left out: biases of matrix products (an accumulator starts from them), scaling by constants (folded into weights),
masking, the angle table of rotary positions, the pass of the argmax or sampling over the logits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from codesign.checks import check_scenario, check_shape
from codesign.design import Family, IntArray, ModelShape, Scenario, Stack
from codesign.operations import VECTOR_KINDS, Label, Matmuls, VectorOperations, Workload, effective_macs, macs, operands

__all__ = [
    "VECTOR_KINDS",
    "Label",
    "Matmuls",
    "VectorOperations",
    "Workload",
    "effective_macs",
    "macs",
    "workload",
]

Column = IntArray | int  # broadcasts to (n, L)


class _Matmul(NamedTuple):
    operation: str
    m: Column
    k: Column
    n: Column
    times: Column = 1


class _Vector(NamedTuple):
    operation: str
    kind: str
    elements: Column


class _Part(NamedTuple):
    """Operations of some layers, or outside the layers; sizes are m, k, n, count by product."""

    labels: tuple[Label, ...]
    sizes: IntArray  # (4, n, P)
    vectors: VectorOperations


class _Attention(NamedTuple):
    """One attention sublayer of a pass: how many tokens ask, and what they see."""

    prefix: str  # of its operations: empty, or cross_ where it looks at the encoder
    queries: int  # tokens a sequence that ask
    fresh: int  # tokens a sequence whose keys and values are computed in this pass; the others are cached
    context: int  # tokens a sequence that are seen


class _Pass(NamedTuple):
    """What one stack does in a scenario."""

    stack: Stack
    tokens: int  # processed a sequence
    attentions: tuple[_Attention, ...]


def workload(shape: ModelShape, scenario: Scenario) -> Workload:
    """Return the operations of the n designs of `shape`, layer by layer in the order of the forward pass."""
    check_shape(shape)
    check_scenario(shape.family, scenario)
    passes = _passes(shape.family, scenario)
    parts = [part for current in passes for part in _stack(shape, scenario.batch, current)]
    return _join(shape, [*parts, _heads(shape, scenario.batch, passes)])


def _passes(family: Family, scenario: Scenario) -> list[_Pass]:
    """Which stacks run, on how many tokens; in decode the encoder has run before."""
    source, target = scenario.sequence_length, scenario.target_length
    decode = scenario.phase == "decode"
    if len(family.stacks) == 1:
        tokens = 1 if decode else source
        return [_Pass(family.stacks[0], tokens, (_Attention("", tokens, tokens, source),))]
    tokens = 1 if decode else target
    cross = _Attention("cross_", tokens, 0 if decode else source, source)
    decoder = _Pass("decoder", tokens, (_Attention("", tokens, tokens, target), cross))
    encoder = _Pass("encoder", source, (_Attention("", source, source, source),))
    return [decoder] if decode else [encoder, decoder]


def _stack(shape: ModelShape, batch: int, current: _Pass) -> list[_Part]:
    """One stack from its embedding to its final norm."""
    parts = [_embedding(shape, batch, current), _layers(shape, batch, current)]
    if shape.family.final_norm:
        norm = _Vector("final_norm", "norm", batch * current.tokens * shape.hidden[:, None])
        parts.append(_repeat(len(shape), [Label(current.stack, -1, "")], [], [norm]))
    return parts


def _embedding(shape: ModelShape, batch: int, current: _Pass) -> _Part:
    """Look-ups, their sum, norm and projection at the entrance of a stack."""
    family, tokens, d = shape.family, batch * current.tokens, shape.hidden[:, None]  # (), (), (n, 1)
    width = np.full_like(d, family.embedding_width) if family.embedding_width else d
    tables = 1 + int(family.positions == "learned" and family.position_count > 0) + int(family.token_types > 0)
    vectors = [_Vector("embedding_lookup", "lookup", tables * tokens * width)]
    if tables > 1:
        vectors.append(_Vector("embedding_sum", "bias", (tables - 1) * tokens * width))
    if family.embedding_norm:
        vectors.append(_Vector("embedding_norm", "norm", tokens * width))
    matmuls = [_Matmul("embedding_projection", tokens, width, d)] if family.embedding_width else []
    return _repeat(len(shape), [Label(current.stack, -1, "")], matmuls, vectors)


def _layers(shape: ModelShape, batch: int, current: _Pass) -> _Part:
    """All layers of a stack; a removed sublayer has width 0 everywhere and so drops out by itself."""
    s = shape.family.stacks.index(current.stack)
    matmuls: list[_Matmul] = []
    vectors: list[_Vector] = []
    for attention in current.attentions:
        matmuls += _attention_matmuls(shape, s, batch, attention)
        vectors += _attention_vectors(shape, s, batch, attention)
    tokens, d, f = batch * current.tokens, shape.hidden[:, None], shape.ffn[:, s]  # (), (n, 1), (n, L)
    gated = shape.family.gated_ffn
    matmuls += [_Matmul("ffn_gate", tokens, d, f)] if gated else []
    matmuls += [_Matmul("ffn_up", tokens, d, f), _Matmul("ffn_down", tokens, f, d)]
    vectors.append(_Vector("activation", "activation", tokens * f))
    vectors += [_Vector("gate", "product", tokens * f)] if gated else []
    vectors += _norm_and_residual("ffn_", tokens * d * (f > 0))
    labels = [Label(current.stack, layer, "") for layer in range(shape.heads.shape[2])]
    return _repeat(len(shape), labels, matmuls, vectors)


def _attention_matmuls(shape: ModelShape, s: int, batch: int, attention: _Attention) -> list[_Matmul]:
    """Projections over all tokens of the batch; scores and context per sequence and key/value head.

    The G = heads / kv_heads query heads that share a key/value head (Ainslie 2023) are stacked into M, so the tile of
    keys or values is used G times.
    """
    prefix, queries, fresh, _ = attention
    d, H, KV = shape.hidden[:, None], shape.heads[:, s], shape.kv_heads[:, s]  # (n, 1), (n, L), (n, L)
    seen = _seen(shape, s, attention)
    width, value_width = shape.head_width[:, s], shape.value_width[:, s]  # (n, L)
    G = H // np.maximum(KV, 1)  # (n, L)
    return [
        _Matmul(prefix + "query", batch * queries, d, H * width),
        _Matmul(prefix + "key", batch * fresh, d, KV * width),
        _Matmul(prefix + "value", batch * fresh, d, KV * value_width),
        _Matmul(prefix + "scores", queries * G, width, seen, batch * KV),
        _Matmul(prefix + "context", queries * G, seen, value_width, batch * KV),
        _Matmul(prefix + "output", batch * queries, H * value_width, d),
    ]


def _seen(shape: ModelShape, s: int, attention: _Attention) -> Column:
    """Return how many keys each query sees; a span is about self-attention only."""
    if shape.spans is None or attention.prefix:
        return attention.context
    return np.minimum(shape.spans.span[:, s], attention.context)


def _attention_vectors(shape: ModelShape, s: int, batch: int, attention: _Attention) -> list[_Vector]:
    """Softmax over all scores; positions only in self-attention."""
    family, tokens, H = shape.family, batch * attention.queries, shape.heads[:, s]  # (), (), (n, L)
    scores = tokens * _seen(shape, s, attention) * H  # (n, L)
    vectors = [_Vector(attention.prefix + "softmax", "softmax", scores)]
    if not attention.prefix and family.positions == "relative" and family.position_count:
        vectors.append(_Vector("position_bias", "bias", scores))
    if not attention.prefix and family.positions == "rotary":
        turned = tokens * (H + shape.kv_heads[:, s]) * shape.head_width[:, s]
        vectors.append(_Vector("rotary", "rotary", turned))
    return vectors + _norm_and_residual(attention.prefix or "attention_", tokens * shape.hidden[:, None] * (H > 0))


def _norm_and_residual(prefix: str, elements: IntArray) -> list[_Vector]:
    return [_Vector(prefix + "norm", "norm", elements), _Vector(prefix + "residual", "residual", elements)]


def _heads(shape: ModelShape, batch: int, passes: list[_Pass]) -> _Part:
    """Pooler over the first token of the encoder, where that runs; language-model head over all tokens of the pass."""
    family, d = shape.family, shape.hidden[:, None]  # (n, 1)
    matmuls: list[_Matmul] = []
    vectors: list[_Vector] = []
    if family.pooler and passes[0].stack == "encoder":
        matmuls.append(_Matmul("pooler", batch, d, d))
        vectors.append(_Vector("pooler_activation", "activation", batch * d))
    if family.lm_head:
        matmuls.append(_Matmul("lm_head", batch * passes[-1].tokens, d, family.vocabulary))
    return _repeat(len(shape), [Label("", -1, "")], matmuls, vectors)


def _repeat(designs: int, places: list[Label], matmuls: list[_Matmul], vectors: list[_Vector]) -> _Part:
    """Spread operations over the L `places`; the operations of one place stay together."""
    axes = (designs, len(places))
    fields = ("m", "k", "n", "times")
    sizes = np.array([_spread([getattr(matmul, name) for matmul in matmuls], axes) for name in fields])  # (4, n, L*P)
    sizes *= (sizes > 0).all(axis=0)
    labels = tuple(place._replace(operation=matmul.operation) for place in places for matmul in matmuls)
    named = tuple(place._replace(operation=vector.operation) for place in places for vector in vectors)
    kinds = tuple(vector.kind for vector in vectors) * len(places)
    elements = _spread([vector.elements for vector in vectors], axes)
    return _Part(labels, sizes, VectorOperations(named, kinds, elements))


def _spread(columns: list[Column], axes: tuple[int, int]) -> IntArray:
    """Broadcast every column to (n, L) and lay them out as (n, L * columns), the columns of a layer side by side."""
    spread = np.empty((*axes, len(columns)), dtype=np.int64)
    for i, column in enumerate(columns):
        spread[:, :, i] = column
    return spread.reshape(axes[0], axes[1] * len(columns))


def _join(shape: ModelShape, parts: list[_Part]) -> Workload:
    """Put parts of the same designs one after another."""
    labels = tuple(label for part in parts for label in part.labels)
    m, k, n, count = np.concatenate([part.sizes for part in parts], axis=2)
    vectors = [part.vectors for part in parts]
    return Workload(
        Matmuls(labels, m, k, n, count, *operands(shape, labels, count > 0), structured=shape.family.structured),
        VectorOperations(
            tuple(label for part in vectors for label in part.labels),
            tuple(kind for part in vectors for kind in part.kinds),
            np.concatenate([part.elements for part in vectors], axis=1),
        ),
    )
