"""One design written down by a person: the tables [family], [model], [accelerator] and [scenario] of a TOML file.

The same keys are used by the baseline of a search space and by everything that codesign writes about a design.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from codesign import files
from codesign.checks import check_scenario, check_shape
from codesign.design import (
    DATAFLOWS,
    KIB,
    LAYER_FIELDS,
    Accelerator,
    Dataflow,
    Design,
    Family,
    ModelShape,
    Scenario,
    grouped,
)
from codesign.errors import InputError
from codesign.layer_fields import FOLLOWS, GROUPED, blanked, groups_of, type_of

Count = Annotated[int, Meta(ge=1, le=2**20)]
CountOrNone = Annotated[int, Meta(ge=0, le=2**20)]
Rate = Annotated[float, Meta(gt=0, le=2**30)]
Kib = Annotated[float, Meta(gt=0, le=2**30, multiple_of=1 / KIB)]
"""Whole bytes: sizes that round to the same bytes would be one accelerator under two names."""

KibOrNone = Annotated[float, Meta(ge=0, le=2**30, multiple_of=1 / KIB)]
"""The same, or 0 for a buffer that a machine lacks."""

PerLayer = CountOrNone | Annotated[list[CountOrNone], Meta(min_length=1)]
"""One number for all layers, or one for each."""

Density = Annotated[float, Meta(ge=0, le=1)]

PerLayerDensity = Density | Annotated[list[Density], Meta(min_length=1)]

ACCELERATOR_FIELDS = {
    "pe_rows": "pe_rows",
    "pe_cols": "pe_cols",
    "dataflow": "dataflow",
    "scratchpad_kib": "scratchpad_bytes",
    "accumulator_kib": "accumulator_bytes",
    "dram_bytes_per_cycle": "dram_bytes_per_cycle",
    "vector_lanes": "vector_lanes",
}
"""Key in a file -> column of `Accelerator`."""


class ModelTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The [model] table of one design of one stack."""

    layers: Count
    hidden: Count
    heads: PerLayer
    """Query heads; 0 removes the attention of a layer."""
    kv_heads: PerLayer | None = None
    """Key/value heads; absent = as many as heads (multi-head attention)."""
    head_width: PerLayer
    """Width of a query or key head; free of the hidden size."""
    value_width: PerLayer | None = None
    """Width of a value head; absent = head_width."""
    ffn: PerLayer
    """Inner size of the FFN; 0 removes it."""
    weight_bits: PerLayer | None = None
    """Bits of a weight of attention and FFN; absent (then without activation_bits) = the cost model's operands."""
    activation_bits: PerLayer | None = None
    """Bits of what their products read besides."""
    attention_density: PerLayerDensity | None = None
    """Fraction of the attention's weights that is not zero; absent (then without ffn_density) = dense."""
    ffn_density: PerLayerDensity | None = None
    """Fraction of the FFN's weights that is not zero."""
    span: PerLayer | None = None
    """Keys that each query of self-attention sees; absent = all, 0 removes the attention like heads = 0."""


class AcceleratorTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The [accelerator] table of one design."""

    pe_rows: Count
    pe_cols: Count
    dataflow: Dataflow
    scratchpad_kib: Kib
    accumulator_kib: KibOrNone
    """0 under a cost model without an accumulator."""
    dram_bytes_per_cycle: Rate
    vector_lanes: Count


class DesignFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A design file."""

    format: Literal[1]
    family: Family
    model: ModelTable
    accelerator: AcceleratorTable
    scenario: Scenario


def read_design(path: Path) -> tuple[Design, Scenario]:
    """Read a design file: one design and its scenario."""
    return _checked(files.parse(files.read_text(path), path.stem, str(path), DesignFile).content, path)


def is_exported_design(path: Path) -> bool:
    """Tell a design.json, as `codesign export` writes it, from other JSON files."""
    try:
        raw = msgspec.json.decode(files.read_text(path))
    except (msgspec.DecodeError, RecursionError):
        return False
    return isinstance(raw, dict) and {"model", "accelerator", "scenario"} <= set(raw)


