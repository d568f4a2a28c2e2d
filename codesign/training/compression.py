"""How a recipe prunes and rounds: its table, what that makes of an architecture, and spaces without use for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from codesign.design import Family
from codesign.elastic.architecture import check_number_format
from codesign.elastic.setting import check_whole
from codesign.errors import InputError
from codesign.training.recipe_table import Natural, Table

if TYPE_CHECKING:
    from codesign.training.recipe import Recipe


class CompressionTable(Table, frozen=True):
    """What the densities and bits of a space mean. Without this table: "family", "magnitude", "integer", 0."""

    removal: Literal["family", "heads"]
    """What a density removes: single weights or rows, as `family.structured` says; or whole heads and FFN units."""
    kept_by: Literal["magnitude", "movement"]
    """What stays: the largest weights; or those that move away from zero while training (Sanh 2020), as scores that are
    trained beside the weights tell. They have no learning rate: only their order counts."""
    number_format: Literal["integer", "adaptivfloat"]
    """Of weights and activations that have bits: integers, or AdaptivFloat<bits, exponent_bits> (Tambe 2020)."""
    exponent_bits: Natural
    """Of adaptivfloat, at least 2; 0 of integers."""


def parts_of(recipe: Recipe) -> dict[str, Any]:
    """Return the fields of `Architecture` that a recipe decides; what it leaves out is as the family says."""
    table = recipe.compression
    if table is None:
        return {}
    found = msgspec.structs.asdict(table)
    if table.removal == "family":
        del found["removal"]
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
    if table is None:
        return
    check_number_format(table.number_format, table.exponent_bits)
    densities = [value for name in ("attention_density", "ffn_density") for value in choices.get(name, ())]
    for name, value in (("kept_by", "movement"), ("removal", "heads")):
        if getattr(table, name) == value and min(densities, default=1) == 1:
            raise InputError(f'compression.{name} = "{value}": expected an attention_density or ffn_density below 1 in '
                             "the space, got none: nothing is removed")  # fmt: skip
    if table.removal == "heads":
        if not family.structured:
            raise InputError('compression.removal = "heads": expected family.structured = true in the space, whose '
                             "costs else count removed weights as single ones, got false")  # fmt: skip
        check_whole(choices)
    if table.number_format == "adaptivfloat":
        bits = [value for name in ("weight_bits", "activation_bits") for value in choices.get(name, ())]
        if min(bits, default=0) <= table.exponent_bits:
            raise InputError('compression.number_format = "adaptivfloat": expected weight_bits and activation_bits of '
                             f"at least exponent_bits + 1 = {table.exponent_bits + 1} in the space, "
                             f"got {min(bits, default='none')}")  # fmt: skip
