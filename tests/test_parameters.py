"""Parameters against instantiated networks, closed forms, and the laws of sharing and removal."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.design import Family, ModelShape
from codesign.parameters import parameters, total_parameters
from tests import reference_transformer
from tests.published_networks import NETWORKS
from tests.strategies import families, model_shapes, uniform_shape

PARTS = ["attention", "ffn", "norms", "embeddings", "positions", "pooler", "lm_head"]


@pytest.mark.parametrize("name", NETWORKS)
def test_total_agrees_with_a_published_network(name: str) -> None:
    """A published architecture holds exactly the parameters of its instance."""
    shape, build = NETWORKS[name]
    assert [sum(parameter.numel() for parameter in build().parameters())] == total_parameters(shape).tolist()


@settings(max_examples=60, deadline=None)
@given(model_shapes(max_designs=1))
def test_total_agrees_with_a_network_of_any_shape(shape: ModelShape) -> None:
    """Shapes that no library has agree with a network built from torch layers."""
    assert [reference_transformer.stored(shape)] == total_parameters(shape).tolist()


def test_gpt2_by_part() -> None:
    """GPT-2 small: the published 124 439 808, of which each part by its closed form (d = 768, f = 4 d, 12 layers)."""
    family = Family(stacks=("decoder",), vocabulary=50257, final_norm=True, position_count=1024, lm_head=True)
    shape = uniform_shape(family, layers=(12,), hidden=768, heads=12, head_width=64, ffn=3072)
    d, f, layers = 768, 3072, 12
    expected = {
        "attention": layers * (4 * d**2 + 4 * d),
        "ffn": layers * (2 * d * f + f + d),
        "norms": (2 * layers + 1) * 2 * d,
        "embeddings": 50257 * d,
        "positions": 1024 * d,
        "pooler": 0,
        "lm_head": 0,
    }
    assert expected == {part: int(count[0]) for part, count in parameters(shape).items()}
    assert total_parameters(shape).tolist() == [124_439_808]


@settings(max_examples=60, deadline=None)
@given(model_shapes())
def test_parts_sum_to_the_whole(shape: ModelShape) -> None:
    """The parts come in one order, none is negative, and together they are the total of each design."""
    parts = parameters(shape)
    assert list(parts) == PARTS
    assert all((count >= 0).all() and count.shape == (len(shape),) for count in parts.values())
    np.testing.assert_array_equal(np.sum(list(parts.values()), axis=0), total_parameters(shape))


@settings(max_examples=60, deadline=None)
@given(model_shapes())
def test_batch_equals_one_by_one(shape: ModelShape) -> None:
    """A population gets the counts that each of its designs gets alone."""
    together = parameters(shape)
    for row in range(len(shape)):
        alone = parameters(shape.take(slice(row, row + 1)))
        assert {part: [count[row]] for part, count in together.items()} == {p: c.tolist() for p, c in alone.items()}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_sharing_counts_layers_once(data: st.DataObject) -> None:
    """Equal layers of their own hold `layers` times the attention and FFN of shared ones."""
    family = msgspec.structs.replace(data.draw(families([("encoder",), ("decoder",)])), shared_layers=True)
    shape = data.draw(model_shapes(family))
    own = parameters(replace(shape, family=msgspec.structs.replace(family, shared_layers=False)))
    shared = parameters(shape)
    for part in ("attention", "ffn"):
        np.testing.assert_array_equal(shape.layers[:, 0] * shared[part], own[part])


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(["attention", "ffn"]))
def test_removal_empties_the_part(data: st.DataObject, part: str) -> None:
    """Without any FFN (attention) its part is empty, one norm a sublayer is gone, and the rest stays."""
    family = msgspec.structs.replace(data.draw(families()), shared_layers=False, positions="none", position_count=0)
    shape = data.draw(model_shapes(family))
    names = ("ffn",) if part == "ffn" else ("heads", "kv_heads")
    full = parameters(shape)
    cut = parameters(replace(shape, **{name: np.zeros_like(getattr(shape, name)) for name in names}))
    present = (getattr(shape, names[0]) > 0).sum(axis=2)  # (n, S)
    if part == "attention" and len(family.stacks) == 2:
        present = present * [1, 2]  # the decoder's cross-attention goes too
    vectors = 2 if family.norm == "layernorm" else 1
    assert not cut[part].any()
    np.testing.assert_array_equal(full["norms"] - cut["norms"], vectors * shape.hidden * present.sum(axis=1))
    for other in set(PARTS) - {part, "norms"}:
        np.testing.assert_array_equal(full[other], cut[other])


def test_untying_adds_one_embedding() -> None:
    """An output projection of its own costs vocabulary x hidden, and no other part changes."""
    shape = NETWORKS["gpt2_lm"].shape
    untied = replace(shape, family=msgspec.structs.replace(shape.family, tied_embeddings=False))
    assert {part: count.tolist() for part, count in parameters(untied).items() if count != parameters(shape)[part]} == {
        "lm_head": [31 * 24]
    }


def test_relative_bias_serves_the_widest_layer() -> None:
    """A relative bias has one table a stack, buckets x the heads of its widest layer."""
    shape = NETWORKS["t5"].shape
    heads = shape.heads.copy()
    heads[0, 1, 2] = 8
    assert parameters(shape)["positions"].tolist() == [8 * (4 + 4)]
    assert parameters(replace(shape, heads=heads))["positions"].tolist() == [8 * (4 + 8)]
