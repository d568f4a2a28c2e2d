"""One sub-network of an elastic model: sizes and compression of each layer as plain, hashable numbers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codesign.design import LayerColumn, ModelShape, Stack
from codesign.errors import InputError, unknown_name


@dataclass(frozen=True)
class LayerSetting:
    """One layer. What a removed sublayer would have read is at its default, so that equal layers are equal."""

    heads: int
    """The first of them are used; 0 = no attention, norm and residual included."""
    ffn: int
    """Inner width: the first units are used; 0 = no FFN, norm and residual included."""
    span: int = 0
    """Keys that a query sees, itself included; 0 = the whole context."""
    attention_density: float = 1.0
    """Fraction of the weights of each attention matrix that is not zero; 1 = dense."""
    ffn_density: float = 1.0
    """The same of each FFN matrix."""
    weight_bits: int = 0
    """Of a stored weight of attention and FFN; 0 = float."""
    activation_bits: int = 0
    """Of both operands of scores and context, and of the inputs of the other products; 0 = float."""


@dataclass(frozen=True)
class Setting:
    """One sub-network: the first `hidden` channels of the first `len(layers)` layers."""

    hidden: int
    layers: tuple[LayerSetting, ...]
    reach: tuple[int, ...] = ()
    """Of each layer, the keys that a query sees to one side, itself included; 0 = all that `span` shows. Spans that are
    learned need it: an encoder that sees farther than half its context, but not all, has more than a context of keys,
    which in a shape is all. Empty = 0 in all layers."""


def settings(shape: ModelShape, stack: Stack = "decoder") -> list[Setting]:
    """Return the n sub-networks that the shapes describe, of one stack.

    Head widths are the architecture's and are not looked at.

    Raises:
        InputError: the family has no such stack.
    """
    if stack not in shape.family.stacks:
        raise unknown_name("stack", stack, shape.family.stacks)
    s = shape.family.stacks.index(stack)
    columns = {name: column[:, s] for name, column in shape.layer_columns().items()}  # (n, L) each
    return [
        Setting(int(shape.hidden[i]), tuple(_layer(columns, i, j) for j in range(int(shape.layers[i, s]))))
        for i in range(len(shape))
    ]


def check_whole(choices: Mapping[str, Sequence[float]]) -> None:
    """Refuse densities that would keep a part of a head or FFN unit, for networks whose densities remove these whole.

    As many would stay as rounding gives, perhaps none, and costs would count others.

    Args:
        choices: field of a layer -> its values; densities may be missing.

    Raises:
        InputError: names density and number.
    """
    for name, counted in (("attention_density", "heads"), ("ffn_density", "ffn")):
        for density, count in itertools.product(choices.get(name, ()), choices[counted]):
            if abs(density * count - round(density * count)) > 1e-9:
                raise InputError(f"{name}: expected a whole number of {counted} to stay where they are removed whole, "
                                 f"got {density:g} of {count:g}")  # fmt: skip


def _layer(columns: Mapping[str, LayerColumn], design: int, layer: int) -> LayerSetting:
    """One layer; a column of an absent group, or 0 in it, says nothing and gives the field's default."""
    given = {name: column[design, layer].item() for name, column in columns.items() if name in _FIELDS}
    told = {name: value for name, value in given.items() if value or name in ("heads", "ffn")}
    return LayerSetting(**told)


_FIELDS = frozenset(LayerSetting.__dataclass_fields__)
