"""The matrices of one layer as its setting stores them: pruned first, then rounded to their number format."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from codesign.elastic.architecture import Architecture
from codesign.elastic.formats import quantised_weight
from codesign.elastic.parts import Affine
from codesign.elastic.pruning import ATTENTION_MATRICES, FFN_MATRICES, MovementScores, masked, masks
from codesign.elastic.setting import LayerSetting


class LayerWeights(NamedTuple):
    """One layer; None where a part is removed or absent."""

    attention_norm: Affine | None
    qkv: Affine | None  # (heads * 3 * head width, hidden), head by head
    output: Affine | None  # (hidden, heads * head width)
    ffn_norm: Affine | None
    gate: Affine | None  # (ffn, hidden)
    up: Affine | None  # (ffn, hidden)
    down: Affine | None  # (hidden, ffn)
    linear: Affine | None  # (hidden, hidden) the merged linear branch


def compressed(
    layer: LayerWeights, setting: LayerSetting, a: Architecture, scores: MovementScores | None, place: int
) -> LayerWeights:
    """Return the layer with the densities and weight bits of its setting; as it is where these change nothing.

    Args:
        layer: sliced weights.
        setting: of this layer.
        a: says what is removed at a time, and the number format.
        scores: movement scores of the whole model; None = prune by magnitude. In training dense layers have them
            learn too, as in Sanh's warm-up: else they would all be 0, and say nothing, when the first weights go.
        place: which layer it is.
    """
    learning = scores is not None and torch.is_grad_enabled() and next(scores.parameters()).requires_grad
    if setting.attention_density == setting.ffn_density == 1 and setting.weight_bits == 0 and not learning:
        return layer
    found = {name: getattr(layer, name) for name in (*ATTENTION_MATRICES, *FFN_MATRICES)}
    maps: dict[str, Affine] = {name: map_ for name, map_ in found.items() if map_ is not None}
    weights = {name: _stacked(name, map_.weight, a) for name, map_ in maps.items()}
    movement = {} if scores is None else {
        name: _stacked(name, scores.of(place, name, *map_.weight.shape), a) for name, map_ in maps.items()
    }  # fmt: skip
    kept = masks(movement or {name: weight.abs() for name, weight in weights.items()}, setting, a)
    pruned = {
        name: masked(weight, kept.get(name), movement[name] if learning else None) for name, weight in weights.items()
    }
    ready = {name: quantised_weight(weight, setting.weight_bits, a) for name, weight in pruned.items()}
    return layer._replace(**{name: Affine(_joined(name, ready[name], a), maps[name].bias) for name in maps})


def _stacked(name: str, matrix: Tensor, a: Architecture) -> Tensor:
    """(outputs, inputs) as (copies, outputs, inputs): query, key and value apart."""
    if name != "qkv":
        return matrix[None]
    return matrix.view(-1, 3, a.head_width, matrix.shape[1]).transpose(0, 1).flatten(1, 2)


def _joined(name: str, matrices: Tensor, a: Architecture) -> Tensor:
    """The inverse of `_stacked`."""
    if name != "qkv":
        return matrices[0]
    return matrices.view(3, -1, a.head_width, matrices.shape[2]).transpose(0, 1).flatten(0, 2)
