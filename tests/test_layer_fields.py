"""What the per-layer fields of a model mean: groups, ranges, and where an equation reads them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from codesign.design import LAYER_FIELDS, ModelShape
from codesign.errors import InputError
from codesign.layer_fields import GROUPED, WHERE_READ, allowed, blanked, groups_of
from tests.strategies import compressed_shapes


def test_every_field_that_decides_nothing_says_where_it_is_read() -> None:
    """All per-layer fields but heads and ffn, which remove sublayers, are in WHERE_READ."""
    assert {*LAYER_FIELDS, *GROUPED} - {"heads", "ffn"} == set(WHERE_READ)


@given(shape=compressed_shapes())
def test_what_is_blanked_stays_blank(shape: ModelShape) -> None:
    """Blanking twice is blanking once, and what an equation reads is left as it was."""
    once = blanked(shape.layer_columns())
    for name, column in blanked(once).items():
        np.testing.assert_array_equal(once[name], column)
    for name in ("heads", "ffn"):
        np.testing.assert_array_equal(getattr(shape, name), once[name])


def test_a_span_of_zero_removes_the_attention() -> None:
    """Span 0 is the same model as no heads: nothing of the attention is left, the FFN stays."""
    columns = {
        "heads": np.array([4, 4, 0]),
        "kv_heads": np.array([2, 2, 2]),
        "head_width": np.array([8, 8, 8]),
        "value_width": np.array([8, 8, 8]),
        "ffn": np.array([16, 16, 0]),
        "span": np.array([0, 3, 3]),
        "ffn_density": np.array([0.5, 0.5, 0.5]),
        "weight_bits": np.array([4, 4, 4]),
    }
    found = {name: column.tolist() for name, column in blanked(columns).items()}
    assert found == {
        "heads": [0, 4, 0],
        "kv_heads": [0, 2, 0],
        "head_width": [0, 8, 0],
        "value_width": [0, 8, 0],
        "ffn": [16, 16, 0],
        "span": [0, 3, 0],
        "ffn_density": [0.5, 0.5, 0.0],
        "weight_bits": [4, 4, 0],
    }


@pytest.mark.parametrize(
    ("given_fields", "missing"),
    [(["weight_bits"], "activation_bits"), (["ffn_density", "span"], "attention_density")],
)
def test_half_a_group_is_refused(given_fields: list[str], missing: str) -> None:
    """The message names the field that is missing and the one that calls for it."""
    with pytest.raises(InputError, match=f"^model.{missing}: expected beside {given_fields[0]}, got none"):
        groups_of("model", given_fields)


def test_ranges() -> None:
    """Bits are 2 to 32, densities above 0 and at most 1, everything else at least 1; NaN is nowhere."""
    assert [bool(allowed("weight_bits", bits)) for bits in (1, 2, 32, 33)] == [False, True, True, False]
    assert [bool(allowed("ffn_density", d)) for d in (0.0, 1e-9, 1.0, 1.1, float("nan"))] == [
        False, True, True, False, False,
    ]  # fmt: skip
    assert [bool(allowed("span", keys)) for keys in (0, 1, 10**9)] == [False, True, True]
