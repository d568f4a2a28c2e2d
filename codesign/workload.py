"""What a transformer computes: the matrix products and the element-wise operations of a shape in a scenario.

The only place that knows. One pass over a batch of sequences is listed; prefill passes all tokens at once, decode one
new token a sequence, with the keys and values of earlier tokens (and of the source, for cross-attention) in a cache.

Counted in full although an implementation may save it: scores above the diagonal under a causal mask.
Left out: biases of matrix products (an accumulator starts from them), scaling by constants (folded into weights),
masking, the angle table of rotary positions, the pass of the argmax or sampling over the logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from codesign.checks import check_scenario, check_shape
from codesign.design import Family, IntArray, ModelShape, Scenario, Stack
from codesign.errors import InputError

MOST_MACS = 2**62

VECTOR_KINDS = ("softmax", "norm", "activation", "product", "residual", "bias", "rotary", "lookup")


class Label(NamedTuple):
    """Names one operation, the same in every design of a workload."""

    stack: str  # encoder, decoder, or empty for the pooler and the language-model head
    layer: int  # 0-based; -1 outside the layers (embeddings, final norm, pooler, head)
    operation: str


@dataclass(frozen=True)
class Matmuls:
    """P kinds of matrix product (M x K) @ (K x N), each done `count` times; count 0 (then M = K = N = 0) = absent."""

    labels: tuple[Label, ...]
    m: IntArray  # (n, P) rows, i.e. tokens
    k: IntArray  # (n, P) reduction
    n: IntArray  # (n, P) outputs
    count: IntArray  # (n, P)


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
    return _join([*parts, _heads(shape, scenario.batch, passes)])


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


def _stack(shape: ModelShape, batch: int, current: _Pass) -> list[Workload]:
    """One stack from its embedding to its final norm."""
    parts = [_embedding(shape, batch, current), _layers(shape, batch, current)]
    if shape.family.final_norm:
        norm = _Vector("final_norm", "norm", batch * current.tokens * shape.hidden[:, None])
        parts.append(_repeat(len(shape), [Label(current.stack, -1, "")], [], [norm]))
    return parts


def _embedding(shape: ModelShape, batch: int, current: _Pass) -> Workload:
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


def _layers(shape: ModelShape, batch: int, current: _Pass) -> Workload:
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
    prefix, queries, fresh, context = attention
    d, H, KV = shape.hidden[:, None], shape.heads[:, s], shape.kv_heads[:, s]  # (n, 1), (n, L), (n, L)
    width, value_width = shape.head_width[:, s], shape.value_width[:, s]  # (n, L)
    G = H // np.maximum(KV, 1)  # (n, L)
    return [
        _Matmul(prefix + "query", batch * queries, d, H * width),
        _Matmul(prefix + "key", batch * fresh, d, KV * width),
        _Matmul(prefix + "value", batch * fresh, d, KV * value_width),
        _Matmul(prefix + "scores", queries * G, width, context, batch * KV),
        _Matmul(prefix + "context", queries * G, context, value_width, batch * KV),
        _Matmul(prefix + "output", batch * queries, H * value_width, d),
    ]


def _attention_vectors(shape: ModelShape, s: int, batch: int, attention: _Attention) -> list[_Vector]:
    """Softmax over all scores; positions only in self-attention."""
    family, tokens, H = shape.family, batch * attention.queries, shape.heads[:, s]  # (), (), (n, L)
    scores = tokens * attention.context * H  # (n, L)
    vectors = [_Vector(attention.prefix + "softmax", "softmax", scores)]
    if not attention.prefix and family.positions == "relative" and family.position_count:
        vectors.append(_Vector("position_bias", "bias", scores))
    if not attention.prefix and family.positions == "rotary":
        turned = tokens * (H + shape.kv_heads[:, s]) * shape.head_width[:, s]
        vectors.append(_Vector("rotary", "rotary", turned))
    return vectors + _norm_and_residual(attention.prefix or "attention_", tokens * shape.hidden[:, None] * (H > 0))


def _norm_and_residual(prefix: str, elements: IntArray) -> list[_Vector]:
    return [_Vector(prefix + "norm", "norm", elements), _Vector(prefix + "residual", "residual", elements)]


def _heads(shape: ModelShape, batch: int, passes: list[_Pass]) -> Workload:
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


def _repeat(designs: int, places: list[Label], matmuls: list[_Matmul], vectors: list[_Vector]) -> Workload:
    """Spread operations over the L `places`; the operations of one place stay together."""
    axes = (designs, len(places))
    fields = ("m", "k", "n", "times")
    sizes = np.array([_spread([getattr(matmul, name) for matmul in matmuls], axes) for name in fields])  # (4, n, L*P)
    m, k, n, count = sizes * (sizes > 0).all(axis=0)
    labels = tuple(place._replace(operation=matmul.operation) for place in places for matmul in matmuls)
    named = tuple(place._replace(operation=vector.operation) for place in places for vector in vectors)
    kinds = tuple(vector.kind for vector in vectors) * len(places)
    elements = _spread([vector.elements for vector in vectors], axes)
    return Workload(Matmuls(labels, m, k, n, count), VectorOperations(named, kinds, elements))


def _spread(columns: list[Column], axes: tuple[int, int]) -> IntArray:
    """Broadcast every column to (n, L) and lay them out as (n, L * columns), the columns of a layer side by side."""
    spread = np.empty((*axes, len(columns)), dtype=np.int64)
    for i, column in enumerate(columns):
        spread[:, :, i] = column
    return spread.reshape(axes[0], axes[1] * len(columns))


def _join(parts: list[Workload]) -> Workload:
    """Put workloads of the same designs one after another."""
    matmuls, vectors = [part.matmuls for part in parts], [part.vectors for part in parts]
    return Workload(
        Matmuls(
            tuple(label for part in matmuls for label in part.labels),
            *(np.concatenate([getattr(part, name) for part in matmuls], axis=1) for name in ("m", "k", "n", "count")),
        ),
        VectorOperations(
            tuple(label for part in vectors for label in part.labels),
            tuple(kind for part in vectors for kind in part.kinds),
            np.concatenate([part.elements for part in vectors], axis=1),
        ),
    )
