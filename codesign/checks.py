"""What a family, a shape and a scenario must satisfy before anything is counted; every refusal names the culprit."""

from __future__ import annotations

import numpy as np

from codesign.design import BoolArray, Family, ModelShape, Scenario
from codesign.errors import InputError
from codesign.layer_fields import GROUPED, WHERE_READ, allowed, expected, where_read

STACK_ORDERS = (("encoder",), ("decoder",), ("encoder", "decoder"))

MOST_TOKENS = 2**24
"""Of one pass, all sequences together; longer matmuls cannot be mapped."""

MOST_ROWS = 2**24
"""Of an embedding; the output projection is a matmul of as many outputs."""


def check_family(family: Family) -> None:
    """Refuse parts that cannot be joined into one model."""
    if family.stacks not in STACK_ORDERS:
        known = ", ".join(str(list(order)) for order in STACK_ORDERS)
        raise InputError(f"stacks: expected one of {known}, got {list(family.stacks)}")
    if not 1 <= family.vocabulary <= MOST_ROWS:
        raise InputError(f"vocabulary: expected 1..{MOST_ROWS}, got {family.vocabulary}")
    for name in ("position_count", "token_types", "embedding_width"):
        if not 0 <= getattr(family, name) <= MOST_ROWS:
            raise InputError(f"{name}: expected 0..{MOST_ROWS}, got {getattr(family, name)}")
    if family.position_count and family.positions in ("rotary", "none"):
        raise InputError(
            f"position_count: expected 0 with {family.positions} positions (they have no table), "
            f"got {family.position_count}"
        )
    if family.pooler and "encoder" not in family.stacks:
        raise InputError("pooler: expected an encoder to pool, got a decoder only; set pooler = false")
    if family.lm_head and family.tied_embeddings and family.embedding_width:
        raise InputError(
            f"tied_embeddings: an output projection cannot reuse an embedding of width {family.embedding_width} "
            "that is not the hidden size; set tied_embeddings = false or embedding_width = 0"
        )


def check_shape(shape: ModelShape) -> None:
    """Refuse columns that do not describe a transformer; names the first design, stack and layer at fault."""
    check_family(shape.family)
    _check_axes(shape)
    _refuse(shape, shape.hidden[:, None, None] < 1, "hidden: expected at least 1", "hidden")
    _refuse(shape, shape.layers[:, :, None] < 1, "layers: expected at least 1", "layers")
    for name, column in shape.layer_columns().items():
        _refuse(shape, ~(column >= 0), f"{name}: expected 0 or more", name)
        _refuse(shape, ~shape.active & (column != 0), f"{name}: expected 0 beyond the last layer", name)
    attends = shape.heads > 0
    for name in ("kv_heads", "head_width", "value_width"):
        missing = attends & (getattr(shape, name) < 1)
        _refuse(shape, missing, f"{name}: expected at least 1 in a layer with attention", name)
    _refuse(shape, ~attends & (shape.kv_heads > 0), "kv_heads: expected 0 in a layer without attention", "kv_heads")
    ragged = shape.heads % np.maximum(shape.kv_heads, 1) != 0
    _refuse(shape, ragged, "heads: expected a multiple of kv_heads", "heads", "kv_heads")
    _check_groups(shape)
    if shape.family.shared_layers:
        for name, column in shape.layer_columns().items():
            unlike = shape.active & (column != column[:, :, :1])
            _refuse(shape, unlike, f"{name}: expected the same in all layers, because shared_layers is set", name)


def _check_groups(shape: ModelShape) -> None:
    """Refuse widths, densities and spans beyond their ranges, and any of them where no equation reads it."""
    columns, read = shape.layer_columns(), where_read(shape.heads > 0, shape.ffn > 0)
    for name in [name for name in GROUPED if name in columns]:
        place = " or ".join("attention" if part == "heads" else "FFN" for part in WHERE_READ[name])
        bad = read[name] & ~allowed(name, columns[name])
        _refuse(shape, bad, f"{name}: expected {expected(name)} in a layer with {place}", name)
        _refuse(shape, ~read[name] & (columns[name] != 0), f"{name}: expected 0 in a layer without {place}", name)
    if shape.family.structured and shape.sparsity is None:
        raise InputError("structured: it says how weights are removed, but the model has no attention_density and "
                         "ffn_density; give them or leave it out")  # fmt: skip


def check_scenario(family: Family, scenario: Scenario) -> None:
    """Refuse a deployment that models of this family cannot run."""
    for name in ("sequence_length", "batch"):
        if getattr(scenario, name) < 1:
            raise InputError(f"{name}: expected at least 1, got {getattr(scenario, name)}")
    tokens = scenario.batch * max(scenario.sequence_length, scenario.target_length)
    if tokens > MOST_TOKENS:
        raise InputError(f"batch x tokens: expected at most {MOST_TOKENS}, got {tokens}")
    if scenario.phase not in ("prefill", "decode"):
        raise InputError(f"phase: expected prefill or decode, got {scenario.phase!r}")
    if scenario.phase == "decode" and "decoder" not in family.stacks:
        raise InputError("phase: decode needs a decoder, but the model has only an encoder; use prefill")
    if len(family.stacks) == 2 and scenario.target_length < 1:
        raise InputError(
            f"target_length: expected at least 1 for an encoder with a decoder, got {scenario.target_length}"
        )
    if len(family.stacks) == 1 and scenario.target_length != 0:
        raise InputError(
            f"target_length: expected none, because the model has one stack ({family.stacks[0]}), "
            f"got {scenario.target_length}; its tokens are sequence_length"
        )
    longest = max(scenario.sequence_length, scenario.target_length)
    if family.positions == "learned" and 0 < family.position_count < longest:
        raise InputError(
            f"position_count: {family.position_count} learned positions cannot place {longest} tokens; "
            "raise position_count or shorten the scenario"
        )


def _check_axes(shape: ModelShape) -> None:
    """Refuse columns whose axes do not agree."""
    n, S, L = len(shape.hidden), len(shape.family.stacks), shape.heads.shape[-1]
    columns = {"hidden": shape.hidden, "layers": shape.layers} | shape.layer_columns()
    expected = {"hidden": (n,), "layers": (n, S)} | dict.fromkeys(list(columns)[2:], (n, S, L))
    for name, axes in expected.items():
        got = columns[name].shape
        if got != axes:
            raise InputError(f"{name}: expected shape {axes} (design, stack, layer), got {got}")
    _refuse(shape, shape.layers[:, :, None] > L, f"layers: expected at most {L}, the layers given", "layers")


def _refuse(shape: ModelShape, bad: BoolArray, expectation: str, *names: str) -> None:
    """Raise for the first True of `bad`, which broadcasts to (n, S, L), with the values of the columns `names`."""
    if not bad.any():
        return
    axes = np.argwhere(bad)[0]
    place: list[str] = [f"design {axes[0]}"]
    if bad.shape[1:] != (1, 1):
        place.append(shape.family.stacks[axes[1]])
    if bad.shape[2] > 1:
        place.append(f"layer {axes[2]}")
    columns = {"hidden": shape.hidden, "layers": shape.layers} | shape.layer_columns()
    got = ", ".join(f"{name} = {columns[name][tuple(axes[: columns[name].ndim])]}" for name in names)
    raise InputError(f"{expectation}, got {got} ({', '.join(place)})")
