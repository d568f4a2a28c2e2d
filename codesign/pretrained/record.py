"""The config.json of what is left of a network where transformers cannot express it, and that network again."""

from __future__ import annotations

import copy
from typing import Any, Literal

import msgspec

from codesign.design import Stack
from codesign.elastic.setting import LayerSetting
from codesign.pretrained.building import built
from codesign.pretrained.cutting import keep_heads, keep_units, remove_attention
from codesign.pretrained.layer import Layer
from codesign.pretrained.model import Checkpoint, set_layers
from codesign.pretrained.operating import describe


class LayerRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one layer is."""

    weights_of: int
    """The first layer of the stack that uses the same weights: itself, or one before it."""
    setting: LayerSetting
    heads: tuple[int, ...]
    """Places of its heads in the published network, which T5's biases go by."""
    cross_heads: tuple[int, ...]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A config.json of ours."""

    model_type: Literal["codesign_surgery"] = "codesign_surgery"
    published: dict[str, Any]
    """The config of the published checkpoint."""
    pooler: bool
    stacks: dict[Stack, tuple[LayerRecord, ...]]


def recorded(stored: Checkpoint) -> Record:
    """Return what is left of a network, without its weights."""
    stacks: dict[Stack, tuple[LayerRecord, ...]] = {}
    for stack in stored.base.family.stacks:
        layers = stored.layers(stack)
        stacks[stack] = tuple(
            LayerRecord(
                weights_of=layers.index(layer),
                setting=layer.setting(),
                heads=() if layer.attention is None else layer.attention.heads,
                cross_heads=() if layer.cross is None else layer.cross.heads,
            )
            for layer in layers
        )
    pooler = getattr(stored.body.base_model, "pooler", None) is not None
    return Record(published=stored.config, pooler=pooler, stacks=stacks)


def rebuilt(record: Record) -> Checkpoint:
    """Return a network of the sizes of a record, with weights of no meaning.

    Raises:
        InputError: an architecture that is not known.
        IndexError: more layers than were published.
    """
    made = built(record.published, record.pooler)
    for stack, layers in record.stacks.items():
        _shrink(made, stack, layers)
    return made


def _shrink(made: Checkpoint, stack: Stack, records: tuple[LayerRecord, ...]) -> None:
    """Bring a stack to the sizes of its record; which weights stay does not matter, they are read afterwards."""
    published = made.layers(stack)
    chosen: list[Layer] = []
    for i, record in enumerate(records):
        if record.weights_of < i:
            chosen.append(chosen[record.weights_of])
            continue
        layer = copy.deepcopy(published[i])
        if record.setting.heads == 0:
            remove_attention(layer)
        for attention, heads in ((layer.attention, record.heads), (layer.cross, record.cross_heads)):
            if attention is not None:
                keep_heads(attention, heads)
        keep_units(layer, range(record.setting.ffn))
        describe(layer, record.setting)
        chosen.append(layer)
    set_layers(made.body, made.kind, stack, chosen)
