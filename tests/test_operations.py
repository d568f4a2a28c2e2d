"""What a workload's columns say beside the sizes: operand widths and densities of each product."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.design import Family, ModelShape, Precision, Scenario, Sparsity
from codesign.workload import Workload, effective_macs, macs, workload
from tests.strategies import compressed_shapes, scenarios, uniform_shape

FAMILY = Family(stacks=("encoder", "decoder"), vocabulary=11, gated_ffn=True, pooler=True, lm_head=True)
SCENARIO = Scenario(sequence_length=5, target_length=3, batch=2)
PROJECTIONS = ("query", "key", "value", "output", "cross_query", "cross_key", "cross_value", "cross_output")
ACTIVATIONS = ("scores", "context", "cross_scores", "cross_context")
FFN = ("ffn_gate", "ffn_up", "ffn_down")
OUTSIDE = ("pooler", "lm_head")


@pytest.fixture
def shape() -> ModelShape:
    """An encoder of 2 layers and a decoder of 1, each layer with bits and densities of its own."""
    plain = uniform_shape(FAMILY, layers=(2, 1), hidden=8, heads=2, head_width=4, ffn=16)
    by_layer = np.array([[[1, 2], [3, 0]]])
    return replace(
        plain,
        precision=Precision(weight_bits=2 * by_layer, activation_bits=8 * by_layer),
        sparsity=Sparsity(attention_density=by_layer / 4, ffn_density=by_layer / 8),
    )


def said(work: Workload, column: str) -> dict[str, dict[int, float]]:
    """Return a column of the first design: operation -> position of the layer among all -> value."""
    found: dict[str, dict[int, float]] = {}
    for label, value in zip(work.matmuls.labels, getattr(work.matmuls, column)[0], strict=True):
        if (label.stack, label.layer) != ("decoder", 1):  # a layer that does not exist
            place = {"encoder": 0, "decoder": 2, "": -1}[label.stack] + max(label.layer, 0)
            found.setdefault(label.operation, {})[place] = value.item()
    return found


def test_each_product_has_the_bits_of_its_layer(shape: ModelShape) -> None:
    """Inputs have the activation bits, weights the weight bits; scores and context multiply two activations."""
    inputs, weights = (said(workload(shape, SCENARIO), name) for name in ("input_bits", "weight_bits"))
    own = {0: 8, 1: 16, 2: 24}
    for operation in (*PROJECTIONS, *ACTIVATIONS, *FFN):
        places = [2] if operation.startswith("cross") else [0, 1, 2]
        assert inputs[operation] == {place: own[place] for place in places}
        per_weight = own if operation in ACTIVATIONS else {0: 2, 1: 4, 2: 6}
        assert weights[operation] == {place: per_weight[place] for place in places}
    for operation in OUTSIDE:
        assert (inputs[operation], weights[operation]) == ({-1: 0}, {-1: 0})


def test_only_weights_of_layers_are_sparse(shape: ModelShape) -> None:
    """Projections have the attention's density, the FFN its own; activations and what is outside layers are dense."""
    density = said(workload(shape, SCENARIO), "weight_density")
    for operation in (*PROJECTIONS, *FFN):
        own = {0: 1 / 8, 1: 2 / 8, 2: 3 / 8} if operation in FFN else {0: 1 / 4, 1: 2 / 4, 2: 3 / 4}
        assert density[operation] == {place: own[place] for place in density[operation]}
    for operation in (*ACTIVATIONS, *OUTSIDE):
        assert set(density[operation].values()) == {1.0}


def test_absent_products_say_nothing(shape: ModelShape) -> None:
    """A product that does not exist has no bits and counts as dense."""
    work = workload(shape, SCENARIO).matmuls
    absent = work.count == 0
    assert absent.any()
    assert not work.input_bits[absent].any()
    assert not work.weight_bits[absent].any()
    assert (work.weight_density[absent] == 1).all()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_groups_change_no_size_but_spans(data: st.DataObject) -> None:
    """Precision and sparsity leave sizes, counts and vector operations as they are; only the family says structured."""
    shape = data.draw(compressed_shapes())
    scenario = data.draw(scenarios(shape.family))
    plain = replace(
        shape, family=msgspec.structs.replace(shape.family, structured=False), precision=None, sparsity=None
    )
    ours, theirs = workload(shape, scenario), workload(plain, scenario)
    for name in ("m", "k", "n", "count"):
        np.testing.assert_array_equal(getattr(ours.matmuls, name), getattr(theirs.matmuls, name))
    np.testing.assert_array_equal(ours.vectors.elements, theirs.vectors.elements)
    assert ours.matmuls.structured == shape.family.structured
    assert not theirs.matmuls.input_bits.any()
    assert not theirs.matmuls.weight_bits.any()
    assert (theirs.matmuls.weight_density == 1).all()
    np.testing.assert_array_equal(macs(theirs), effective_macs(theirs))
    assert (effective_macs(ours) <= macs(ours)).all()


def test_effective_macs_by_hand(shape: ModelShape) -> None:
    """Weights of the encoder's first layer (density 1/4 and 1/8) and its scores and context, multiplied out."""
    work = workload(shape, SCENARIO)
    first = [label[:2] == ("encoder", 0) for label in work.matmuls.labels]
    products = work.matmuls
    ours = (products.m * products.k * products.n * products.count * products.weight_density)[0, first].sum()
    assert ours == (10 * 4 * 8 * 8) / 4 + 2 * (2 * 2 * 5 * 4 * 5) + (10 * 3 * 8 * 16) / 8
    assert effective_macs(work)[0] < macs(work)[0]


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_batch_equals_one_by_one(data: st.DataObject) -> None:
    """A population gets the operands that each of its designs gets alone."""
    shape = data.draw(compressed_shapes())
    scenario = data.draw(scenarios(shape.family))
    together = workload(shape, scenario).matmuls
    for row in range(len(shape)):
        alone = workload(shape.take(slice(row, row + 1)), scenario).matmuls
        for name in ("m", "k", "n", "count", "input_bits", "weight_bits", "weight_density"):
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[row])
