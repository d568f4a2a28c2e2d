"""Columns of designs: rows are taken together, and optional groups come and go as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.design import GROUP_FIELDS, LAYER_FIELDS, ModelShape, grouped
from tests.strategies import compressed_shapes


@given(shape=compressed_shapes(), data=st.data())
def test_rows_are_taken_from_every_group(shape: ModelShape, data: st.DataObject) -> None:
    """The rows taken are those of every column, in their order; a group that is absent stays absent."""
    rows = np.array(data.draw(st.lists(st.integers(0, len(shape) - 1), max_size=4)), dtype=np.int64)
    taken = shape.take(rows)
    assert len(taken) == len(rows)
    assert list(taken.layer_columns()) == list(shape.layer_columns())
    for name, column in shape.layer_columns().items():
        np.testing.assert_array_equal(column[rows], taken.layer_columns()[name])


@given(shape=compressed_shapes())
def test_columns_go_back_into_their_groups(shape: ModelShape) -> None:
    """`grouped` undoes `layer_columns`; names are the sizes, then whole groups."""
    columns = shape.layer_columns()
    again = ModelShape(shape.family, shape.layers, shape.hidden, **grouped(columns))
    assert {name: id(column) for name, column in again.layer_columns().items()} == {
        name: id(column) for name, column in columns.items()
    }
    present = [names for group, names in GROUP_FIELDS.items() if getattr(shape, group) is not None]
    assert list(columns) == [*LAYER_FIELDS, *(name for names in present for name in names)]


@given(shape=compressed_shapes())
def test_half_a_group_is_no_group(shape: ModelShape) -> None:
    """Columns of a group come together or not at all."""
    columns = {**shape.layer_columns(), "weight_bits": shape.heads}
    columns.pop("activation_bits", None)
    with pytest.raises(TypeError, match="activation_bits"):
        replace(shape, **grouped(columns))
