"""What a layer with one head costs in an elastic network: a check that no part of the space is trained badly.

Heads are taken from one layer at a time and all else stays. Networks that are trained on their own lose little by that
(docs/accuracy.md, "The study"); where an elastic network loses much, its first head in that layer has not learned to do
without the others, and the network ranks shapes with one head there too low.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from codesign.accuracy.paired import error_of_mean
from codesign.accuracy.supernet import Supernet
from codesign.design import ModelShape


def single_head_costs(network: Supernet, shapes: ModelShape) -> list[dict[str, Any]]:
    """Return one row a layer, of those of the shapes that have it.

    Args:
        network: a language model.
        shapes: n shapes of its space, of one stack; those of the rows have one head and all heads in the layer.

    Returns:
        layer, shapes, what one head instead of all costs in nats a token (mean over shapes), and its standard error
        over shapes.
    """
    rows, all_heads = [], network.card.architecture.heads
    for layer in range(int(shapes.layers.max())):
        deep = shapes.take(np.flatnonzero(shapes.layers[:, 0] > layer))
        one, most = (network.apart(_with_heads(deep, layer, count)).mean(axis=1) for count in (1, all_heads))
        rows.append({"layer": layer, "shapes": len(deep), "costs_nats": float((one - most).mean()),
                     "standard_error": float(error_of_mean((one - most)[None])[0])})  # fmt: skip
    return rows


def _with_heads(shapes: ModelShape, layer: int, count: int) -> ModelShape:
    heads = shapes.heads.copy()
    heads[:, 0, layer] = count
    return replace(shapes, heads=heads, kv_heads=heads)
