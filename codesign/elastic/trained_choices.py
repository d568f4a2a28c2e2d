"""Which shapes a network was trained for: the values that its search space gave each field, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codesign.elastic.architecture import Architecture
from codesign.elastic.setting import LayerSetting, Setting
from codesign.layer_fields import MOST_BITS, WHERE_READ
from codesign.space import SearchSpace

Choices = dict[str, list[list[float]]]
"""Field of a `Setting` or `LayerSetting` ("layers" is their number) -> its values in training, ascending: a list for
each layer, or only one where it is the same for all. A field that the space lacks is left out: it had its default."""

_LAYER_FIELDS = tuple(LayerSetting.__dataclass_fields__)
_SILENT = LayerSetting(heads=0, ffn=0)


def choices_of(space: SearchSpace) -> Choices:
    """Return the values of a space, whose elastic network is trained on all of them."""
    layers = range(space.max_layers)
    fields = [name for name in _LAYER_FIELDS if name in space.layer_fields]
    found = {name: [sorted(set(space.values(name, i))) for i in layers] for name in ("layers", "hidden", *fields)}
    for i, spans in enumerate(found.get("span", [])):
        if 0 in spans:  # it removes the attention
            spans.remove(0)
            found["heads"][i] = sorted({0, *(found["heads"][i] if spans else ())})
    return {name: rows if any(row != rows[0] for row in rows) else rows[:1] for name, rows in found.items()}


def is_trained(setting: Setting, choices: Choices, a: Architecture) -> bool:
    """Return whether all that makes a sub-network was trained.

    Removed parts: only where they were removed in training. Other values: from the smallest to the largest in training,
    in the same layer; those between are slices of what was trained, or masks, spans and formats between trained ones.

    Args:
        setting: a sub-network of `a`; its `reach` was learned and is not looked at.
        choices: empty = nobody knows, so nothing is taken as trained.
        a: tells which spans are all of the context.
    """
    if not choices:
        return False
    sizes = {"hidden": setting.hidden, "layers": len(setting.layers)}
    if not all(_within(value, choices[name][0]) for name, value in sizes.items()):
        return False
    return all(
        _layer_is_trained(layer, {name: rows[i % len(rows)] for name, rows in choices.items()}, a)
        for i, layer in enumerate(setting.layers)
    )


def _layer_is_trained(layer: LayerSetting, choices: Mapping[str, Sequence[float]], a: Architecture) -> bool:
    for name in _LAYER_FIELDS:
        if name in WHERE_READ and not any(getattr(layer, part) for part in WHERE_READ[name]):
            continue  # the part is removed
        trained = choices.get(name, [getattr(_SILENT, name)])
        if not _within(_value(name, getattr(layer, name), a), [_value(name, one, a) for one in trained]):
            return False
    return True


def _within(value: float, trained: Sequence[float]) -> bool:
    present = [one for one in trained if one]
    return value in trained or (value > 0 and bool(present) and min(present) <= value <= max(present))


def _value(name: str, value: float, a: Architecture) -> float:
    """Return a value whose order means something: all keys are the context, floats have the most bits."""
    if name == "span":
        return a.context if value == 0 else min(value, a.context)
    return MOST_BITS if value == 0 and name.endswith("_bits") else value
