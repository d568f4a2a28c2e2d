"""A sub-network as a network of its own: torch modules of exactly its size, and their file.

Densities and weight bits are baked into the weights: removed weights are stored zeros, rounded ones stored floats.
Spans and activation bits are how the network computes, so they stay part of it.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from codesign.elastic.architecture import Architecture, check_architecture, check_setting
from codesign.elastic.compression import LayerWeights
from codesign.elastic.network import Batch, outputs
from codesign.elastic.parts import Affine
from codesign.elastic.setting import Setting
from codesign.elastic.transformer import Elastic
from codesign.elastic.weights import Weights, weights_of
from codesign.errors import InputError

_MATRICES = ("qkv", "output", "gate", "up", "down", "linear")
_NORMS = ("attention_norm", "ffn_norm")


class StandAlone(nn.Module):
    """One sub-network, trainable by itself.

    Its parts are `nn.Embedding`, `nn.Linear` and the norm of the architecture; a layer is a dict of those that it has,
    named as in `LayerWeights` (`qkv` rows head by head: query, key, value).
    """

    def __init__(self, architecture: Architecture, setting: Setting, weights: Weights) -> None:
        super().__init__()
        self.architecture, self.setting = architecture, setting
        self.tokens = _embedding(weights.tokens)
        self.positions = None if weights.positions is None else _embedding(weights.positions)
        self.segments = None if weights.segments is None else _embedding(weights.segments)
        self.embedding_norm = None if weights.embedding_norm is None else self._norm(weights.embedding_norm)
        self.projection = None if weights.projection is None else _linear(weights.projection)
        stored = weights.layers[:1] if architecture.shared_layers else weights.layers
        self.layers = nn.ModuleList(self._layer(layer) for layer in stored)
        self.final_norm = None if weights.final_norm is None else self._norm(weights.final_norm)
        self.poolers = nn.ModuleList(_linear(pooler) for pooler in weights.poolers)
        tied = architecture.task == "language_model" and architecture.tied_embeddings
        self.heads = nn.ModuleList(_linear(head) for head in (() if tied else weights.heads))

    def forward(
        self, tokens: Tensor, *, real: Tensor | None = None, segments: Tensor | None = None
    ) -> Tensor | list[Tensor]:
        """Return what `Elastic.forward` returns for the sub-network."""
        return outputs(Batch(tokens, real, segments), self._weights(), self.setting, self.architecture)

    def _layer(self, layer: LayerWeights) -> nn.ModuleDict:
        maps = {name: getattr(layer, name) for name in (*_NORMS, *_MATRICES)}
        return nn.ModuleDict({
            name: self._norm(map_) if name in _NORMS else _linear(map_)
            for name, map_ in maps.items() if map_ is not None
        })  # fmt: skip

    def _norm(self, norm: Affine) -> nn.Module:
        width, epsilon = len(norm.weight), self.architecture.norm_epsilon
        if norm.bias is None:
            return _filled(nn.RMSNorm(width, eps=epsilon), norm)
        return _filled(nn.LayerNorm(width, eps=epsilon), norm)

    def _weights(self) -> Weights:
        """The tensors of the modules, as the forward pass wants them."""
        layers = [self._ready(layer) for layer in self.layers]
        tokens = self.tokens.weight
        return Weights(
            tokens=tokens,
            positions=None if self.positions is None else self.positions.weight,
            segments=None if self.segments is None else self.segments.weight,
            embedding_norm=None if self.embedding_norm is None else _affine(self.embedding_norm),
            projection=None if self.projection is None else _affine(self.projection),
            layers=tuple(layers[i % len(layers)] for i in range(len(self.setting.layers))),
            final_norm=None if self.final_norm is None else _affine(self.final_norm),
            poolers=tuple(_affine(pooler) for pooler in self.poolers),
            heads=tuple(_affine(head) for head in self.heads) or (Affine(tokens, None),),
        )

    def _ready(self, layer: nn.Module) -> LayerWeights:
        assert isinstance(layer, nn.ModuleDict)
        return LayerWeights(**{
            name: _affine(layer[name]) if name in layer else None for name in LayerWeights._fields
        })  # fmt: skip


def extract(model: Elastic, setting: Setting) -> StandAlone:
    """Return the sub-network as a module of its own, with copies of the weights.

    Its parameters are those that `codesign.parameters` counts of `shape_of`, besides classifiers, answer heads, the
    poolers of all exits but one, and merged linear branches, which a `ModelShape` does not know.

    Raises:
        InputError: the setting is no sub-network of the model.
    """
    with torch.no_grad():
        return StandAlone(model.architecture, setting, weights_of(model, setting))


def save_network(network: StandAlone, path: Path) -> None:
    """Write a network as safetensors, with architecture and setting in its header; the file appears whole or not."""
    header = {
        "format": "codesign.elastic 1",
        "architecture": msgspec.json.encode(network.architecture).decode(),
        "setting": msgspec.json.encode(network.setting).decode(),
    }
    partial = path.with_name(path.name + ".partial")
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, partial, metadata=header)
    os.replace(partial, path)


def read_network(path: Path) -> StandAlone:
    """Return the network that `save_network` wrote.

    Raises:
        InputError: the file is missing, corrupt, or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        architecture = msgspec.json.decode(header["architecture"], type=Architecture)
        setting = msgspec.json.decode(header["setting"], type=Setting)
        check_architecture(architecture)
        check_setting(architecture, setting)
        network = extract(Elastic(architecture), setting)
        network.load_state_dict(state)
    except (OSError, SafetensorError, KeyError, msgspec.MsgspecError, RuntimeError) as error:
        raise InputError(f"{path}: expected a network written by save_network, got: {error}") from error
    return network


def _embedding(weight: Tensor) -> nn.Embedding:
    copied = weight.detach().clone(memory_format=torch.contiguous_format)
    return nn.Embedding(copied.shape[0], copied.shape[1], _weight=copied)


def _linear(map_: Affine) -> nn.Module:
    outputs_, inputs = map_.weight.shape
    linear = nn.Linear(inputs, outputs_, bias=map_.bias is not None, device="meta")  # no time for weights to overwrite
    return _filled(linear.to_empty(device=map_.weight.device), map_)


def _filled(module: nn.Module, map_: Affine) -> nn.Module:
    """Copy weight and bias into a module of their size."""
    state = {"weight": map_.weight} | ({} if map_.bias is None else {"bias": map_.bias})
    module.load_state_dict(state)
    return module


def _affine(module: nn.Module) -> Affine:
    weight, bias = module.weight, getattr(module, "bias", None)
    assert isinstance(weight, Tensor)
    return Affine(weight, bias)
