"""Every refusal says what was expected and what came; nothing that a strategy draws is refused."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from codesign.checks import check_family, check_scenario, check_shape
from codesign.design import Family, ModelShape, Precision, Scenario, Spans, Sparsity
from codesign.errors import InputError
from tests.strategies import compressed_shapes, shapes_in_scenarios, uniform_shape

ENCODER = Family(stacks=("encoder",), vocabulary=10, position_count=16)
DECODER = Family(stacks=("decoder",), vocabulary=10, position_count=16)
BOTH = Family(stacks=("encoder", "decoder"), vocabulary=10, position_count=16)


def two_designs(family: Family = DECODER) -> ModelShape:
    """Two equal designs of three layers."""
    one = uniform_shape(family, layers=(3,), hidden=8, heads=4, kv_heads=2, head_width=2, ffn=16)
    return one.take(np.array([0, 0]))


@settings(max_examples=60, deadline=None)
@given(shapes_in_scenarios())
def test_drawn_designs_pass(drawn: tuple[ModelShape, Scenario]) -> None:
    """The strategies draw what the checks allow."""
    shape, scenario = drawn
    check_shape(shape)
    check_scenario(shape.family, scenario)


@settings(max_examples=60, deadline=None)
@given(compressed_shapes())
def test_drawn_groups_pass(shape: ModelShape) -> None:
    """The strategies draw groups that the checks allow."""
    check_shape(shape)


def compressed() -> ModelShape:
    """Two designs of three layers with all groups; the second layer has no FFN, the third nothing at all."""
    shape = two_designs()
    columns = [column.copy() for column in (shape.heads, shape.kv_heads, shape.head_width, shape.value_width)]
    for column in (*columns, shape.ffn):
        column[:, :, 2] = 0
    shape.ffn[:, :, 1] = 0
    attends, feeds = columns[0] > 0, shape.ffn > 0
    return replace(
        replace(shape, **dict(zip(("heads", "kv_heads", "head_width", "value_width"), columns, strict=True))),
        precision=Precision(8 * (attends | feeds), 8 * (attends | feeds)),
        sparsity=Sparsity(0.5 * attends, 0.5 * feeds),
        spans=Spans(4 * attends),
    )


@pytest.mark.parametrize(
    ("group", "column", "layer", "value", "message"),
    [
        ("precision", "weight_bits", 0, 1, r"weight_bits: expected 2..32 in a layer with attention or FFN, got .* = 1"),
        ("precision", "activation_bits", 1, 33, "activation_bits: expected 2..32 .*got activation_bits = 33"),
        ("precision", "weight_bits", 2, 8, "weight_bits: expected 0 in a layer without attention or FFN, got .* = 8"),
        ("sparsity", "attention_density", 0, 0.0, "attention_density: expected above 0, at most 1 in a layer with att"),
        (
            "sparsity",
            "ffn_density",
            0,
            1.5,
            r"ffn_density: expected above 0, at most 1.*1.5 \(design 1, decoder, layer",
        ),
        ("sparsity", "ffn_density", 0, float("nan"), "ffn_density: expected 0 or more, got ffn_density = nan"),
        ("sparsity", "ffn_density", 1, 0.5, "ffn_density: expected 0 in a layer without FFN, got ffn_density = 0.5"),
        ("spans", "span", 0, 0, r"span: expected at least 1 in a layer with attention, got span = 0 \(design 1"),
        ("spans", "span", 0, -3, "span: expected 0 or more, got span = -3"),
        ("spans", "span", 2, 5, "span: expected 0 in a layer without attention, got span = 5"),
    ],
)
def test_impossible_groups(group: str, column: str, layer: int, value: float, message: str) -> None:
    """Bits, densities and spans beyond their range, or where no equation reads them, are refused by place."""
    shape = compressed()
    check_shape(shape)
    changed = getattr(getattr(shape, group), column).copy()
    changed[1, 0, layer] = value
    with pytest.raises(InputError, match=message):
        check_shape(replace(shape, **{group: replace(getattr(shape, group), **{column: changed})}))


def test_structure_of_nothing_removed() -> None:
    """A family whose weights are removed by rows needs densities that say how many."""
    shape = two_designs(msgspec.structs.replace(DECODER, structured=True))
    with pytest.raises(InputError, match="structured: it says how weights are removed, but the model has no attention"):
        check_shape(shape)


def test_groups_of_another_population() -> None:
    """A column of a group has the axes of the sizes."""
    shape = two_designs()
    with pytest.raises(InputError, match=r"span: expected shape \(2, 1, 3\).*got \(1, 1, 3\)"):
        check_shape(replace(shape, spans=Spans(shape.heads[:1])))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stacks": ("decoder", "encoder")}, r"stacks: expected one of .*'encoder', 'decoder'.*got \['decoder', 'enc"),
        ({"vocabulary": 0}, "vocabulary: expected 1..16777216, got 0"),
        ({"vocabulary": 10**20}, "vocabulary: expected 1..16777216, got 1000"),
        ({"token_types": -1}, "token_types: expected 0..16777216, got -1"),
        ({"positions": "rotary"}, "position_count: expected 0 with rotary positions"),
        ({"stacks": ("decoder",), "pooler": True}, "pooler: expected an encoder"),
        ({"embedding_width": 4, "lm_head": True}, "tied_embeddings: .* of width 4"),
    ],
)
def test_impossible_family(changes: dict[str, Any], message: str) -> None:
    """Parts that cannot be joined are refused by name."""
    with pytest.raises(InputError, match=message):
        check_family(msgspec.structs.replace(ENCODER, **changes))


@pytest.mark.parametrize(
    ("column", "place", "value", "message"),
    [
        ("heads", (1, 0, 2), 3, r"heads: expected a multiple of kv_heads, got heads = 3, kv_heads = 2 \(design 1, dec"),
        ("heads", (1, 0, 2), 0, r"kv_heads: expected 0 in a layer without attention, got kv_heads = 2"),
        ("kv_heads", (0, 0, 1), 0, r"kv_heads: expected at least 1 in a layer with .*\(design 0, decoder, layer 1\)"),
        ("head_width", (0, 0, 0), 0, "head_width: expected at least 1"),
        ("value_width", (0, 0, 0), 0, "value_width: expected at least 1"),
        ("ffn", (1, 0, 0), -16, r"ffn: expected 0 or more, got ffn = -16 \(design 1, decoder, layer 0\)"),
        ("hidden", (1,), 0, r"hidden: expected at least 1, got hidden = 0 \(design 1\)"),
        ("layers", (1, 0), 0, r"layers: expected at least 1, got layers = 0"),
        ("layers", (1, 0), 4, r"layers: expected at most 3, the layers given, got layers = 4"),
        ("layers", (1, 0), 2, r"heads: expected 0 beyond the last layer, got heads = 4 \(design 1, decoder, layer 2\)"),
    ],
)
def test_impossible_shape(column: str, place: tuple[int, ...], value: int, message: str) -> None:
    """A column that describes no transformer is refused with its design, stack and layer."""
    shape = two_designs()
    changed = getattr(shape, column).copy()
    changed[place] = value
    with pytest.raises(InputError, match=message):
        check_shape(replace(shape, **{column: changed}))


def test_unequal_shared_layers() -> None:
    """Layers that share their weights must be alike."""
    shape = two_designs(msgspec.structs.replace(DECODER, shared_layers=True))
    check_shape(shape)
    ffn = shape.ffn.copy()
    ffn[0, 0, 2] = 8
    with pytest.raises(InputError, match=r"ffn: expected the same in all layers.*got ffn = 8 .*layer 2"):
        check_shape(replace(shape, ffn=ffn))


def test_axes_that_disagree() -> None:
    """A column of another population is refused with both shapes."""
    shape = two_designs()
    with pytest.raises(InputError, match=r"ffn: expected shape \(2, 1, 3\).*got \(1, 1, 3\)"):
        check_shape(replace(shape, ffn=shape.ffn[:1]))


@pytest.mark.parametrize(
    ("family", "scenario", "message"),
    [
        (ENCODER, Scenario(sequence_length=0), "sequence_length: expected at least 1, got 0"),
        (ENCODER, Scenario(sequence_length=4, batch=-1), "batch: expected at least 1, got -1"),
        (ENCODER, Scenario(sequence_length=2**15, batch=2**15), "batch x tokens: expected at most 16777216"),
        (ENCODER, Scenario(sequence_length=4, phase="decode"), "phase: decode needs a decoder"),
        (DECODER, Scenario(sequence_length=4, phase="training"), "phase: expected prefill or decode, got 'training'"),
        (DECODER, Scenario(sequence_length=4, target_length=2), r"target_length: expected none.*\(decoder\), got 2"),
        (BOTH, Scenario(sequence_length=4), "target_length: expected at least 1 for an encoder with a decoder, got 0"),
        (ENCODER, Scenario(sequence_length=17), "position_count: 16 learned positions cannot place 17 tokens"),
        (BOTH, Scenario(sequence_length=4, target_length=18), "16 learned positions cannot place 18 tokens"),
    ],
)
def test_impossible_scenario(family: Family, scenario: Scenario, message: str) -> None:
    """A deployment that the family cannot run is refused."""
    with pytest.raises(InputError, match=message):
        check_scenario(family, scenario)
