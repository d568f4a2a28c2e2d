"""Scores from what flows through the network: attention weights, head outputs, and states inside the FFNs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import torch
from torch import Tensor

from codesign.elastic.architecture import Architecture
from codesign.elastic.compression import LayerWeights
from codesign.elastic.formats import quantised_activation
from codesign.elastic.network import Batch, outputs
from codesign.elastic.parts import Affine
from codesign.elastic.reach import keys_seen
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.sublayers import affine, normalised, visible
from codesign.elastic.weights import Weights
from codesign.parameters import parameters
from codesign.scoring.candidate import Candidate

ETA = 0.99
"""Share of the variance that the counted components of W-PCA hold (Wang 2025, "W-PCA")."""


@torch.no_grad()
def attention_confidence(candidate: Candidate) -> float:
    """Mean over layers, heads and queries of a query's largest attention weight (Voita 2019): in (1 / t, 1].

    Layers without attention are left out of the mean; 0 where no layer has any.
    """
    found = [float(_attention_weights(*one[1:]).amax(dim=-1).mean()) for one in _attended(candidate)]
    return sum(found) / len(found) if found else 0.0


@torch.no_grad()
def softmax_confidence(candidate: Candidate) -> float:
    """Sum over layers of the mean over queries and keys of the largest attention weight among the heads.

    As in the released code of Serianni and Kalita (2023), whose column `zc_head_softmax_confidence` it is: the largest
    is taken along axis 1 of (b, h, t, t), among heads, not among keys as their text and Voita (2019) say.
    """
    return sum(float(_attention_weights(*one[1:]).amax(dim=1).mean()) for one in _attended(candidate))


@torch.no_grad()
def head_confidence(candidate: Candidate) -> float:
    """Sum over layers and over query, key and value of the mean over channels of the largest number among tokens.

    As in the released code of Serianni and Kalita (2023), whose column `zc_head_confidence` it is; their text defines
    it by the largest attention weight instead.
    """
    return sum(float(part.amax(dim=2).mean()) for one in _attended(candidate) for part in _projected(*one[1:]))


@torch.no_grad()
def w_pca(candidate: Candidate) -> float:
    """Non-embedding parameters times the sum over layers of the components of the FFN's inner states (Wang 2025).

    Components are the fewest that hold ETA of the variance over all tokens of the batch; states are those before the
    activation. With fewer tokens than inner units the count ends at the tokens.
    """
    counts = parameters(candidate.shape)
    size = int((counts["attention"] + counts["ffn"] + counts["norms"])[0])
    return float(size * sum(components(_inner(*one[1:]), ETA) for one in _fed(candidate)))


def components(states: Tensor, share: float) -> int:
    """Return the fewest principal components of (n, width) states that hold a share of their variance."""
    centred = states.double() - states.double().mean(dim=0)
    short = centred if len(centred) < centred.shape[1] else centred.T
    variance = torch.linalg.eigvalsh(short @ short.T).clamp(min=0).flip(0)
    held = variance.cumsum(0) / variance.sum().clamp(min=torch.finfo(torch.float64).tiny)
    return int((held < share).sum()) + 1


class Entry(NamedTuple):
    """A sublayer and what comes in, after the norm where that stands before it."""

    attends: bool
    """It is an attention, else an FFN."""
    x: Tensor  # (b, t, d)
    layer: LayerWeights
    setting: LayerSetting
    architecture: Architecture


def _attended(candidate: Candidate) -> Iterator[Entry]:
    return (entry for entry in sublayers(candidate)[0] if entry.attends)


def _fed(candidate: Candidate) -> Iterator[Entry]:
    return (entry for entry in sublayers(candidate)[0] if not entry.attends and entry.layer.up is not None)


def sublayers(candidate: Candidate) -> tuple[list[Entry], Tensor]:
    """Return all sublayers in their order, and the (b, t, d) states after the last one.

    The network is run one sublayer at a time: each is a network of half a layer, whose embeddings are the states so far
    and whose output layer is the identity.
    """
    a, ready = candidate.architecture, candidate.weights()
    plain = msgspec.structs.replace(a, task="language_model", classes=0, exits=False, pooler=False)
    x = _run(candidate.inputs, ready, None, candidate.setting, plain)
    places = torch.arange(candidate.inputs.numel()).view(candidate.inputs.shape)
    found = []
    for layer, setting in zip(ready.layers, candidate.setting.layers, strict=True):
        alone = Setting(candidate.setting.hidden, (setting,))
        for attends, norm in ((True, layer.attention_norm), (False, layer.ffn_norm)):
            if norm is None:
                continue
            found.append(Entry(attends, x if a.post_norm else normalised(x, norm, a), layer, setting, a))
            half = layer._replace(ffn_norm=None) if attends else layer._replace(attention_norm=None)
            states = ready._replace(
                tokens=x.flatten(0, 1), positions=None, segments=None, embedding_norm=None, projection=None
            )
            x = _run(places, states, half, alone, plain)
    return found, x


def _run(tokens: Tensor, weights: Weights, layer: LayerWeights | None, setting: Setting, a: Architecture) -> Tensor:
    """(b, t, d) states after one layer, or after the embeddings."""
    identity = Affine(torch.eye(setting.hidden), None)
    one = weights._replace(layers=() if layer is None else (layer,), final_norm=None, heads=(identity,))
    states = outputs(Batch(tokens), one, setting if layer else Setting(setting.hidden, ()), a)
    assert isinstance(states, Tensor)
    return states


def _projected(x: Tensor, layer: LayerWeights, setting: LayerSetting, a: Architecture) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value, (b, h, t, width) each."""
    assert layer.qkv is not None
    mixed = affine(quantised_activation(x, setting.activation_bits, a), layer.qkv)
    query, key, value = mixed.view(*x.shape[:2], -1, 3, a.head_width).permute(3, 0, 2, 1, 4).unbind(0)
    return query, key, value


def _attention_weights(x: Tensor, layer: LayerWeights, setting: LayerSetting, a: Architecture) -> Tensor:
    """(b, h, t, t) softmax over keys."""
    query, key, _ = (quantised_activation(one, setting.activation_bits, a) for one in _projected(x, layer, setting, a))
    scores = query @ key.transpose(-1, -2) / math.sqrt(a.head_width)
    tokens = x.shape[1]
    nothing_later = torch.ones(tokens, tokens, dtype=torch.bool).tril() if a.causal else None
    seen = visible(tokens, keys_seen(setting, a), a.causal, None, None, x.device)
    seen = nothing_later if seen is None else seen
    return (scores if seen is None else scores.masked_fill(~seen, -math.inf)).softmax(dim=-1)


def _inner(x: Tensor, layer: LayerWeights, setting: LayerSetting, a: Architecture) -> Tensor:
    """(b t, ffn) states before the activation; of a gated FFN, those of the path without it."""
    assert layer.up is not None
    return affine(quantised_activation(x, setting.activation_bits, a), layer.up).flatten(0, 1)
