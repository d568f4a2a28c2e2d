"""Design files: one design as a person writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from codesign.describe import describe_design
from codesign.design import DATAFLOWS, LAYER_FIELDS, Design, Family
from codesign.design_file import (
    ACCELERATOR_FIELDS,
    DesignFile,
    ModelTable,
    accelerator_columns,
    codes,
    model_shape,
    read_design,
    word,
)
from codesign.errors import InputError
from codesign.space import SearchSpace
from tests.spaces import small_spaces

TEXT = """
format = 1

[family]
stacks = ["decoder"]
vocabulary = 100
positions = "learned"
position_count = 32

[model]
layers = 3
hidden = 64
heads = [2, 0, 4]
kv_heads = [1, 0, 2]
head_width = 16
ffn = [128, 0, 256]

[accelerator]
pe_rows = 8
pe_cols = 4
dataflow = "output_stationary"
scratchpad_kib = 4
accumulator_kib = 0.5
dram_bytes_per_cycle = 1.5
vector_lanes = 2

[scenario]
sequence_length = 32
batch = 2
phase = "decode"
"""


def read_text(tmp_path: Path, text: str) -> tuple[Design, Any]:
    """Read a design from its text."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return read_design(path)


def test_a_design_is_read_as_written(tmp_path: Path) -> None:
    """Numbers for all layers are spread, a removed attention has no width, KiB become bytes."""
    design, scenario = read_text(tmp_path, TEXT)
    shape, chip = design.shape, design.accelerator
    assert (shape.layers.tolist(), shape.hidden.tolist()) == ([[3]], [64])
    assert {name: getattr(shape, name).tolist() for name in LAYER_FIELDS} == {
        "heads": [[[2, 0, 4]]],
        "kv_heads": [[[1, 0, 2]]],
        "head_width": [[[16, 0, 16]]],
        "value_width": [[[16, 0, 16]]],
        "ffn": [[[128, 0, 256]]],
    }
    assert {name: getattr(chip, name).tolist() for name in vars(chip)} == {
        "pe_rows": [8],
        "pe_cols": [4],
        "dataflow": [1],
        "scratchpad_bytes": [4096],
        "accumulator_bytes": [512],
        "dram_bytes_per_cycle": [1.5],
        "vector_lanes": [2],
    }
    assert (scenario.sequence_length, scenario.batch, scenario.phase) == (32, 2, "decode")


@settings(deadline=None)
@given(space=small_spaces())
def test_described_designs_are_read_back(space: SearchSpace) -> None:
    """What codesign writes about a design is what a design file says: the columns come back."""
    designs = space.decode(space.sample(np.random.default_rng(0), 3))
    for row in range(len(designs)):
        design = designs.take(slice(row, row + 1))
        words = describe_design(design)
        tables = {"format": 1, "family": words["model"].pop("family"), "scenario": {"sequence_length": 4}}
        content = msgspec.convert({**tables, **words}, DesignFile)
        shape = model_shape(content.family, [content.model], space.max_layers)
        assert content.family == space.family
        for name in ("layers", "hidden"):
            np.testing.assert_array_equal(getattr(shape, name), getattr(design.shape, name))
        assert list(shape.layer_columns()) == list(design.shape.layer_columns())
        for name, column in design.shape.layer_columns().items():
            np.testing.assert_array_equal(shape.layer_columns()[name], column)
        assert vars(accelerator_columns([content.accelerator])) == vars(design.accelerator)


def test_words_are_the_inverse_of_codes() -> None:
    """A value of the file and its column value turn into each other."""
    said: dict[str, Any] = {"dataflow": DATAFLOWS[1], "scratchpad_kib": 2.5, "dram_bytes_per_cycle": 0.5, "pe_rows": 3}
    for field, value in said.items():
        assert str(word(field, codes(field, [value])[0])) == str(value)
    assert set(said) < set(ACCELERATOR_FIELDS)


def test_designs_of_several_depths_share_columns() -> None:
    """Shallower designs have zeros in the layers that they lack."""
    family = Family(stacks=("decoder",), vocabulary=10)
    tables = [ModelTable(layers=n, hidden=8, heads=1, head_width=8, ffn=16) for n in (1, 3)]
    shape = model_shape(family, tables)
    assert shape.ffn.tolist() == [[[16, 0, 0]], [[16, 16, 16]]]
    assert shape.heads.tolist() == [[[1, 0, 0]], [[1, 1, 1]]]


