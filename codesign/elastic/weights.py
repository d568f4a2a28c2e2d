"""The ready tensors of one sub-network: sliced, then pruned and quantised where its setting says so.

Evaluating one setting on many windows makes them once (`weights_of`) and hands them to every forward pass. Dense
float weights are views of the model's parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor
from torch.nn import ModuleList

from codesign.elastic.architecture import check_setting
from codesign.elastic.compression import LayerWeights, compressed
from codesign.elastic.parts import Affine, Layer, Matrix
from codesign.elastic.setting import LayerSetting, Setting

if TYPE_CHECKING:
    from codesign.elastic.transformer import Elastic


class Weights(NamedTuple):
    """A whole sub-network of hidden size d."""

    tokens: Tensor  # (vocabulary, d or embedding width)
    positions: Tensor | None  # (context, d or embedding width)
    segments: Tensor | None  # (token types, d or embedding width)
    embedding_norm: Affine | None
    projection: Affine | None  # (d, embedding width)
    layers: tuple[LayerWeights, ...]
    final_norm: Affine | None
    poolers: tuple[Affine, ...]  # (d, d), one a head, or none
    heads: tuple[Affine, ...]  # (outputs, d): one, or with exits one a layer


def weights_of(model: Elastic, setting: Setting) -> Weights:
    """Return the ready tensors of a sub-network; gradients flow through them to the model's parameters.

    Args:
        model: the whole.
        setting: the sub-network.

    Raises:
        InputError: the setting is no sub-network of the model.
    """
    a, d = model.architecture, setting.hidden
    check_setting(a, setting)
    width = a.embedding_width or d
    # With exits, each layer has its head; else one head serves every depth.
    exits = range(len(setting.layers)) if a.exits else range(1)
    tokens = model.tokens[:, :width]
    heads = tuple(_matrix(model.heads, i).first(a.outputs, d) for i in exits) if model.heads else None
    return Weights(
        tokens=tokens,
        positions=None if model.positions is None else model.positions[:, :width],
        segments=None if model.segments is None else model.segments[:, :width],
        embedding_norm=None if model.embedding_norm is None else model.embedding_norm.first(width),
        projection=None if model.projection is None else model.projection.first(d, width),
        layers=_layers(model, setting),
        final_norm=None if model.final_norm is None else model.final_norm.first(d),
        poolers=tuple(_matrix(model.poolers, i).first(d, d) for i in exits) if model.poolers else (),
        heads=heads or (Affine(tokens, None),),
    )


def _matrix(matrices: ModuleList, i: int) -> Matrix:
    found = matrices[i]
    assert isinstance(found, Matrix)
    return found


def _layers(model: Elastic, setting: Setting) -> tuple[LayerWeights, ...]:
    """All layers, each sliced and compressed; shared ones once."""
    a, depth = model.architecture, len(setting.layers)
    ready = (
        compressed(_layer(model.layer_at(i), layer, a.head_width, setting.hidden), layer, a, model.scores, i)
        for i, layer in enumerate(setting.layers[: 1 if a.shared_layers else depth])
    )
    return tuple(ready) * (depth if a.shared_layers else 1)


def _layer(layer: Layer, setting: LayerSetting, head_width: int, d: int) -> LayerWeights:
    """Slice one layer of hidden size d."""
    inner, f = setting.heads * head_width, setting.ffn
    linear = None
    if layer.branch_up is not None and layer.branch_down is not None:
        branch = layer.branch_down
        merged = branch.weight[:d] @ layer.branch_up.weight[:, :d]
        linear = Affine(merged, None if branch.bias is None else branch.bias[:d])
    return LayerWeights(
        attention_norm=layer.attention_norm.first(d) if inner else None,
        qkv=layer.qkv.first(3 * inner, d) if inner else None,
        output=layer.output.first(d, inner) if inner else None,
        ffn_norm=layer.ffn_norm.first(d) if f or linear is not None else None,
        gate=layer.gate.first(f, d) if f and layer.gate is not None else None,
        up=layer.up.first(f, d) if f else None,
        down=layer.down.first(d, f) if f else None,
        linear=linear,
    )
