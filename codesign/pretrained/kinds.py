"""Where transformers keeps the parts of a layer, for each kind of checkpoint: the only place that knows its names."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from codesign.design import Stack
from codesign.pretrained.layer import Attention, Calling, FeedForward, Layer, Map, RelativeBias


@dataclass(frozen=True)
class Sublayers:
    """Paths inside a layer. A linear map that stands as one with others has its place after '#'."""

    attention: dict[str, str]
    attention_norm: str
    ffn: dict[str, str]
    ffn_norm: str
    activation: str
    scaling: str
    """Of the module that knows what scores are multiplied with."""
    cross: dict[str, str] | None = None
    cross_norm: str = ""
    relative: str = ""
    """The table of biases, where the layer has one."""


@dataclass(frozen=True)
class Kind:
    """How a model of one `model_type` is taken apart."""

    stacks: dict[Stack, str]
    """Stack -> path of its layers, from the bare model."""
    sublayers: Callable[[nn.Module], Sublayers]
    depth: dict[Stack, str]
    """Stack -> key of the config for its layers."""
    ffn: str
    """Key of the config for the inner width of all FFNs."""
    calling: Calling = "plain"
    post_norm: bool = True


def _bert(_layer: nn.Module) -> Sublayers:
    inside = {name: f"attention.self.{name}" for name in ("query", "key", "value")}
    return Sublayers(
        attention={**inside, "output": "attention.output.dense"},
        attention_norm="attention.output.LayerNorm",
        ffn={"up": "intermediate.dense", "down": "output.dense"},
        ffn_norm="output.LayerNorm",
        activation="intermediate.intermediate_act_fn",
        scaling="attention.self",
    )


def _albert(_group: nn.Module) -> Sublayers:
    inside = {name: f"albert_layers.0.attention.{name}" for name in ("query", "key", "value")}
    return Sublayers(
        attention={**inside, "output": "albert_layers.0.attention.dense"},
        attention_norm="albert_layers.0.attention.LayerNorm",
        ffn={"up": "albert_layers.0.ffn", "down": "albert_layers.0.ffn_output"},
        ffn_norm="albert_layers.0.full_layer_layer_norm",
        activation="albert_layers.0.activation",
        scaling="albert_layers.0.attention",
    )


def _distilbert(_layer: nn.Module) -> Sublayers:
    names = {"query": "q_lin", "key": "k_lin", "value": "v_lin", "output": "out_lin"}
    return Sublayers(
        attention={ours: f"attention.{theirs}" for ours, theirs in names.items()},
        attention_norm="sa_layer_norm",
        ffn={"up": "ffn.lin1", "down": "ffn.lin2"},
        ffn_norm="output_layer_norm",
        activation="ffn.activation",
        scaling="attention",
    )


def _gpt2(_layer: nn.Module) -> Sublayers:
    inside = {name: f"attn.c_attn#{i}" for i, name in enumerate(("query", "key", "value"))}
    return Sublayers(
        attention={**inside, "output": "attn.c_proj"},
        attention_norm="ln_1",
        ffn={"up": "mlp.c_fc", "down": "mlp.c_proj"},
        ffn_norm="ln_2",
        activation="mlp.act",
        scaling="attn",
    )


def _t5(layer: nn.Module) -> Sublayers:
    last = len(attrgetter("layer")(layer)) - 1
    names = {"query": "q", "key": "k", "value": "v", "output": "o"}
    dense = f"layer.{last}.DenseReluDense"
    gated = hasattr(layer.get_submodule(dense), "wi_0")
    maps = {"gate": "wi_0", "up": "wi_1", "down": "wo"} if gated else {"up": "wi", "down": "wo"}
    own, other = "layer.0.SelfAttention", "layer.1.EncDecAttention"
    return Sublayers(
        attention={ours: f"{own}.{theirs}" for ours, theirs in names.items()},
        attention_norm="layer.0.layer_norm",
        ffn={ours: f"{dense}.{theirs}" for ours, theirs in maps.items()},
        ffn_norm=f"layer.{last}.layer_norm",
        activation=f"{dense}.act",
        scaling=own,
        cross={ours: f"{other}.{theirs}" for ours, theirs in names.items()} if last == 2 else None,
        cross_norm="layer.1.layer_norm" if last == 2 else "",
        relative=own if hasattr(layer.get_submodule(own), "relative_attention_bias") else "",
    )


KINDS: dict[str, Kind] = {
    "albert": Kind(
        {"encoder": "encoder.albert_layer_groups"}, _albert, {"encoder": "num_hidden_layers"}, "intermediate_size"
    ),
    "bert": Kind({"encoder": "encoder.layer"}, _bert, {"encoder": "num_hidden_layers"}, "intermediate_size"),
    "distilbert": Kind({"encoder": "transformer.layer"}, _distilbert, {"encoder": "n_layers"}, "hidden_dim"),
    "gpt2": Kind({"decoder": "h"}, _gpt2, {"decoder": "n_layer"}, "n_inner", calling="cached", post_norm=False),
    "t5": Kind(
        {"encoder": "encoder.block", "decoder": "decoder.block"},
        _t5,
        {"encoder": "num_layers", "decoder": "num_decoder_layers"},
        "d_ff",
        calling="relative",
        post_norm=False,
    ),
}
"""`model_type` of a checkpoint -> how it is taken apart."""


def read_layer(theirs: nn.Module, kind: Kind, stack: Stack, heads: int) -> Layer:
    """Return one of transformers' layers in our form, with copies of its weights."""
    where = kind.sublayers(theirs)
    layer = Layer(kind.calling, kind.post_norm)
    every = tuple(range(heads))
    scale = float(attrgetter(f"{where.scaling}.scaling")(theirs))
    causal = stack == "decoder"
    layer.attention = Attention(_maps(theirs, where.attention), every, scale, causal)
    layer.attention_norm = _copied(theirs, where.attention_norm)
    if where.cross is not None:
        layer.cross = Attention(_maps(theirs, where.cross), every, scale, causal=False)
        layer.cross_norm = _copied(theirs, where.cross_norm)
    maps = _maps(theirs, where.ffn)
    activation = attrgetter(where.activation)(theirs)
    layer.ffn = FeedForward(maps["up"], maps["down"], maps.get("gate"), activation)
    layer.ffn_norm = _copied(theirs, where.ffn_norm)
    if where.relative:
        attention: Any = theirs.get_submodule(where.relative)
        most = attention.relative_attention_max_distance
        table = copy.deepcopy(attention.relative_attention_bias)
        layer.relative = RelativeBias(table, attention._relative_position_bucket, not causal, most)
    return layer


