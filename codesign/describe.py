"""One design as plain Python data, under exactly the keys that a design file uses.

The command line's JSON, the report and the exporters all say a design in these words. Only layers that exist appear;
a model of one stack gives flat lists (one entry a layer), a model of two a table with one entry a stack.
"""

from __future__ import annotations

from typing import Any

import msgspec

from codesign.design import DATAFLOWS, KIB, Accelerator, Design, ModelShape


def describe_design(design: Design) -> dict[str, Any]:
    """Return one design as {"model": ..., "accelerator": ...}."""
    return {"model": describe_model(design.shape), "accelerator": describe_accelerator(design.accelerator)}


def describe_model(shape: ModelShape) -> dict[str, Any]:
    """Return one model shape: family, layers, hidden, and a list a layer column; plain numbers and strings.

    Columns of groups that the shape lacks do not appear.
    """
    _require_one(shape)
    lists = {name: [column[0, s, :n].tolist() for s, n in enumerate(shape.layers[0])]
             for name, column in shape.layer_columns().items()}  # fmt: skip
    return {
        "family": msgspec.to_builtins(shape.family) | {"stacks": list(shape.family.stacks)},
        "layers": _by_stack(shape, shape.layers[0].tolist()),
        "hidden": int(shape.hidden[0]),
        **{name: _by_stack(shape, stacks) for name, stacks in lists.items()},
    }


def describe_accelerator(accelerator: Accelerator) -> dict[str, Any]:
    """Return one accelerator; buffers in KiB, the dataflow by name."""
    _require_one(accelerator)
    return {
        "pe_rows": int(accelerator.pe_rows[0]),
        "pe_cols": int(accelerator.pe_cols[0]),
        "dataflow": DATAFLOWS[int(accelerator.dataflow[0])],
        "scratchpad_kib": _kib(int(accelerator.scratchpad_bytes[0])),
        "accumulator_kib": _kib(int(accelerator.accumulator_bytes[0])),
        "dram_bytes_per_cycle": float(accelerator.dram_bytes_per_cycle[0]),
        "vector_lanes": int(accelerator.vector_lanes[0]),
    }


def _by_stack(shape: ModelShape, values: list[Any]) -> Any:
    stacks = shape.family.stacks
    return values[0] if len(stacks) == 1 else dict(zip(stacks, values, strict=True))


def _kib(size: int) -> int | float:
    return size // KIB if size % KIB == 0 else size / KIB


def _require_one(columns: ModelShape | Accelerator) -> None:
    if len(columns) != 1:
        raise ValueError(f"Expected columns of one design (take one row first). Got {len(columns)=}.")
