"""Random families, shapes and scenarios, small enough to be run: the inputs of property tests."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import msgspec
import numpy as np
from hypothesis import strategies as st

from codesign.design import GROUP_FIELDS, Family, ModelShape, Phase, Scenario, Stack, grouped
from codesign.layer_fields import blanked, type_of

LONGEST = 8
"""Tokens of the longest drawn sequence; learned position tables have at least as many rows."""

LAYER_COLUMNS = ("heads", "kv_heads", "head_width", "value_width", "ffn")

Positions = Literal["learned", "rotary", "relative", "none"]

_STACKS: list[tuple[Stack, ...]] = [("encoder",), ("decoder",), ("encoder", "decoder")]
_ROWS = {"learned": st.integers(LONGEST, 2 * LONGEST), "relative": st.integers(1, 6)}


@st.composite
def families(draw: st.DrawFn, stacks: Sequence[tuple[Stack, ...]] = tuple(_STACKS)) -> Family:
    """Draw any family whose parts can be joined."""
    order = draw(st.sampled_from(list(stacks)))
    positions: Positions = draw(st.sampled_from(["learned", "rotary", "relative", "none"]))
    embedding_width = draw(st.sampled_from([0, 0, 3]))
    return Family(
        stacks=order,
        vocabulary=draw(st.integers(1, 20)),
        norm=draw(st.sampled_from(["layernorm", "rmsnorm"])),
        final_norm=draw(st.booleans()),
        embedding_norm=draw(st.booleans()),
        attention_bias=draw(st.booleans()),
        ffn_bias=draw(st.booleans()),
        gated_ffn=draw(st.booleans()),
        activation=draw(st.sampled_from(["gelu", "relu", "silu"])),
        positions=positions,
        position_count=draw(_ROWS[positions]) if positions in _ROWS else 0,
        token_types=draw(st.sampled_from([0, 2])),
        embedding_width=embedding_width,
        shared_layers=draw(st.booleans()),
        pooler="encoder" in order and draw(st.booleans()),
        lm_head=draw(st.booleans()),
        tied_embeddings=embedding_width == 0 and draw(st.booleans()),
    )


@st.composite
def _layers(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    """Draw one layer in the order of LAYER_COLUMNS; attention and FFN may be removed."""
    kv_heads = draw(st.integers(0, 3))
    head_width = 2 * draw(st.integers(1, 3))  # even, as rotary positions turn pairs
    return kv_heads * draw(st.integers(1, 3)), kv_heads, head_width, draw(st.integers(1, 5)), draw(st.integers(0, 9))


@st.composite
def model_shapes(draw: st.DrawFn, family: Family | None = None, max_designs: int = 3) -> ModelShape:
    """Draw 1 to `max_designs` shapes: layers that differ, grouped heads, separate value widths, removed sublayers."""
    family = draw(families()) if family is None else family
    stacks, designs = len(family.stacks), draw(st.integers(1, max_designs))
    layers = np.array(draw(st.lists(st.integers(1, 3), min_size=designs * stacks, max_size=designs * stacks)))
    layers = layers.reshape(designs, stacks).astype(np.int64)
    columns = np.zeros((len(LAYER_COLUMNS), designs, stacks, layers.max() + draw(st.integers(0, 1))), dtype=np.int64)
    for design, stack in np.ndindex(designs, stacks):
        depth = layers[design, stack]
        drawn = [draw(_layers()) for _ in range(1 if family.shared_layers else depth)]
        columns[:, design, stack, :depth] = np.array(drawn).T
    hidden = np.array(draw(st.lists(st.integers(1, 10), min_size=designs, max_size=designs)), dtype=np.int64)
    return ModelShape(family, layers, hidden, *columns)


GROUP_VALUES: dict[str, list[float]] = {
    "weight_bits": [2, 4, 8, 32],
    "activation_bits": [4, 8, 16],
    "attention_density": [0.1, 0.5, 1.0],
    "ffn_density": [0.25, 0.7, 1.0],
    "span": [1, 2, 5, 2 * LONGEST],
}


@st.composite
def compressed_shapes(draw: st.DrawFn, family: Family | None = None, max_designs: int = 3) -> ModelShape:
    """Draw shapes with some of the optional groups, layers that differ in them too."""
    shape = draw(model_shapes(family, max_designs))
    groups = draw(st.sets(st.sampled_from(sorted(GROUP_FIELDS))))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns: dict[str, Any] = dict(shape.layer_columns())
    for name in [name for group in sorted(groups) for name in GROUP_FIELDS[group]]:
        values = rng.choice(np.array(GROUP_VALUES[name], dtype=type_of(name)), size=shape.heads.shape)
        columns[name] = (values[:, :, :1] if shape.family.shared_layers else values) * shape.active
    structured = "sparsity" in groups and draw(st.booleans())
    return replace(
        shape, family=msgspec.structs.replace(shape.family, structured=structured), **grouped(blanked(columns))
    )


@st.composite
def scenarios(draw: st.DrawFn, family: Family, phases: Sequence[Phase] = ("prefill", "decode")) -> Scenario:
    """Draw a deployment that `family` can run, of at most LONGEST tokens."""
    allowed = [phase for phase in phases if phase == "prefill" or "decoder" in family.stacks]
    return Scenario(
        sequence_length=draw(st.integers(1, LONGEST)),
        batch=draw(st.integers(1, 3)),
        phase=draw(st.sampled_from(allowed)),
        target_length=draw(st.integers(1, LONGEST)) if len(family.stacks) == 2 else 0,
    )


@st.composite
def shapes_in_scenarios(
    draw: st.DrawFn, stacks: Sequence[tuple[Stack, ...]] = tuple(_STACKS), max_designs: int = 3
) -> tuple[ModelShape, Scenario]:
    """Draw shapes together with a scenario that they can run."""
    family = draw(families(stacks))
    return draw(model_shapes(family, max_designs)), draw(scenarios(family))


def uniform_shape(
    family: Family,
    *,
    layers: Sequence[int],
    hidden: int,
    heads: int,
    head_width: int,
    ffn: int,
    kv_heads: int | None = None,
    value_width: int | None = None,
) -> ModelShape:
    """Return one shape with equal layers; `layers` has one depth a stack."""
    depth = np.array([layers], dtype=np.int64)  # (1, S)
    active = np.arange(depth.max()) < depth[:, :, None]  # (1, S, L)
    widths = (heads, kv_heads or heads, head_width, value_width or head_width, ffn)
    columns = {name: np.where(active, width, 0) for name, width in zip(LAYER_COLUMNS, widths, strict=True)}
    return ModelShape(family, depth, np.array([hidden]), **grouped(columns))
