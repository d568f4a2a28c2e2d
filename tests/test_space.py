"""Search spaces: genomes to designs and back, counting, sampling. Their files: tests/test_space_file.py."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codesign.checks import check_shape
from codesign.design import LAYER_FIELDS, Design, IntArray, grouped
from codesign.errors import InputError
from codesign.files import shipped
from codesign.space import SearchSpace
from codesign.space_file import read_space
from tests.spaces import small_spaces

SHIPPED = sorted(shipped("search space"))


def rows_of(design: Design) -> list[tuple[Any, ...]]:
    """Return every value of each design, layers beyond the depth included."""
    shape = design.shape
    parts = {"layers": shape.layers, "hidden": shape.hidden, **shape.layer_columns(), **vars(design.accelerator)}
    columns = [np.asarray(column).reshape(len(design), -1) for column in parts.values()]
    return [tuple(row) for row in np.concatenate(columns, axis=1).tolist()]


def all_genomes(space: SearchSpace, most: int = 5000) -> IntArray:
    """(genomes, genes) every genome, canonical or not."""
    assume(np.prod(space.sizes.astype(np.float64)) <= most)
    genomes = list(product(*(range(size) for size in space.sizes)))
    return np.array(genomes, dtype=np.int64).reshape(len(genomes), len(space.genes))


@settings(deadline=None)
@given(space=small_spaces())
def test_genomes_mean_designs_one_to_one(space: SearchSpace) -> None:
    """Over all genomes: canonical ones and designs match one to one, and `size` is their number."""
    genomes = all_genomes(space)
    canonical, designs = space.canonical(genomes), space.decode(genomes)
    meaning = dict(zip(map(tuple, canonical.tolist()), rows_of(designs), strict=True))
    assert len(set(rows_of(designs))) == len(meaning) == space.size()
    np.testing.assert_array_equal(canonical, space.canonical(canonical))
    assert rows_of(designs) == rows_of(space.decode(canonical))
    np.testing.assert_array_equal(canonical, space.encode(designs))
    check_shape(designs.shape)  # every genome is a transformer


@settings(deadline=None)
@given(space=small_spaces(), seed=st.integers(0, 99))
def test_encoding_is_the_inverse_of_decoding(space: SearchSpace, seed: int) -> None:
    """decode(encode(d)) == d, for samples and for the baseline; samples are canonical."""
    genomes = space.sample(np.random.default_rng(seed), 20)
    designs = space.decode(genomes)
    np.testing.assert_array_equal(genomes, space.canonical(genomes))
    assert rows_of(designs) == rows_of(space.decode(space.encode(designs)))
    assert rows_of(space.baseline) == rows_of(space.decode(space.encode(space.baseline)))


@settings(deadline=None)
@given(space=small_spaces(), seed=st.integers(0, 99))
def test_choices_hold_every_value_that_occurs(space: SearchSpace, seed: int) -> None:
    """What a proxy is told covers all designs, in each layer that exists; fields that follow others are left out."""
    shape = space.decode(space.sample(np.random.default_rng(seed), 20)).shape
    choices = space.choices()
    assert set(shape.layers.ravel()) <= set(choices["layers"])
    assert set(shape.hidden) <= set(choices["hidden"])
    for name in ("heads", "ffn"):
        assert set(getattr(shape, name)[shape.active]) <= set(choices[name])
    columns = shape.layer_columns()
    for name in {"kv_heads", "head_width", "value_width", "attention_density", "span"} & set(choices):
        assert set(columns[name][shape.heads > 0]) <= set(choices[name])
    assert {*LAYER_FIELDS, *choices} - {"layers", "hidden"} == set(columns)
    assert ("kv_heads" in choices, "value_width" in choices) == tuple(
        space.fixed.get(name, 0) is not None for name in ("kv_heads", "value_width")
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_spaces_hold(name: str) -> None:
    """The laws hold on samples of each shipped space, and equal designs are drawn from equal seeds."""
    space = read_space(name).content
    genomes = np.random.default_rng(0).integers(0, space.sizes, size=(200, len(space.genes)))
    canonical = space.canonical(genomes)
    np.testing.assert_array_equal(canonical, space.canonical(canonical))
    np.testing.assert_array_equal(canonical, space.encode(space.decode(genomes)))
    assert rows_of(space.decode(genomes)) == rows_of(space.decode(canonical))
    check_shape(space.decode(genomes).shape)
    first, second = (space.sample(np.random.default_rng(7), 50) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_the_published_space_is_as_large_as_published() -> None:
    """Kim et al. 2023, Tab. 8: 5 hidden sizes, and 5 head counts x 19 FFN sizes in each of 3 to 6 layers."""
    assert sum(5 * (5 * 19) ** n for n in range(3, 7)) == read_space("survey_lm_fixed_hw").content.size()


def test_tiny_is_small_enough_to_enumerate() -> None:
    """`tiny` has under 10^5 designs, and as many as enumeration finds."""
    space = read_space("tiny").content
    genomes = np.array(list(product(*(range(size) for size in space.sizes))))
    assert len(np.unique(space.canonical(genomes), axis=0)) == space.size() < 1e5


def test_a_removed_attention_has_no_width() -> None:
    """Genes of layers beyond the depth and of an attention without heads do not tell designs apart."""
    space = read_space("survey_lm_ffn_free").content
    rng = np.random.default_rng(0)
    genomes = rng.integers(0, space.sizes, size=(100, len(space.genes)))
    shape = space.decode(genomes).shape
    beyond = np.array([gene.layer >= 0 for gene in space.genes])
    changed = np.where(beyond, rng.integers(0, space.sizes, size=genomes.shape), genomes)
    layer = np.array([gene.layer for gene in space.genes])
    inactive = layer[None, :] >= shape.layers
    mixed = np.where(inactive, changed, genomes)
    assert (mixed != genomes).any()
    np.testing.assert_array_equal(space.canonical(genomes), space.canonical(mixed))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("hidden", 100, r"hidden: expected one of \[384, 480, 576, 672, 768\], got 100"),
        ("heads", 5, r"heads\[0\]: expected one of \[4, 6, 8, 10, 12\], got 5"),
        ("head_width", 32, "head_width: this search space has 64, got 32"),
    ],
)
def test_designs_outside_are_refused(column: str, value: int, message: str) -> None:
    """A design that the space does not hold is refused; the gene or the fixed field, and the value, are named."""
    space = read_space("survey_lm_fixed_hw").content
    shape = space.baseline.shape
    changed = {name: getattr(shape, name).copy() for name in ("hidden", "heads", "kv_heads", "head_width")}
    changed[column][:] = value
    if column == "heads":
        changed["kv_heads"][:] = value
    other = type(shape)(**{**vars(shape), **changed})
    with pytest.raises(InputError, match=message):
        space.encode(Design(other, space.baseline.accelerator))


@pytest.mark.parametrize(
    ("name", "column", "value", "message"),
    [
        ("tiny", "scratchpad_bytes", 8 * 1024, r"scratchpad_kib: expected one of \[4.0, 16.0\], got 8$"),
        ("tiny", "dram_bytes_per_cycle", 3.5, r"dram_bytes_per_cycle: expected one of \[2.0, 4.0\], got 3.5$"),
        ("tiny", "vector_lanes", 4, "vector_lanes: this search space has 8, got 4$"),
        (
            "survey_lm_fixed_hw",
            "dataflow",
            1,
            "dataflow: this search space has weight_stationary, got output_stationary",
        ),
        ("survey_lm_fixed_hw", "accumulator_bytes", 512, "accumulator_kib: this search space has 256, got 0.5$"),
    ],
)
def test_accelerators_outside_are_refused(name: str, column: str, value: float, message: str) -> None:
    """Sizes are named in KiB and dataflows by name, as in the file, not as codes and bytes."""
    space = read_space(name).content
    chip = space.baseline.accelerator
    other = type(chip)(**{**vars(chip), column: np.array([value])})
    with pytest.raises(InputError, match=message):
        space.encode(Design(space.baseline.shape, other))


def test_designs_may_have_fewer_or_more_layer_columns_than_the_space() -> None:
    """The layer axis of a design is as long as whoever made it liked; what counts are the layers that exist."""
    space = read_space("survey_lm_fixed_hw").content
    genomes = space.sample(np.random.default_rng(0), 100)
    designs = space.decode(genomes)
    shallow = designs.take(np.flatnonzero(designs.shape.layers[:, 0] <= 4))
    for columns in (slice(0, 4), slice(0, 6)):
        layered = {name: column[:, :, columns] for name, column in shallow.shape.layer_columns().items()}
        if columns.stop == 6:
            layered = {name: np.pad(column, ((0, 0), (0, 0), (0, 3))) for name, column in layered.items()}
        other = Design(replace(shallow.shape, **grouped(layered)), shallow.accelerator)
        np.testing.assert_array_equal(space.encode(shallow), space.encode(other))
