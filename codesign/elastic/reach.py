"""How far heads see once their spans are learned: small numbers, which a trained network keeps and a setting gets."""

from __future__ import annotations

from dataclasses import replace

from codesign.elastic.architecture import Architecture
from codesign.elastic.setting import LayerSetting, Setting

Reach = tuple[tuple[int, ...], ...]
"""Of each head (column) of each layer (row) of an architecture: the keys that it sees to one side, the query's own
included, at most the context; it sees distances 0..reach - 1. Empty = nothing is learned, all see all."""


def limited(setting: Setting, reach: Reach, a: Architecture) -> Setting:
    """Return the sub-network in which no layer sees farther than its farthest-seeing head has learned.

    What the setting hides stays hidden. A learned reach to both sides is an odd number of keys, so of two spans the
    smaller one hides all that the other does.
    """
    if not reach:
        return setting
    layers = (_limited(layer, max(reach[i][: layer.heads], default=0), a) for i, layer in enumerate(setting.layers))
    return replace(setting, layers=tuple(layers))


def _limited(layer: LayerSetting, reach: int, a: Architecture) -> LayerSetting:
    if layer.heads == 0:
        return layer
    keys = reach if a.causal else 2 * reach - 1
    return replace(layer, span=min(keys, layer.span or keys))
