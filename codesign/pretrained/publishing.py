"""What is left of a network as a plain model of transformers, where its config can say it."""

from __future__ import annotations

from typing import Any

from codesign.pretrained.kinds import KINDS, write_layer
from codesign.pretrained.model import Checkpoint, container


def publishable(checkpoint: Checkpoint) -> bool:
    """Tell whether a config of transformers can express a network.

    All heads, FFNs of one width in all layers, whole contexts, floats, and weights shared as published. Zeros and
    rounded weights are numbers like others.
    """
    every = [layer for stack in checkpoint.base.family.stacks for layer in checkpoint.layers(stack)]
    heads, widths = int(checkpoint.base.heads.max()), {layer.setting().ffn for layer in every}
    whole = all(
        layer.setting().heads == heads and not layer.setting().span and not layer.activation_bits for layer in every
    )
    alike = all(
        len(set(layers)) == (1 if checkpoint.base.family.shared_layers else len(layers))
        for layers in (checkpoint.layers(stack) for stack in checkpoint.base.family.stacks)
    )
    return whole and alike and len(widths) == 1 and 0 not in widths


def published_form(checkpoint: Checkpoint) -> Any:
    """Return a model of transformers with the weights of a `publishable` network."""
    from transformers import AutoConfig

    kind = KINDS[checkpoint.config["model_type"]]
    stacks = checkpoint.base.family.stacks
    sizes: dict[str, Any] = {kind.depth[stack]: len(checkpoint.layers(stack)) for stack in stacks}
    sizes[kind.ffn] = checkpoint.layers(stacks[0])[0].setting().ffn
    config = AutoConfig.for_model(**{**checkpoint.config, **sizes})
    body = type(checkpoint.body)(config, **_options(checkpoint))
    names = {f"{kind.stacks[stack]}." for stack in stacks}
    rest = {name: value for name, value in checkpoint.body.state_dict().items()
            if not any(inside in name for inside in names)}  # fmt: skip
    body.load_state_dict(rest, strict=False)
    for stack in stacks:
        # strict: one published layer for all of ours (ALBERT) takes the first.
        for theirs, ours in zip(container(body, kind, stack), checkpoint.layers(stack), strict=False):
            write_layer(ours, theirs, kind)
    return body


def _options(checkpoint: Checkpoint) -> dict[str, bool]:
    lacks = checkpoint.base.family.pooler and getattr(checkpoint.body.base_model, "pooler", None) is None
    return {"add_pooling_layer": False} if lacks else {}
