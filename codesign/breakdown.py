"""Where the cost of one design goes: by operation, by layer, by memory level. Each breakdown sums to the whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.cost.estimate import ENERGY_LEVELS, Cost


def breakdown(cost: Cost, row: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Return energy (J) and cycles of one design, by operation, by layer and by memory level.

    Levels overlap in time, so they have no cycles of their own.
    """
    operations: dict[str, list[int]] = {}
    layers: dict[str, list[int]] = {}
    for column, label in enumerate(cost.labels):
        if not cost.energy_pj[row, column].any():
            continue
        operations.setdefault(label.operation, []).append(column)
        place = f"{label.stack} layer {label.layer}" if label.layer >= 0 else f"{label.stack} outside layers".strip()
        layers.setdefault(place, []).append(column)
    return {
        "by_operation": _lines(cost, row, operations),
        "by_layer": _lines(cost, row, layers),
        "by_level": _levels(cost, row),
    }


def _lines(cost: Cost, row: int, groups: dict[str, list[int]]) -> list[dict[str, Any]]:
    energy = cost.energy_pj[row].sum(axis=1) * 1e-12  # (O,) J
    cycles = cost.cycles[row]  # (O,)
    return [
        {
            "name": name,
            "energy_j": float(energy[columns].sum()),
            "energy_share": float(energy[columns].sum() / energy.sum()),
            "cycles": float(cycles[columns].sum()),
            "cycles_share": float(cycles[columns].sum() / cycles.sum()),
        }
        for name, columns in groups.items()
    ]


def _levels(cost: Cost, row: int) -> list[dict[str, Any]]:
    energy = np.asarray(cost.energy_pj[row].sum(axis=0) * 1e-12)  # (ENERGY_LEVELS,) J
    return [
        {"name": name, "energy_j": float(value), "energy_share": float(value / energy.sum())}
        for name, value in zip(ENERGY_LEVELS, energy, strict=True)
    ]
