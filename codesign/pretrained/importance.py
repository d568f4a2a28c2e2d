"""How much heads and FFN units matter, to decide which of them stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from codesign.pretrained.layer import Attention, Layer, Map


@dataclass(frozen=True)
class LayerImportance:
    """Of one layer; None where a part is not there."""

    heads: Tensor | None  # (heads,)
    cross_heads: Tensor | None  # (heads,)
    units: Tensor | None  # (ffn,)


def magnitude(layer: Layer) -> LayerImportance:
    """Sum of |weight| of all matrices of a head or unit: needs no data, knows nothing of the task."""
    ffn = layer.ffn
    units = None
    if ffn is not None:
        into = [map_.weight.abs().sum(dim=1) for map_ in (ffn.up, ffn.gate) if map_ is not None]
        units = torch.stack([*into, ffn.down.weight.abs().sum(dim=0)]).sum(dim=0).detach()
    return LayerImportance(_head_magnitude(layer.attention), _head_magnitude(layer.cross), units)


def _head_magnitude(attention: Attention | None) -> Tensor | None:
    if attention is None:
        return None
    channels = [map_.weight.abs().sum(dim=1) for map_ in (attention.query, attention.key, attention.value)]
    total = torch.stack([*channels, attention.output.weight.abs().sum(dim=0)]).sum(dim=0)
    return total.view(-1, attention.head_width).sum(dim=1).detach()


def taylor(
    network: nn.Module, layers: Iterable[Layer], losses: Callable[[int], Tensor], batches: int
) -> dict[Layer, LayerImportance]:
    """First-order estimate of how much the loss changes if a head or unit gives zeros.

    I = mean over examples of | sum over tokens of z dL/dz |

    where:
        z  what a head or unit hands to the matrix that leads back into the residual stream
        L  loss of one example

    The sum is what weight x gradient, added up over the columns of that matrix which the head or unit owns, is for one
    example. Source: Michel 2019, eq. 2 (heads, a mask of ones before the output); Molchanov 2019, section 3.1
    (units). Ranks are compared inside a layer only, so no normalisation between layers.

    Args:
        network: gets gradients, which are cleared.
        layers: those to judge, each once.
        losses: number of a batch -> (b,) losses of its examples.
        batches: how many.
    """
    parts = {layer: _leading_back(layer) for layer in layers}
    sums: dict[Map, list[Tensor]] = {map_: [] for maps in parts.values() for map_ in maps if map_ is not None}
    for batch in range(batches):
        seen: dict[Map, list[Tensor]] = {map_: [] for map_ in sums}
        with ExitStack() as hooks:
            for map_ in sums:
                hooks.callback(map_.register_forward_pre_hook(_watch(seen)).remove)
            losses(batch).sum().backward()  # type: ignore[no-untyped-call]
        for map_, inputs in seen.items():
            # A layer that is used several times has several inputs; their effects on the loss add up.
            effect = torch.stack([(z.detach() * z.grad).sum(dim=1) for z in inputs if z.grad is not None])
            sums[map_].append(effect.sum(dim=0))
        network.zero_grad(set_to_none=True)
    return {layer: _importance(layer, maps, sums) for layer, maps in parts.items()}


def _leading_back(layer: Layer) -> tuple[Map | None, Map | None, Map | None]:
    """Maps into the residual stream: of attention, of attention to an encoder, of the FFN."""
    return (None if layer.attention is None else layer.attention.output,
            None if layer.cross is None else layer.cross.output,
            None if layer.ffn is None else layer.ffn.down)  # fmt: skip


def _watch(seen: dict[Map, list[Tensor]]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(map_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(map_, Map)
        inputs[0].retain_grad()
        seen[map_].append(inputs[0])

    return hook


def _importance(layer: Layer, maps: tuple[Map | None, ...], sums: dict[Map, list[Tensor]]) -> LayerImportance:
    heads, cross, units = (None if map_ is None else torch.cat(sums[map_]) for map_ in maps)  # (examples, channels)
    return LayerImportance(_by_head(heads, layer.attention), _by_head(cross, layer.cross),
                           None if units is None else units.abs().mean(dim=0))  # fmt: skip


def _by_head(effects: Tensor | None, attention: Attention | None) -> Tensor | None:
    if effects is None or attention is None:
        return None
    return effects.view(len(effects), -1, attention.head_width).sum(dim=2).abs().mean(dim=0)


def best(scores: Tensor, count: int) -> list[int]:
    """Return the places of the `count` highest scores, in order; of equal ones the first."""
    order = np.argsort(-scores.cpu().numpy(), kind="stable")[:count]
    return sorted(int(place) for place in order)
