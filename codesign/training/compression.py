"""How a recipe prunes and rounds: its tables, what they make of an architecture, and spaces without use for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from codesign.design import Family
from codesign.elastic.architecture import check_number_format
from codesign.elastic.setting import check_whole
from codesign.errors import InputError

if TYPE_CHECKING:
    from codesign.training.recipe import Recipe


_HEADS, _ADAPTIVFLOAT = 'compression.removal = "heads"', 'compression.number_format = "adaptivfloat"'
_NO_DENSITY = "expected an attention_density or ffn_density below 1 in the space, got none: nothing is removed"


class MovementTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Movement pruning (Sanh 2020). A recipe with this table keeps the weights of highest score, others the largest."""

    learning_rate: Annotated[float, msgspec.Meta(gt=0)]
    """Of the scores, by AdamW without decay; it follows the schedule of the weights'."""


class CompressionTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the densities and bits of a space mean. Without this table: as its family says, and integers."""

    removal: Literal["family", "heads"]
    """What a density removes: single weights or rows, as `family.structured` says; or whole heads and FFN units."""
    number_format: Literal["integer", "adaptivfloat"]
    """Of weights and activations that have bits: integers, or AdaptivFloat<bits, exponent_bits> (Tambe 2020)."""
    exponent_bits: Annotated[int, msgspec.Meta(ge=0)]
    """Of adaptivfloat, at least 2; 0 of integers."""


def parts_of(recipe: Recipe) -> dict[str, Any]:
    """Return the fields of `Architecture` that a recipe decides; what it leaves out is as the family says."""
    found: dict[str, Any] = {} if recipe.movement is None else {"kept_by": "movement"}
    table = recipe.compression
    if table is not None:
        found |= {"number_format": table.number_format, "exponent_bits": table.exponent_bits}
        if table.removal == "heads":
            found["removal"] = "heads"
    return found


def check_compression(recipe: Recipe, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
    """Refuse ways to prune and to round in a space that does neither, or whose costs would count something else.

    Args:
        recipe: says how.
        family: of the space.
        choices: of the space, `SearchSpace.choices`.

    Raises:
        InputError: names the part of the recipe, what it needs of the space, and what that has.
    """
    table = recipe.compression
    densities = [value for name in ("attention_density", "ffn_density") for value in choices.get(name, ())]
    thins = min(densities, default=1) < 1
    if recipe.movement is not None and not thins:
        raise InputError(f"[movement]: {_NO_DENSITY}")
    if table is None:
        return
    check_number_format(table.number_format, table.exponent_bits)
    if table.removal == "heads":
        if not family.structured:
            raise InputError(f"{_HEADS}: expected family.structured = true in the space, whose costs else count "
                             "removed weights as single ones, got false")  # fmt: skip
        if not thins:
            raise InputError(f"{_HEADS}: {_NO_DENSITY}")
        check_whole(choices)
    if table.number_format == "adaptivfloat":
        bits = [value for name in ("weight_bits", "activation_bits") for value in choices.get(name, ())]
        if min(bits, default=0) <= table.exponent_bits:
            raise InputError(f"{_ADAPTIVFLOAT}: expected weight_bits and activation_bits of at least exponent_bits + 1 "
                             f"= {table.exponent_bits + 1} in the space, got {min(bits, default='none')}")  # fmt: skip