@torch.no_grad()
def write_layer(layer: Layer, theirs: nn.Module, kind: Kind) -> None:
    """Copy the weights of a layer into one of transformers' that has its sizes."""
    where = kind.sublayers(theirs)
    for part, paths in ((layer.attention, where.attention), (layer.cross, where.cross), (layer.ffn, where.ffn)):
        for name, path in (paths or {}).items():
            ours = getattr(part, name)
            weight, bias = _views(theirs, path)
            weight.copy_(ours.weight)
            if bias is not None:
                bias.copy_(ours.bias)
    norms = ((layer.attention_norm, where.attention_norm), (layer.cross_norm, where.cross_norm),
             (layer.ffn_norm, where.ffn_norm))  # fmt: skip
    for norm, path in norms:
        if path and norm is not None:
            theirs.get_submodule(path).load_state_dict(norm.state_dict())
    if where.relative and isinstance(layer.relative, RelativeBias):
        table = attrgetter(f"{where.relative}.relative_attention_bias.weight")(theirs)
        table.copy_(layer.relative.table.weight)


def _copied(theirs: nn.Module, path: str) -> nn.Module:
    return copy.deepcopy(theirs.get_submodule(path))


def _maps(theirs: nn.Module, paths: dict[str, str]) -> dict[str, Map]:
    return {name: Map(*_views(theirs, path)) for name, path in paths.items()}


def _views(theirs: nn.Module, path: str) -> tuple[Tensor, Tensor | None]:
    """Matrix (outputs, inputs) and bias of a map of transformers, as views of its parameters."""
    name, _, part = path.partition("#")
    module: Any = theirs.get_submodule(name)
    weight, bias = module.weight.T if isinstance(module, Conv1D) else module.weight, module.bias
    if not part:
        return weight, bias
    return weight.chunk(3)[int(part)], bias.chunk(3)[int(part)]
