"""Bits of stored weights: multiplied out by hand, and the laws of the bit mask."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from codesign.design import Family, ModelShape, Precision, Sparsity
from codesign.parameters import stored_bits, total_parameters
from tests.strategies import compressed_shapes, model_shapes, uniform_shape

FAMILY = Family(stacks=("decoder",), vocabulary=10, positions="none", attention_bias=False, ffn_bias=False)
SHAPE = uniform_shape(FAMILY, layers=(1,), hidden=8, heads=2, kv_heads=1, head_width=4, ffn=16)
OUTSIDE = 10 * 8 + 2 * 2 * 8
"""Embedding and two norms."""


def one(value: float) -> np.ndarray:
    """Return a column of one layer."""
    return np.array([[[value]]])


def with_density(attention: float, ffn: float, *, structured: bool = False) -> ModelShape:
    """Return the shape with 4-bit weights of some density."""
    return replace(
        SHAPE,
        family=msgspec.structs.replace(FAMILY, structured=structured),
        precision=Precision(one(4), one(8)),
        sparsity=Sparsity(one(attention), one(ffn)),
    )


def test_precision_by_hand() -> None:
    """Dense 4-bit weights beside an 8-bit embedding: 8 (8 + 4 + 4 + 8) of attention, 2 x 8 x 16 of the FFN."""
    shape = replace(SHAPE, precision=Precision(one(4), one(8)))
    assert stored_bits(shape, 8).tolist() == [4 * (192 + 256) + 8 * OUTSIDE]


def test_bit_masks_by_hand() -> None:
    """Half of 192 and a quarter of 256 weights, 4 bits each, and a mask bit an element."""
    expected = (4 * 96 + 192) + (4 * 64 + 256) + 8 * OUTSIDE
    assert stored_bits(with_density(0.5, 0.25), 8).tolist() == [expected]


def test_masks_of_rows_by_hand() -> None:
    """Whole rows removed: a mask bit a row, 4 x 8 rows of projections; 8 rows into the FFN and 16 out of it."""
    attention = 4 * 96 + 4 * 8
    ffn = 4 * 64 + 8 + 16
    assert stored_bits(with_density(0.5, 0.25, structured=True), 8).tolist() == [attention + ffn + 8 * OUTSIDE]


def test_a_mask_that_does_not_pay_is_left_out() -> None:
    """At 4 bits a mask pays below density 3/4; above, the matrix is stored whole."""
    dense = stored_bits(with_density(1.0, 1.0), 8)
    assert stored_bits(with_density(0.9, 1.0), 8) == dense == stored_bits(with_density(0.75, 1.0), 8)
    assert stored_bits(with_density(0.74, 1.0), 8) < dense


def test_the_bit_mask_of_edgebert() -> None:
    """3.84 million weights (ALBERT's 30000 x 128 embedding) of 8 bits at 40 % density take 2.016 MB with their mask.

    Here they are an FFN of the same size, and what it saves is compared.
    """
    shape = uniform_shape(FAMILY, layers=(1,), hidden=128, heads=1, head_width=1, ffn=15000)
    sparse = replace(shape, sparsity=Sparsity(one(1.0), one(0.4)))
    saved = stored_bits(shape, 8) - stored_bits(sparse, 8)
    assert saved.tolist() == [8 * 3_840_000 - 8 * 2_016_000]


@settings(max_examples=40, deadline=None)
@given(shape=model_shapes())
def test_without_groups_all_weights_are_operands(shape: ModelShape) -> None:
    """A shape that states nothing stores every parameter at the width of the cost model's operands."""
    np.testing.assert_array_equal(stored_bits(shape, 8), 8 * total_parameters(shape))


@settings(max_examples=40, deadline=None)
@given(shape=compressed_shapes())
def test_storage_is_bounded_by_the_dense_one(shape: ModelShape) -> None:
    """Removing weights never takes room, and parameters count the dense shape."""
    dense = replace(shape, family=msgspec.structs.replace(shape.family, structured=False), sparsity=None)
    assert (stored_bits(shape, 8) <= stored_bits(dense, 8)).all()
    np.testing.assert_array_equal(total_parameters(shape), total_parameters(dense))


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_shared_layers_are_stored_once(bits: int) -> None:
    """Three layers with one set of weights take the room of one."""
    family = msgspec.structs.replace(FAMILY, shared_layers=True)
    deep = uniform_shape(family, layers=(3,), hidden=8, heads=2, kv_heads=1, head_width=4, ffn=16)
    bits_of = [
        replace(shape, precision=Precision(np.full_like(shape.heads, bits), np.full_like(shape.heads, 8)))
        for shape in (deep, replace(SHAPE, family=family))
    ]
    assert stored_bits(bits_of[0], 8) == stored_bits(bits_of[1], 8)
