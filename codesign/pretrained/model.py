"""A published network whose layers can be cut: transformers' model around layers of our form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from codesign.design import GROUP_FIELDS, GROUPS, ModelShape, Stack
from codesign.elastic.setting import LayerSetting
from codesign.layer_fields import MOST_BITS, where_read
from codesign.pretrained.kinds import KINDS, Kind, read_layer
from codesign.pretrained.layer import Layer


@dataclass(frozen=True)
class Checkpoint:
    """A network and what it was published as."""

    body: Any
    """The model of transformers, with layers of ours."""
    kind: Kind
    base: ModelShape
    """As published (n = 1)."""
    config: dict[str, Any]
    """The published `config.json`, verbatim."""

    def layers(self, stack: Stack) -> list[Layer]:
        """Return the layers of a stack in order; those that share weights are the same object."""
        return [cast(Layer, layer) for layer in container(self.body, self.kind, stack)]

    def ready(self) -> Checkpoint:
        """Return itself, to be measured and not trained."""
        self.body.eval()
        return self

    def on(self, device: str | torch.device) -> Checkpoint:
        """Return itself, moved to a device of torch."""
        self.body.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return cast(torch.device, next(self.body.parameters()).device)

    def states(self, tokens: Tensor, real: Tensor, segments: Tensor | None = None) -> Tensor:
        """Return (b, t, d) states after the last layer of the first stack.

        Args:
            tokens: (b, t).
            real: (b, t) True at tokens.
            segments: (b, t) 0 or 1, for networks that tell them apart; None = all tokens are of the first.
        """
        types = {"token_type_ids": segments} if segments is not None and self.base.family.token_types > 1 else {}
        bare = self.body.base_model
        first = bare.encoder if self.base.family.stacks == ("encoder", "decoder") else bare
        return cast(Tensor, first(input_ids=tokens, attention_mask=real.long(), **types).last_hidden_state)


def container(body: Any, kind: Kind, stack: Stack) -> nn.ModuleList:
    """Return where a model keeps the layers of a stack."""
    return cast(nn.ModuleList, body.base_model.get_submodule(kind.stacks[stack]))


def adopt(body: Any, base: ModelShape, config: dict[str, Any]) -> Checkpoint:
    """Return a model of transformers with its layers replaced by ours; the model is changed.

    Args:
        body: as transformers built it.
        base: what it is.
        config: its `config.json`.
    """
    kind = KINDS[config["model_type"]]
    for holder in [
        *(module.config for module in body.modules() if hasattr(module, "config")),
        getattr(body, "generation_config", None),
    ]:
        if holder is not None:
            holder.use_cache = False
    for s, stack in enumerate(base.family.stacks):
        theirs = container(body, kind, stack)
        read = [read_layer(layer, kind, stack, int(base.heads[0, s, 0])) for layer in theirs]
        depth = int(base.layers[0, s])
        set_layers(body, kind, stack, [read[i % len(read)] for i in range(depth)])
    return Checkpoint(body, kind, base, config)


def set_layers(body: Any, kind: Kind, stack: Stack, layers: list[Layer]) -> None:
    """Put layers into a stack; the bias that T5's first layer holds for all goes to the new first layer."""
    theirs = container(body, kind, stack)
    found = [getattr(layer, "relative", None) for layer in (*layers, *theirs)]
    for layer in layers:
        layer.relative = None
    layers[0].relative = next((relative for relative in found if relative is not None), None)
    del theirs[:]
    theirs.extend(layers)
    if hasattr(body.config, "num_hidden_groups"):
        # ALBERT picks a group for each layer; now each layer is one.
        body.config.num_hidden_layers = body.config.num_hidden_groups = len(layers)


def shape_of(checkpoint: Checkpoint) -> ModelShape:
    """Return what is left of a network as one design (n = 1): what counts and costs know.

    Layers that share weights by surgery are counted each, because a `Family` knows all or none; a pooler that the
    checkpoint lacks is not counted.
    """
    base = checkpoint.base
    found = [[layer.setting() for layer in checkpoint.layers(stack)] for stack in base.family.stacks]
    deepest = max(len(layers) for layers in found)

    def column(name: str) -> Any:
        rows = [[getattr(layer, name) for layer in layers] + [0] * (deepest - len(layers)) for layers in found]
        return np.array([rows])  # (1, S, L)

    heads, ffn = column("heads"), column("ffn")
    width = int(base.head_width.max()) * (heads > 0)
    read = where_read(heads > 0, ffn > 0)
    silent, groups = LayerSetting(0, 0), {}
    for group, kind in GROUPS.items():
        columns = {name: column(name) for name in GROUP_FIELDS[group]}
        if any(
            getattr(layer, name) != getattr(silent, name) for layers in found for layer in layers for name in columns
        ):
            groups[group] = kind(**{name: np.where(values == 0, _all_of(name, base), values) * read[name]
                                    for name, values in columns.items()})  # fmt: skip
    return replace(
        base,
        family=_family(checkpoint),
        layers=np.array([[len(layers) for layers in found]]),
        heads=heads, kv_heads=heads, head_width=width, value_width=width, ffn=ffn,
        **cast(dict[str, Any], groups),
    )  # fmt: skip


def _family(checkpoint: Checkpoint) -> Any:
    pooler = getattr(checkpoint.body.base_model, "pooler", None) is not None
    return msgspec.structs.replace(checkpoint.base.family, pooler=pooler)


def _all_of(name: str, base: ModelShape) -> int:
    """What a 0 in a column means: the longest context that the checkpoint knows, or floats."""
    if name == "span":
        return base.family.position_count if base.family.positions == "learned" else 2**20
    return MOST_BITS


def parameter_count(checkpoint: Checkpoint) -> int:
    """Return the trainable numbers of a network, shared ones once."""
    return sum(parameter.numel() for parameter in checkpoint.body.parameters())
