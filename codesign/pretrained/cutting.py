"""Cutting one layer: heads, FFN units, removed sublayers, zeros and rounded weights. Layers are changed in place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from codesign.pretrained.layer import Attention, Layer, Map


def keep_heads(attention: Attention, places: Sequence[int]) -> None:
    """Keep the heads at `places` of those that are left, in order: rows of three maps, columns of the fourth."""
    width = attention.head_width
    channels = torch.tensor([place * width + i for place in places for i in range(width)])
    for name in ("query", "key", "value"):
        setattr(attention, name, _outputs(getattr(attention, name), channels))
    attention.output = _inputs(attention.output, channels)
    attention.heads = tuple(attention.heads[place] for place in places)


def keep_units(layer: Layer, places: Sequence[int]) -> None:
    """Keep the inner units of the FFN at `places`; none removes the FFN with its norm and residual."""
    if not places:
        layer.ffn = layer.ffn_norm = None
        return
    ffn, units = layer.ffn, torch.tensor(places)
    assert ffn is not None
    ffn.up, ffn.down = _outputs(ffn.up, units), _inputs(ffn.down, units)
    ffn.gate = None if ffn.gate is None else _outputs(ffn.gate, units)


def remove_attention(layer: Layer) -> None:
    """Remove attention, to an encoder too, with norms and residuals."""
    layer.attention = layer.cross = layer.attention_norm = layer.cross_norm = None


def compress(layer: Layer) -> None:
    """Make the maps of a layer compute with zeros and rounded weights, as its densities and bits say."""
    densities = {"attention": layer.attention_density, "ffn": layer.ffn_density}
    for part, maps in layer.matrices().items():
        for map_ in maps:
            map_.compress(densities[part], layer.weight_bits)


def _outputs(map_: Map, places: Tensor) -> Map:
    return Map(map_.weight[places], None if map_.bias is None else map_.bias[places])


def _inputs(map_: Map, places: Tensor) -> Map:
    return Map(map_.weight[:, places], map_.bias)
