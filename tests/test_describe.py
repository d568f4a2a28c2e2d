"""One design as plain data."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.describe import describe_accelerator, describe_model
from codesign.design import Accelerator, ModelShape
from codesign.design_file import AcceleratorTable, ModelTable, accelerator_columns, model_shape
from codesign.huggingface import config_shape
from tests.strategies import families, model_shapes

SHAPES = families([("encoder",), ("decoder",)]).flatmap(lambda family: model_shapes(family, max_designs=1))


@given(shape=SHAPES)
def test_a_described_model_is_a_model_table(shape: ModelShape) -> None:
    """The words survive JSON and mean the same shape as the [model] table of a design file."""
    words = json.loads(json.dumps(describe_model(shape)))
    assert words.pop("family") == json.loads(msgspec.json.encode(shape.family))
    again = model_shape(shape.family, [msgspec.convert(words, ModelTable)])
    for name in ("layers", "hidden", "heads", "kv_heads", "ffn"):
        column = getattr(again, name)
        assert column.tolist() == getattr(shape, name)[..., : column.shape[-1]].tolist()
    for name in ("head_width", "value_width"):  # read only in layers that have heads
        column = getattr(again, name)
        assert column.tolist() == np.where(shape.heads, getattr(shape, name), 0)[..., : column.shape[-1]].tolist()


@given(
    sizes=st.tuples(*[st.integers(1, 2**20)] * 2, st.integers(0, 1), *[st.integers(1, 2**30)] * 2, st.floats(0.1, 1e6)),
    lanes=st.integers(1, 512),
)
def test_a_described_accelerator_is_an_accelerator_table(sizes: tuple[float, ...], lanes: int) -> None:
    """The words survive JSON and mean the same accelerator as the [accelerator] table, to the byte."""
    chip = Accelerator(*(np.array([size]) for size in sizes), vector_lanes=np.array([lanes]))
    words = json.loads(json.dumps(describe_accelerator(chip)))
    assert accelerator_columns([msgspec.convert(words, AcceleratorTable)]) == chip


def test_two_stacks_give_a_table_a_column() -> None:
    """Two stacks are told apart by name, and padding layers do not appear."""
    words = describe_model(config_shape({"model_type": "t5", "num_layers": 1, "num_decoder_layers": 2}, "t5"))
    assert words["layers"] == {"encoder": 1, "decoder": 2}
    assert words["heads"] == {"encoder": [8], "decoder": [8, 8]}


def test_a_population_is_refused() -> None:
    """One row is described at a time."""
    shape = config_shape({"model_type": "bert"}, "bert")
    with pytest.raises(ValueError, match="Expected columns of one design"):
        describe_model(shape.take(np.array([0, 0])))
