"""How far heads see once their spans are learned: small numbers, which a trained network keeps and a setting gets."""

from __future__ import annotations

from dataclasses import replace

from codesign.elastic.architecture import Architecture
from codesign.elastic.setting import LayerSetting, Setting

Reach = tuple[tuple[int, ...], ...]
"""Of each head (column) of each layer (row) of an architecture: the keys that it sees to one side, the query's own
included, at most the context; it sees distances 0..reach - 1. Empty = nothing is learned, all see all."""


def keys_seen(layer: LayerSetting, a: Architecture, reach: int = 0) -> int:
    """Return how many keys a query sees, itself included: `span` of `sublayers.visible`; 0 = all.

    Args:
        layer: its span is all if it is the context or more, as in a shape.
        a: context, and whether both sides are seen.
        reach: of this layer in a `Setting`. A reach to both sides is an odd number of keys, so of two limits the
            smaller one hides all that the other does.
    """
    learned = _keys(reach, a)
    span = layer.span if layer.span < a.context else 0
    return min(span or learned, learned or span)


def limited(setting: Setting, reach: Reach, a: Architecture) -> Setting:
    """Return the sub-network in which no layer sees farther than its farthest-seeing head has learned.

    What the setting hides stays hidden. Where a span can say what was learned, it does, so that costs know it.
    """
    if not reach:
        return setting
    found = [_limited(layer, max(reach[i][: layer.heads], default=0), a) for i, layer in enumerate(setting.layers)]
    beyond = tuple(rest for _, rest in found)
    return replace(setting, layers=tuple(layer for layer, _ in found), reach=beyond if any(beyond) else ())


def _limited(layer: LayerSetting, farthest: int, a: Architecture) -> tuple[LayerSetting, int]:
    """Return the layer with the span that it has then, and the reach that no span can say."""
    keys = keys_seen(layer, a, farthest)
    if keys < a.context:
        return replace(layer, span=keys), 0
    return replace(layer, span=0), farthest if farthest < a.context else 0


def _keys(reach: int, a: Architecture) -> int:
    """Keys that a reach shows, 0 for one of 0."""
    return reach if a.causal or reach == 0 else 2 * reach - 1
