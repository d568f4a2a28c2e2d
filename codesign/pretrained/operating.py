"""Carrying out a surgery on a network: layers, then heads and units by importance, then spans, zeros and bits."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor

from codesign.design import Stack
from codesign.elastic.setting import LayerSetting
from codesign.errors import InputError
from codesign.pretrained.cutting import compress, keep_heads, keep_units, remove_attention
from codesign.pretrained.importance import LayerImportance, best, magnitude, taylor
from codesign.pretrained.layer import Layer
from codesign.pretrained.model import Checkpoint, set_layers
from codesign.pretrained.surgery import Surgery, kept_layers, wanted

Losses = Callable[[Checkpoint, int], Tensor]
"""Network and number of a batch -> (b,) loss of each example."""

Plan = tuple[Layer, LayerSetting]
"""A layer, and what it shall be."""

STACKS: tuple[Stack, ...] = ("encoder", "decoder")

BATCHES = 16
"""Of the user's task, to judge heads and units by."""


def operate(checkpoint: Checkpoint, surgery: Surgery, losses: Losses | None = None) -> Checkpoint:
    """Return a network after a surgery; the one given stays as it is.

    Importance is measured after layers were dropped and shared.

    Args:
        checkpoint: the whole network.
        surgery: what happens.
        losses: of the user's task; needed where heads or units are chosen by Taylor expansion.

    Raises:
        InputError: the surgery does not fit the network, speaks of a stack that it lacks, or needs a task.
    """
    check_fits(checkpoint, surgery, losses is not None)
    made = copy.deepcopy(checkpoint)
    plans: list[Plan] = []
    for stack, layers, planned in _arranged(made, surgery):
        set_layers(made.body, made.kind, stack, layers)
        plans += planned
    scores = _scores(made, plans, surgery, losses)
    for layer, setting in plans:
        _cut(layer, setting, scores.get(layer))
    return made


def check_fits(checkpoint: Checkpoint, surgery: Surgery, task: bool) -> None:
    """Refuse a surgery that `operate` would refuse, before time is spent on the network; nothing is changed.

    Args:
        checkpoint: the whole network, trained on the task or not.
        surgery: what shall happen.
        task: whether there will be losses to judge heads and units by.

    Raises:
        InputError: see `operate`.
    """
    plans = [plan for _, _, planned in _arranged(checkpoint, surgery) for plan in planned]
    if surgery.importance == "taylor" and not task and any(_chooses(layer.setting(), after) for layer, after in plans):
        raise InputError('importance: expected a task to judge heads and units by, got none; give --task, or set '
                         'importance = "magnitude", which needs no data')  # fmt: skip


def _arranged(checkpoint: Checkpoint, surgery: Surgery) -> list[tuple[Stack, list[Layer], list[Plan]]]:
    """Return of each stack: the layers that stay, shared ones several times, and what each distinct one shall be."""
    has = checkpoint.base.family.stacks
    for stack in STACKS:
        if stack not in has and surgery.of(stack) != type(surgery.of(stack))():
            raise InputError(f"{stack}: expected nothing, the checkpoint has no {stack}; it has {', '.join(has)}")
    return [(stack, *_arranged_stack(checkpoint.layers(stack), surgery, stack)) for stack in has]


def _arranged_stack(published: list[Layer], surgery: Surgery, stack: Stack) -> tuple[list[Layer], list[Plan]]:
    places = kept_layers(surgery, stack, len(published))
    lead = {place: place for place in places}
    for group in surgery.of(stack).shared:
        if set(group) - set(places) or any(lead[place] != place for place in group):
            raise InputError(f"{stack}.shared: expected groups of kept layers {list(places)}, none in two, "
                             f"got {list(group)}")  # fmt: skip
        lead |= dict.fromkeys(group, group[0])
    layers = [published[lead[place]] for place in places]
    settings = wanted(surgery, stack, tuple(layer.setting() for layer in layers))
    plans: dict[Layer, LayerSetting] = {}
    for place, layer, setting in zip(places, layers, settings, strict=True):
        if plans.setdefault(layer, setting) != setting:
            raise InputError(f"{stack}: layer {place} shares its weights: expected the same as in its group, "
                             f"{plans[layer]}, got {setting}")  # fmt: skip
    return layers, list(plans.items())


def _scores(
    made: Checkpoint, plans: list[Plan], surgery: Surgery, losses: Losses | None
) -> dict[Layer, LayerImportance]:
    """Importance of the layers of which only some heads or units stay."""
    chosen = [layer for layer, setting in plans if _chooses(layer.setting(), setting)]
    if not chosen:
        return {}
    if surgery.importance == "magnitude":
        return {layer: magnitude(layer) for layer in chosen}
    assert losses is not None
    return taylor(made.body, chosen, lambda batch: losses(made, batch), BATCHES)


def _chooses(before: LayerSetting, after: LayerSetting) -> bool:
    return 0 < after.heads < before.heads or 0 < after.ffn < before.ffn


def _cut(layer: Layer, setting: LayerSetting, scores: LayerImportance | None) -> None:
    before = layer.setting()
    if setting.heads == 0:
        remove_attention(layer)
    elif setting.heads < before.heads and scores is not None:
        for attention, of in ((layer.attention, scores.heads), (layer.cross, scores.cross_heads)):
            if attention is not None and of is not None:
                keep_heads(attention, best(of, setting.heads))
    if setting.ffn == 0:
        keep_units(layer, ())
    elif setting.ffn < before.ffn and scores is not None and scores.units is not None:
        keep_units(layer, best(scores.units, setting.ffn))
    describe(layer, setting)
    compress(layer)


def describe(layer: Layer, setting: LayerSetting) -> None:
    """Set what a layer does besides its sizes: span, densities and bits."""
    if layer.attention is not None:
        layer.attention.span = setting.span
    layer.attention_density, layer.ffn_density = setting.attention_density, setting.ffn_density
    layer.weight_bits, layer.activation_bits = setting.weight_bits, setting.activation_bits
    for part in (layer.attention, layer.cross, layer.ffn):
        if part is not None:
            part.bits = setting.activation_bits
