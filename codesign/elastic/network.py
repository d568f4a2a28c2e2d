"""The forward pass of a sub-network from its ready tensors; elastic and extracted models share it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from codesign.elastic.architecture import Architecture
from codesign.elastic.compression import LayerWeights
from codesign.elastic.parts import Affine
from codesign.elastic.reach import keys_seen
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.spans import SoftSpans
from codesign.elastic.sublayers import activation_of, affine, attention, feed_forward, normalised, visible
from codesign.elastic.weights import Weights
from codesign.errors import InputError


class Batch(NamedTuple):
    """What goes through a network."""

    tokens: Tensor  # (b, t) long, t at most the context
    real: Tensor | None = None  # (b, t) True where a token is no padding; None = everywhere
    segments: Tensor | None = None  # (b, t) long token types; None = all 0


def outputs(
    batch: Batch, weights: Weights, setting: Setting, a: Architecture, spans: SoftSpans | None = None
) -> Tensor | list[Tensor]:
    """Return the outputs of a sub-network: see `Elastic.forward`."""
    x = _embedded(batch, weights, a)
    states = []
    for i, (layer, of_layer) in enumerate(zip(weights.layers, setting.layers, strict=True)):
        bias = None
        if spans is not None and of_layer.heads:
            bias = spans.bias(i, of_layer.heads, x.shape[1])
        keys = keys_seen(of_layer, a, setting.reach[i] if setting.reach else 0)
        seen = visible(x.shape[1], keys, a.causal, batch.real, bias, x.device) if of_layer.heads else None
        x = _layer(x, layer, of_layer, seen, a)
        states.append(x)
    if a.exits:
        return [_head(state, weights, i, batch.real, a) for i, state in enumerate(states)]
    return _head(x, weights, 0, batch.real, a)


def _embedded(batch: Batch, weights: Weights, a: Architecture) -> Tensor:
    """(b, t, d) token, position and segment embeddings, normed and projected where the architecture does."""
    length = batch.tokens.shape[1]
    if length > a.context:
        raise InputError(f"tokens: expected at most {a.context} a sequence, the context of the model, got {length}")
    x = functional.embedding(batch.tokens, weights.tokens)
    if weights.positions is not None:
        x = x + weights.positions[:length]
    if weights.segments is not None:
        types = torch.zeros_like(batch.tokens) if batch.segments is None else batch.segments
        x = x + functional.embedding(types, weights.segments)
    if weights.embedding_norm is not None:
        x = normalised(x, weights.embedding_norm, a)
    return x if weights.projection is None else affine(x, weights.projection)


def _layer(x: Tensor, layer: LayerWeights, setting: LayerSetting, seen: Tensor | None, a: Architecture) -> Tensor:
    """(b, t, d) attention to what is seen, then FFN; a removed sublayer takes its norm and residual with it."""
    bits = setting.activation_bits
    if layer.attention_norm is not None:
        y = attention(_before(x, layer.attention_norm, a), layer, seen, bits, a)
        x = _after(x + y, layer.attention_norm, a)
    if layer.ffn_norm is not None:
        y = feed_forward(_before(x, layer.ffn_norm, a), layer, activation_of(a.activation), bits, a)
        x = _after(x + y, layer.ffn_norm, a)
    return x


def _before(x: Tensor, norm: Affine, a: Architecture) -> Tensor:
    return x if a.post_norm else normalised(x, norm, a)


def _after(x: Tensor, norm: Affine, a: Architecture) -> Tensor:
    return normalised(x, norm, a) if a.post_norm else x


def _head(x: Tensor, weights: Weights, i: int, real: Tensor | None, a: Architecture) -> Tensor:
    """Outputs of head i from the (b, t, d) state of its layer."""
    if a.task == "classification" and a.pooling == "first":
        x = x[:, 0]
    if weights.final_norm is not None:
        x = normalised(x, weights.final_norm, a)
    if a.task == "classification":
        x = _mean(x, real) if a.pooling == "mean" else x
        x = torch.tanh(affine(x, weights.poolers[i])) if weights.poolers else x
    return affine(x, weights.heads[i])


def _mean(x: Tensor, real: Tensor | None) -> Tensor:
    """(b, d) mean of (b, t, d) over the tokens that are no padding."""
    if real is None:
        return x.mean(dim=1)
    share = real[:, :, None].to(x.dtype)
    return (x * share).sum(dim=1) / share.sum(dim=1).clamp(min=1.0)
