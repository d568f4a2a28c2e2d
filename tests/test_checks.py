"""Every refusal says what was expected and what came; nothing that a strategy draws is refused."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from codesign.checks import check_family, check_scenario, check_shape
from codesign.design import Family, ModelShape, Scenario
from codesign.errors import InputError
from tests.strategies import shapes_in_scenarios, uniform_shape

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