def read_exported_design(path: Path) -> tuple[Design, Scenario]:
    """Read a design.json: the same tables as a design file, the family inside the model."""
    raw = msgspec.json.decode(files.read_text(path))
    tables = {key: raw[key] for key in ("format", "model", "accelerator", "scenario") if key in raw}
    if isinstance(tables["model"], dict) and "family" in tables["model"]:
        tables["family"] = tables["model"]["family"]
        tables["model"] = {key: value for key, value in tables["model"].items() if key != "family"}
    return _checked(files.convert(tables, str(path), DesignFile), path)


def _checked(content: DesignFile, path: Path) -> tuple[Design, Scenario]:
    try:
        shape = model_shape(content.family, [content.model])
        check_shape(shape)
        check_scenario(content.family, content.scenario)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return Design(shape, accelerator_columns([content.accelerator])), content.scenario


def check_one_stack(family: Family) -> None:
    """Refuse an encoder with a decoder, for which [model] has no words."""
    if len(family.stacks) != 1:
        raise InputError(
            f"family.stacks: a file holds one stack, got {list(family.stacks)}; "
            "encoder-decoder models are read from a Hugging Face config.json"
        )


def model_shape(family: Family, tables: Sequence[ModelTable], max_layers: int | None = None) -> ModelShape:
    """Lay [model] tables out as columns, (n,), (n, 1) and (n, 1, max_layers).

    Raises:
        InputError: a per-layer list that is not as long as the model is deep; more than `max_layers` layers; a family
            of two stacks.
    """
    check_one_stack(family)
    depth = max_layers or max(table.layers for table in tables)
    names = (*LAYER_FIELDS, *groups_of("model", [name for name in GROUPED if getattr(tables[0], name) is not None]))
    columns = {name: np.zeros((len(tables), 1, depth), dtype=type_of(name)) for name in names}
    for row, table in enumerate(tables):
        if table.layers > depth:
            raise InputError(f"model.layers: expected at most {depth}, got {table.layers}")
        for name in names:
            columns[name][row, 0, : table.layers] = _layer_values(table, name)
    return ModelShape(
        family=family,
        layers=np.array([[table.layers] for table in tables], dtype=np.int64),
        hidden=np.array([table.hidden for table in tables], dtype=np.int64),
        **grouped(blanked(columns)),
    )


def accelerator_columns(tables: Sequence[AcceleratorTable]) -> Accelerator:
    """Lay [accelerator] tables out as columns."""
    return Accelerator(
        **{
            column: np.array(codes(field, [getattr(table, field) for table in tables]))
            for field, column in ACCELERATOR_FIELDS.items()
        }
    )


def codes(field: str, words: Sequence[Any]) -> list[Any]:
    """Return what a file says as the columns of a design hold it: a dataflow as its position, KiB as bytes."""
    if field == "dataflow":
        return [DATAFLOWS.index(value) for value in words]
    if field.endswith("_kib"):
        return [round(value * KIB) for value in words]
    if field == "dram_bytes_per_cycle":
        return [float(value) for value in words]
    return list(words)


def word(field: str, code: Any) -> Any:
    """Return one value of a column as a file says it; the inverse of `codes`."""
    if field == "dataflow":
        return DATAFLOWS[code]
    return f"{code / KIB:g}" if field.endswith("_kib") else code


def column_of(design: Design, field: str) -> Any:
    """Return the column of a field of a file: (n,), or (n, 1, L) where layers differ."""
    if field in ACCELERATOR_FIELDS:
        return getattr(design.accelerator, ACCELERATOR_FIELDS[field])
    if field in ("layers", "hidden"):
        return design.shape.layers[:, 0] if field == "layers" else design.shape.hidden
    return design.shape.layer_columns()[field]


def _layer_values(table: ModelTable, name: str) -> int | float | list[int] | list[float]:
    """Return what a table says about a per-layer field."""
    value: int | float | list[int] | list[float] | None = getattr(table, name)
    if value is None and name in FOLLOWS:
        return _layer_values(table, FOLLOWS[name])
    if value is None:
        raise InputError(f"model.{name}: expected in all designs or in none, got some without it")
    if isinstance(value, list) and len(value) != table.layers:
        raise InputError(f"model.{name}: expected {table.layers} values, one a layer, got {len(value)}")
    return value