def test_optional_groups_are_read_as_written(tmp_path: Path) -> None:
    """Bits, densities and spans are spread over layers; they are 0 where there is nothing that they could be about."""
    lines = "hidden = 64\nweight_bits = 4\nactivation_bits = 8\nattention_density = [0.5, 0.5, 1]\nffn_density = 0.25"
    shape = read_text(tmp_path, TEXT.replace("hidden = 64", f"{lines}\nspan = [8, 8, 16]"))[0].shape
    columns = {name: column.tolist() for name, column in shape.layer_columns().items()}
    assert {name: columns[name] for name in list(columns)[5:]} == {
        "weight_bits": [[[4, 0, 4]]],
        "activation_bits": [[[8, 0, 8]]],
        "attention_density": [[[0.5, 0.0, 1.0]]],
        "ffn_density": [[[0.25, 0.0, 0.25]]],
        "span": [[[8, 0, 16]]],
    }


def test_a_span_of_zero_removes_the_attention(tmp_path: Path) -> None:
    """Span 0 reads like no heads."""
    spans = read_text(tmp_path, TEXT.replace("hidden = 64", "hidden = 64\nspan = [8, 8, 0]"))[0].shape
    assert {name: column[0, 0].tolist() for name, column in spans.layer_columns().items()} == {
        "heads": [2, 0, 0],
        "kv_heads": [1, 0, 0],
        "head_width": [16, 0, 0],
        "value_width": [16, 0, 0],
        "ffn": [128, 0, 256],
        "span": [8, 0, 0],
    }


def test_designs_of_one_table_say_the_same() -> None:
    """Designs laid out together have the same groups."""
    family = Family(stacks=("decoder",), vocabulary=10)
    tables = [ModelTable(layers=1, hidden=8, heads=1, head_width=8, ffn=16, span=span) for span in (4, None)]
    with pytest.raises(InputError, match=r"model.span: expected in all designs or in none, got some without it"):
        model_shape(family, tables)


REFUSED = {
    "list of the wrong length": ("ffn = [128, 0, 256]", "ffn = [128, 0]",
        "model.ffn: expected 3 values, one a layer, got 2"),
    "half a group": ("hidden = 64", "hidden = 64\nactivation_bits = 8",
        "model.weight_bits: expected beside activation_bits, got none; give both or neither"),
    "one bit": ("hidden = 64", "hidden = 64\nactivation_bits = 8\nweight_bits = [8, 8, 1]",
        "weight_bits: expected 2..32 in a layer with attention or FFN, got weight_bits = 1 .*layer 2"),
    "no weights": ("hidden = 64", "hidden = 64\nffn_density = 0\nattention_density = 1",
        "ffn_density: expected above 0, at most 1 in a layer with FFN, got ffn_density = 0.0"),
    "no layers": ("layers = 3", "layers = 0", "model.layers: Expected int >= 1, got 0"),
    "negative width": ("head_width = 16", "head_width = -16", "model.head_width: Expected int >= 0, got -16"),
    "heads without width": ("head_width = 16", "head_width = 0",
        "head_width: expected at least 1 in a layer with attention"),
    "key/value heads that do not divide": ("[1, 0, 2]", "[1, 0, 3]",
        "heads: expected a multiple of kv_heads, got heads = 4, kv_heads = 3"),
    "unknown key": ("hidden = 64", "hidden = 64\ndropout = 1",
        "model: unknown field dropout; known: layers, hidden, .*ffn"),
    "unknown dataflow": ('"output_stationary"', '"os"',
        "accelerator.dataflow: Expected one of output_stationary, weight_stationary, got 'os'"),
    "buffer of no bytes": ("scratchpad_kib = 4", "scratchpad_kib = 0",
        "accelerator.scratchpad_kib: Expected float > 0.0, got 0"),
    "buffer of less than no bytes": ("accumulator_kib = 0.5", "accumulator_kib = -1",
        "accelerator.accumulator_kib: Expected float >= 0.0, got -1"),
    "buffer of half a byte": ("accumulator_kib = 0.5", "accumulator_kib = 0.0005",
        "accelerator.accumulator_kib: .*multiple of 0.0009765625, got 0.0005"),
    "no tokens": ("sequence_length = 32", "sequence_length = 0", "sequence_length: expected at least 1, got 0"),
    "too many tokens": ("sequence_length = 32", "sequence_length = 33",
        "position_count: 32 learned positions cannot place 33 tokens"),
    "unknown phase": ('"decode"', '"training"', "scenario.phase: Expected one of decode, prefill, got 'training'"),
    "two stacks": ('["decoder"]', '["encoder", "decoder"]', "family.stacks: a file holds one stack"),
    "no scenario": (TEXT[TEXT.index("[scenario]"):], "", "top level: missing required field scenario"),
    "a baseline": ("[model]", "[baseline.model]",
        "top level: unknown field baseline; known: format, family, model, accelerator, scenario"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_designs_are_refused(case: str, tmp_path: Path) -> None:
    """The message names the file, the key, what was expected and what came."""
    old, new, message = REFUSED[case]
    assert old in TEXT
    with pytest.raises(InputError, match=rf"mine\.toml: {message}"):
        read_text(tmp_path, TEXT.replace(old, new, 1))
