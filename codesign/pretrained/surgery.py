"""What is cut from a published checkpoint, as a user writes it down: a TOML file that can be kept and shared.

format = 1
importance = "taylor"

[encoder]
layers = [0, 1, 2, 4]        # kept, from 0; left out: all
heads = 6                    # kept in each, the most important ones; or one number for each kept layer
ffn = [1536, 768, 768, 0]    # inner units kept, the most important ones; 0 removes the FFN
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from codesign import files
from codesign.design import ModelShape, Stack
from codesign.elastic.setting import LayerSetting, settings
from codesign.errors import InputError
from codesign.layer_fields import MOST_BITS

Count = Annotated[int, Meta(ge=0, le=2**20)]
Bits = Annotated[int, Meta(ge=2, le=32)]
Density = Annotated[float, Meta(gt=0, le=1)]
PerLayer = Count | Annotated[tuple[Count, ...], Meta(min_length=1)]
"""One number for all kept layers, or one for each."""
PerLayerBits = Bits | Annotated[tuple[Bits, ...], Meta(min_length=1)]
PerLayerDensity = Density | Annotated[tuple[Density, ...], Meta(min_length=1)]
Importance = Literal["taylor", "magnitude"]


class StackSurgery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What happens to one stack; what is left out stays as it is."""

    layers: Annotated[tuple[Count, ...], Meta(min_length=1)] | None = None
    """Places of the layers that are kept, from 0, in their order."""
    shared: tuple[Annotated[tuple[Count, ...], Meta(min_length=2)], ...] = ()
    """Groups of kept layers, by their places in the checkpoint, that use the weights of the one named first."""
    heads: PerLayer | None = None
    """Kept in each kept layer, of attention to an encoder too; 0 removes the attention."""
    ffn: PerLayer | None = None
    """Inner units kept in each kept layer; 0 removes the FFN."""
    span: PerLayer | None = None
    """Keys that a query of self-attention sees, itself included, by distance; 0 = all."""
    attention_density: PerLayerDensity | None = None
    """Fraction of each matrix of the attention that is not zero; the weights of largest magnitude stay."""
    ffn_density: PerLayerDensity | None = None
    weight_bits: PerLayerBits | None = None
    """Integers with a scale for each output, symmetric."""
    activation_bits: PerLayerBits | None = None
    """Of both operands of every product; a scale for each token."""


class Surgery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What happens to a checkpoint."""

    format: Literal[1] = 1
    importance: Importance = "taylor"
    """Which heads and units stay: by Taylor expansion on the user's task, or by the size of their weights, which
    needs no data and is the poorer guide."""
    encoder: StackSurgery = StackSurgery()
    decoder: StackSurgery = StackSurgery()

    def of(self, stack: Stack) -> StackSurgery:
        """Return what happens to a stack."""
        return self.encoder if stack == "encoder" else self.decoder


def read_surgery(path: Path) -> Surgery:
    """Read a surgery.

    Raises:
        InputError: unreadable, malformed or unknown keys.
    """
    return files.parse(files.read_text(path), path.stem, str(path), Surgery).content


def kept_layers(surgery: Surgery, stack: Stack, depth: int) -> tuple[int, ...]:
    """Return the places of the layers of a stack that stay.

    Raises:
        InputError: a place that the stack does not have, twice the same, or out of order.
    """
    kept = surgery.of(stack).layers
    if kept is None:
        return tuple(range(depth))
    if list(kept) != sorted(set(kept)) or kept[-1] >= depth:
        raise InputError(f"{stack}.layers: expected places 0..{depth - 1}, each once and in order, got {list(kept)}")
    return kept


def wanted(surgery: Surgery, stack: Stack, present: tuple[LayerSetting, ...]) -> list[LayerSetting]:
    """Return what each kept layer shall be.

    Args:
        surgery: what happens.
        stack: which stack.
        present: the kept layers as they are.

    Raises:
        InputError: lists of another length than kept layers, or more heads or units than there are.
    """
    fields = {name: getattr(surgery.of(stack), name) for name in LayerSetting.__dataclass_fields__}
    given = {name: _spread(f"{stack}.{name}", value, len(present)) for name, value in fields.items()
             if value is not None}  # fmt: skip
    made = []
    for i, before in enumerate(present):
        told = {name: column[i] for name, column in given.items()}
        for name in ("heads", "ffn"):
            if told.get(name, 0) > getattr(before, name):
                raise InputError(
                    f"{stack}.{name}: expected at most {getattr(before, name)}, as many as kept layer {i} has, "
                    f"got {told[name]}"
                )
        made.append(replace(before, **told))
    return made


def _spread(name: str, value: Any, layers: int) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        return (value,) * layers
    if len(value) != layers:
        raise InputError(f"{name}: expected one number, or one for each of {layers} kept layers, got {len(value)}")
    return value


def surgery_of(shape: ModelShape, base: ModelShape, importance: Importance = "taylor") -> Surgery:
    """Return the surgery that makes a checkpoint as large as a design.

    Where the design has fewer layers, every so many-th is kept: places floor(i L / l) (Fan 2020, LayerDrop).

    Args:
        shape: one design (n = 1), of any family with the stacks of the checkpoint.
        base: the checkpoint (n = 1).
        importance: how heads and units are chosen.

    Raises:
        InputError: what surgery cannot change differs: stacks, hidden size or head width; or more than the
            checkpoint has.
    """
    if len(shape) != 1:
        raise InputError(f"design: expected one, got {len(shape)}; pick one")
    if shape.family.stacks != base.family.stacks:
        raise InputError(f"stacks: expected those of the checkpoint, {', '.join(base.family.stacks)}, "
                         f"got {', '.join(shape.family.stacks)}")  # fmt: skip
    if shape.hidden[0] != base.hidden[0]:
        raise InputError(f"hidden: expected {base.hidden[0]}, that of the checkpoint, got {shape.hidden[0]}")
    widths = set(shape.head_width[shape.heads > 0].tolist())
    has = int(base.head_width.max())
    if widths - {has}:
        raise InputError(f"head_width: expected {has}, that of the checkpoint, got {sorted(widths - {has})}")
    made = Surgery(importance=importance)
    for stack in base.family.stacks:
        made = msgspec.structs.replace(made, **{stack: _stack_surgery(shape, base, stack)})
    return made


def _stack_surgery(shape: ModelShape, base: ModelShape, stack: Stack) -> StackSurgery:
    layers = settings(shape, stack)[0].layers
    depth, left = int(base.layers[0, base.family.stacks.index(stack)]), len(layers)
    if left > depth:
        raise InputError(f"layers: expected at most {depth}, as many as the {stack} of the checkpoint has, got {left}")
    silent = LayerSetting(0, 0)
    columns = {name: tuple(getattr(layer, name) for layer in layers) for name in LayerSetting.__dataclass_fields__}
    told = {name: column for name, column in columns.items()
            if name in ("heads", "ffn") or any(value != getattr(silent, name) for value in column)}  # fmt: skip
    for name in ("weight_bits", "activation_bits"):
        if name in told:
            told[name] = tuple(value or MOST_BITS for value in told[name])
    return StackSurgery(layers=tuple(i * depth // left for i in range(left)), **told)
