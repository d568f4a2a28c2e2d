"""Random search spaces, small enough to enumerate: every form that a field of the file can take."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
from hypothesis import strategies as st

from codesign.files import Document
from codesign.space import SearchSpace
from codesign.space_file import build
from codesign.space_tables import SpaceFile

# Values of the per-layer fields; key/value heads divide every number of heads.
_VALUES = {"heads": [0, 2, 4], "kv_heads": [1, 2], "head_width": [4, 8], "value_width": [3, 5], "ffn": [0, 16, 32]}
_ABSENT = ("kv_heads", "value_width")

_GROUPS: dict[str, dict[str, list[Any]]] = {
    "precision": {"weight_bits": [2, 8], "activation_bits": [8, 32]},
    "sparsity": {"attention_density": [0.25, 1.0], "ffn_density": [0.1, 0.5]},
    "spans": {"span": [0, 2, 9]},
}

_CHIP: dict[str, list[Any]] = {
    "pe_rows": [2, 4],
    "pe_cols": [2, 4],
    "dataflow": ["weight_stationary", "output_stationary"],
    "scratchpad_kib": [1, 2.5],
    "accumulator_kib": [1, 4],
    "dram_bytes_per_cycle": [0.5, 8],
    "vector_lanes": [1, 2],
}


@st.composite
def _choices(draw: st.DrawFn, values: list[Any]) -> list[Any]:
    """Draw some of the values, in their order."""
    kept = draw(st.lists(st.sampled_from(range(len(values))), min_size=1, unique=True))
    return [values[i] for i in sorted(kept)]


@st.composite
def _whole(draw: st.DrawFn, values: list[Any]) -> tuple[Any, Any]:
    """Draw a field of the whole model or chip, as (what the file says, what the baseline has)."""
    choices = draw(_choices(values))
    chosen = draw(st.sampled_from(choices))
    return draw(st.sampled_from([chosen, {"choices": choices}])), chosen


@st.composite
def _layered(draw: st.DrawFn, values: list[Any], most: int, depth: int) -> tuple[Any, Any]:
    """Draw a per-layer field: a number, a list, or a gene of all layers or of each; and what the baseline has."""
    form = draw(st.sampled_from(["number", "list", "gene", "gene a layer"]))
    choices = draw(_choices(values))
    chosen = [draw(st.sampled_from(choices)) for _ in range(most)]
    if form == "number":
        return chosen[0], chosen[0]
    if form == "list":
        return chosen, chosen[:depth]
    if form == "gene":
        return {"choices": choices}, chosen[0]
    return {"choices": choices, "per_layer": True}, chosen[:depth]


@st.composite
def small_files(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the tables of a space file; one with optional groups has fewer other choices, so that it stays small."""
    groups = draw(st.sets(st.sampled_from(sorted(_GROUPS)), max_size=2))
    layers, depth = draw(_whole([1, 2] if groups else [1, 2, 3]))
    most = max(layers["choices"]) if isinstance(layers, dict) else layers
    hidden, width = draw(_whole([8, 16]))
    model, baseline = {"layers": layers, "hidden": hidden}, {"layers": depth, "hidden": width}
    for name, values in _VALUES.items():
        if name in _ABSENT and draw(st.booleans()):
            continue
        model[name], baseline[name] = draw(_layered(values, most, depth))
    for name, values in [item for group in sorted(groups) for item in _GROUPS[group].items()]:
        model[name], baseline[name] = draw(_layered(values, most, depth))
    chip = {name: draw(_whole(values[:1] if groups else values)) for name, values in _CHIP.items()}
    return {
        "format": 1,
        "description": "drawn",
        "source": "drawn",
        "objectives": ["edp_js"],
        "family": {"stacks": ["decoder"], "vocabulary": 10, "positions": "none"},
        "model": model,
        "accelerator": {name: field for name, (field, _) in chip.items()},
        "scenario": {"sequence_length": 4},
        "baseline": {"model": baseline, "accelerator": {name: value for name, (_, value) in chip.items()}},
    }


def small_spaces() -> st.SearchStrategy[SearchSpace]:
    """Draw spaces of up to 3 layers."""
    return small_files().map(built)


def built(tables: dict[str, Any]) -> SearchSpace:
    """Return the space of a file's tables."""
    document = Document("drawn", "drawn.toml", "", msgspec.convert(copy.deepcopy(tables), SpaceFile))
    return build(document).content
