"""The per-layer fields of a model: which belong together, which follow another, and where an equation reads them.

Where none does, a column holds 0, so that equal models have equal columns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from codesign.design import GROUP_FIELDS, BoolArray
from codesign.errors import InputError

FOLLOWS = {"kv_heads": "heads", "value_width": "head_width"}
"""What a field is equal to where it is absent."""

GROUPED = tuple(name for names in GROUP_FIELDS.values() for name in names)
"""Fields that a model may lack."""

DENSITIES = GROUP_FIELDS["sparsity"]
"""Fields that are no whole numbers."""

WHERE_READ = {
    "kv_heads": ("heads",),
    "head_width": ("heads",),
    "value_width": ("heads",),
    "attention_density": ("heads",),
    "span": ("heads",),
    "ffn_density": ("ffn",),
    "weight_bits": ("heads", "ffn"),
    "activation_bits": ("heads", "ffn"),
}
"""Field -> the sublayers, by the field that removes them, of which a layer must have one for it to mean anything."""

FEWEST_BITS, MOST_BITS = 2, 32
"""Of one stored number."""


def groups_of(section: str, given: Collection[str]) -> tuple[str, ...]:
    """Return those of the `given` fields that belong to groups.

    Raises:
        InputError: some fields of a group without the others.
    """
    for names in GROUP_FIELDS.values():
        found = [name for name in names if name in given]
        missing = [name for name in names if name not in given]
        if found and missing:
            raise InputError(f"{section}.{missing[0]}: expected beside {found[0]}, got none; give both or neither")
    return tuple(name for name in GROUPED if name in given)


def type_of(field: str) -> type[np.int64] | type[np.float64]:
    """Return what a column of the field holds."""
    return np.float64 if field in DENSITIES else np.int64


def allowed(field: str, values: Any) -> Any:
    """Tell which values a field of WHERE_READ can have where an equation reads it."""
    if field in GROUP_FIELDS["precision"]:
        return (values >= FEWEST_BITS) & (values <= MOST_BITS)
    return (values > 0) & ((values <= 1) | (field not in DENSITIES))


def expected(field: str) -> str:
    """Say which values `allowed` allows."""
    if field in GROUP_FIELDS["precision"]:
        return f"{FEWEST_BITS}..{MOST_BITS}"
    return "above 0, at most 1" if field in DENSITIES else "at least 1"


def where_read(attends: BoolArray, feeds: BoolArray) -> dict[str, BoolArray]:
    """Return where equations read each field of WHERE_READ, given the layers with attention and with an FFN."""
    by_parts = {("heads",): attends, ("ffn",): feeds, ("heads", "ffn"): np.asarray(attends | feeds)}
    return {name: by_parts[parts] for name, parts in WHERE_READ.items()}


def blanked(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of all fields, 0 where no equation reads them; a span of 0 takes the heads away."""
    heads = columns["heads"] * (columns["span"] > 0) if "span" in columns else columns["heads"]
    read = where_read(heads > 0, columns["ffn"] > 0)
    return {name: column * read.get(name, True) for name, column in {**columns, "heads": heads}.items()}
