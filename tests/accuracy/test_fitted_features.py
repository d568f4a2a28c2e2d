"""Columns that fitted surrogates read."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.accuracy.fitted_features import CORE, LAYOUT, Features, gene_features, shape_features, side_by_side
from codesign.accuracy.fitted_genes import gene_columns, model_genes
from codesign.design import ModelShape, Precision, Spans, Sparsity
from codesign.errors import InputError
from codesign.genes import Gene
from codesign.parameters import parameters
from codesign.space import SearchSpace
from codesign.space_file import read_space
from tests.accuracy.decoders import FAMILY, decoders
from tests.strategies import uniform_shape


def column(features: Features, name: str) -> np.ndarray:
    """One column by name."""
    return features.values[:, features.names.index(name)]


def space(name: str) -> SearchSpace:
    """A shipped space."""
    return read_space(name).content


@given(decoders())
def test_sizes_are_those_of_the_parameters(shape: ModelShape) -> None:
    """The core columns are logarithms of what `parameters` counts, and of depth and width."""
    features, counted = shape_features(shape), parameters(shape)
    assert features.names == (*CORE, *LAYOUT)
    for name, part in (("log_attention", "attention"), ("log_ffn", "ffn"), ("log_embedding", "embeddings")):
        np.testing.assert_allclose(np.expm1(column(features, name)), counted[part])
    np.testing.assert_allclose(np.expm1(column(features, "log_layers")), shape.layers[:, 0])
    np.testing.assert_allclose(np.expm1(column(features, "log_hidden")), shape.hidden)


def test_layout_of_equal_layers_is_flat() -> None:
    """Layers that are all equal have no spread and no slope; growing ones have both, and the mirror image's slope."""
    flat = uniform_shape(FAMILY, layers=[4], hidden=64, heads=4, head_width=16, ffn=256)
    rising = replace(flat, ffn=np.array([[[100, 200, 300, 400]]]))
    falling = replace(flat, ffn=rising.ffn[:, :, ::-1])
    assert [column(shape_features(flat), name)[0] for name in LAYOUT[1:]] == pytest.approx([0, 0, 0, 0])
    up, down = (column(shape_features(shape), "ffn_slope")[0] for shape in (rising, falling))
    assert up == pytest.approx(0.6)
    assert down == pytest.approx(-up)
    assert column(shape_features(rising), "ffn_spread")[0] == pytest.approx(np.sqrt(0.2))


def test_removed_parts_are_finite() -> None:
    """A model of one layer without FFN and one without attention have finite features: 0 where there is nothing."""
    one = uniform_shape(FAMILY, layers=[1], hidden=64, heads=4, head_width=16, ffn=256)
    bare = replace(one, ffn=np.zeros_like(one.ffn))
    attention = ("heads", "kv_heads", "head_width", "value_width")
    mute = replace(one, **{name: np.zeros_like(one.heads) for name in attention})
    assert column(shape_features(bare), "log_ffn")[0] == 0
    assert column(shape_features(mute), "log_attention")[0] == 0


def test_optional_groups_are_core() -> None:
    """Bits, densities and spans add their mean logarithm, over layers."""
    shape = uniform_shape(FAMILY, layers=[2], hidden=64, heads=4, head_width=16, ffn=256)
    eight, half = np.array([[[8, 2]]]), np.array([[[1.0, 0.25]]])
    grouped = replace(
        shape, precision=Precision(eight, eight), sparsity=Sparsity(half, half), spans=Spans(np.array([[[64, 16]]]))
    )
    features = shape_features(grouped)
    assert features.core == len(CORE) + 5
    assert column(features, "log_weight_bits")[0] == pytest.approx(np.log(4))
    assert column(features, "log_ffn_density")[0] == pytest.approx(np.log(0.5))
    assert column(features, "log_span")[0] == pytest.approx(np.log(32))


@pytest.mark.parametrize("name", ["survey_lm", "survey_lm_ffn_free", "survey_lm_compressed"])
def test_genes_are_one_hot(name: str) -> None:
    """Each gene of an existing layer has one column at 1, and none in a layer that is not there."""
    given_space = space(name)
    genomes = given_space.sample(np.random.default_rng(0), 50)
    features = gene_features(given_space, genomes)
    shape = given_space.decode(genomes).shape
    hits = sum(
        features.values[:, place]
        for place, one in enumerate(features.names)
        if one.startswith("ffn[4]=") and not one.endswith("layers")
    )
    np.testing.assert_array_equal(hits, shape.layers[:, 0] > 4)
    assert np.isfinite(features.values).all()
    assert not [one for one in features.names if "pe_rows" in one or "scratchpad" in one]


@given(st.integers(0, 2**32 - 1))
def test_equal_models_have_equal_columns(seed: int) -> None:
    """What no equation reads does not show: a genome and its canonical form have the same columns."""
    given_space = space("survey_lm_ffn_free")
    genomes = np.random.default_rng(seed).integers(0, given_space.sizes, size=(4, len(given_space.genes)))
    mine, canonical = (gene_features(given_space, rows) for rows in (genomes, given_space.canonical(genomes)))
    np.testing.assert_array_equal(mine.values, canonical.values)


def test_different_models_have_different_columns() -> None:
    """No two models of a space look the same."""
    given_space = space("survey_lm_compressed")
    model = [place for place, gene in enumerate(given_space.genes) if not gene.on_accelerator]
    genomes = np.unique(given_space.sample(np.random.default_rng(0), 300)[:, model], axis=0)
    whole = np.zeros((len(genomes), len(given_space.genes)), dtype=np.int64)
    whole[:, model] = genomes
    assert len(np.unique(gene_features(given_space, whole).values, axis=0)) == len(genomes)


def test_models_without_genes_of_one_stack_have_no_gene_columns() -> None:
    """Genes of two stacks, or none at all, are refused instead of read as those of the first stack."""
    given_space = space("survey_lm")
    two = replace(given_space, family=msgspec.structs.replace(given_space.family, stacks=("encoder", "decoder")))
    with pytest.raises(InputError, match="expected models of one stack, got encoder, decoder; use sizes"):
        model_genes(two)
    with pytest.raises(InputError, match="no gene of the model varies"):
        model_genes(replace(given_space, genes=()))
    with pytest.raises(InputError, match="expected shapes that say span, got none"):
        gene_columns([Gene("span", 0, (8, 16), ordered=True)], given_space.baseline.shape)


def test_columns_stand_side_by_side() -> None:
    """Joined features keep the order, and the first one's core."""
    given_space = space("survey_lm")
    genomes = given_space.sample(np.random.default_rng(0), 5)
    sizes, genes = shape_features(given_space.decode(genomes).shape), gene_features(given_space, genomes)
    joined = side_by_side(sizes, genes)
    assert (joined.names, joined.core) == ((*sizes.names, *genes.names), sizes.core)
    np.testing.assert_array_equal(joined.columns(genes.names).values, genes.values)


def test_bad_columns_are_refused() -> None:
    """Numbers that are not finite, another count of names, a core that is none and a missing name are told."""
    with pytest.raises(InputError, match="b: expected finite numbers, got nan for row 1"):
        Features(("a", "b"), np.array([[0.0, 1.0], [0.0, np.nan]]), 2)
    with pytest.raises(InputError, match=r"one column a name \(1\)"):
        Features(("a",), np.zeros((3, 2)), 1)
    with pytest.raises(InputError, match=r"core: expected 1..2, got 0"):
        Features(("a", "b"), np.zeros((3, 2)), 0)
    with pytest.raises(InputError, match="expected c; got a, b"):
        Features(("a", "b"), np.zeros((3, 2)), 1).columns(["c"])
