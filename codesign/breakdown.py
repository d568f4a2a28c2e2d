"""Where energy and delay go: by memory level, by operation or its kind, by layer. The parts sum to the whole."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.cost.estimate import ENERGY_LEVELS, Cost
from codesign.design import FloatArray
from codesign.workload import Label

KINDS = {
    "Q, K, V, output projections": ("query", "key", "value", "output"),
    "Scores": ("scores",),
    "Context": ("context",),
    "FFN": ("ffn_gate", "ffn_up", "ffn_down"),
    "Softmax": ("softmax",),
    "Norms": ("attention_norm", "ffn_norm", "cross_norm", "embedding_norm", "final_norm"),
    "Embeddings and heads": (
        "embedding_lookup",
        "embedding_sum",
        "embedding_projection",
        "pooler",
        "pooler_activation",
        "lm_head",
    ),
    "Other element-wise": (
        "activation",
        "gate",
        "position_bias",
        "rotary",
        "attention_residual",
        "ffn_residual",
        "cross_residual",
    ),
}
"""Kind of operation -> operations of a workload; those of cross-attention count with their like."""

OUTSIDE = ("", -1)
"""Where embeddings, final norms and heads are counted."""

_KIND_OF = {operation: kind for kind, operations in KINDS.items() for operation in operations}


@dataclass(frozen=True)
class Breakdown:
    """Parts of the energy and delay of n designs; NaN where a design has no mapping."""

    layers: tuple[str, ...]  # P places: the layers, then everything outside them
    energy_by_level: FloatArray  # (n, ENERGY_LEVELS) J
    energy_by_kind: FloatArray  # (n, KINDS) J
    delay_by_kind: FloatArray  # (n, KINDS) s
    energy_by_layer: FloatArray  # (n, P) J
    delay_by_layer: FloatArray  # (n, P) s


def break_down(cost: Cost) -> Breakdown:
    """Sum the costs of n designs over operations in three ways."""
    known = np.where(cost.feasible, 1.0, np.nan)[:, None]  # (n, 1)
    energy = cost.energy_pj.sum(axis=2) * 1e-12  # (n, O) J
    delay = cost.cycles / cost.frequency_hz  # (n, O) s
    of_kind = _membership([kind(label) for label in cost.labels], list(KINDS))
    places = _places(cost.labels)
    of_place = _membership([_place(label) for label in cost.labels], list(places))
    return Breakdown(
        layers=tuple(places.values()),
        energy_by_level=cost.energy_pj.sum(axis=1) * 1e-12 * known,
        energy_by_kind=energy @ of_kind * known,
        delay_by_kind=delay @ of_kind * known,
        energy_by_layer=energy @ of_place * known,
        delay_by_layer=delay @ of_place * known,
    )


def shares(cost: Cost, row: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Return energy (J) and cycles of one design by operation, by layer and by memory level, as plain data.

    Parts without energy are left out. Levels overlap in time, so they have no cycles of their own.
    """
    energy, cycles = cost.energy_pj[row].sum(axis=1) * 1e-12, cost.cycles[row]  # (O,) J and cycles
    operations, places = [label.operation for label in cost.labels], _places(cost.labels)
    of_operation = _membership(operations, names := list(dict.fromkeys(operations)))
    of_place = _membership([_place(label) for label in cost.labels], list(places))
    by_level = cost.energy_pj[row].sum(axis=0) * 1e-12  # (ENERGY_LEVELS,) J
    return {
        "by_operation": _lines(names, energy @ of_operation, cycles @ of_operation),
        "by_layer": _lines(list(places.values()), energy @ of_place, cycles @ of_place),
        "by_level": [
            {key: value for key, value in line.items() if "cycles" not in key}
            for line in _lines(ENERGY_LEVELS, by_level, np.ones(len(by_level)))
        ],
    }


def _lines(names: Sequence[str], energy: FloatArray, cycles: FloatArray) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "energy_j": float(part),
            "energy_share": float(part / energy.sum()),
            "cycles": float(time),
            "cycles_share": float(time / cycles.sum()),
        }
        for name, part, time in zip(names, energy, cycles, strict=True)
        if part > 0
    ]


def kind(label: Label) -> str:
    """Return the kind of an operation, one of KINDS."""
    name = label.operation
    return _KIND_OF[name] if name in _KIND_OF else _KIND_OF[name.removeprefix("cross_")]


def _place(label: Label) -> tuple[str, int]:
    return (label.stack, label.layer) if label.layer >= 0 else OUTSIDE


def _places(labels: tuple[Label, ...]) -> dict[tuple[str, int], str]:
    """Name the layers in order of appearance, then what is outside; stacks are named only where there are two."""
    layers = list(dict.fromkeys(_place(label) for label in labels if label.layer >= 0))
    several = len({stack for stack, _ in layers}) > 1
    names = {place: f"{place[0]} {place[1] + 1}" if several else str(place[1] + 1) for place in layers}
    return names | {OUTSIDE: "outside"}


def _membership(group_of: Sequence[Hashable], groups: Sequence[Hashable]) -> FloatArray:
    """(O, groups) 1 where an operation belongs to a group: values (n, O) @ this = sums by group (n, groups)."""
    return np.array([[own == group for group in groups] for own in group_of], dtype=np.float64)
