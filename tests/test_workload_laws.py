"""The laws that the workload of any shape obeys."""

from dataclasses import fields, replace

import msgspec
import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from codesign.design import Family, ModelShape, Scenario
from codesign.workload import VECTOR_KINDS, macs, workload
from tests.strategies import LAYER_COLUMNS, families, model_shapes, scenarios, shapes_in_scenarios, uniform_shape
from tests.test_workload import macs_of

BERT_BASE = uniform_shape(
    Family(stacks=("encoder",), vocabulary=30522, position_count=4096),
    layers=(12,),
    hidden=768,
    heads=12,
    head_width=64,
    ffn=3072,
)


@settings(max_examples=60, deadline=None)
@given(shapes_in_scenarios())
def test_batch_equals_one_by_one(drawn: tuple[ModelShape, Scenario]) -> None:
    """A population gets the columns that each of its designs gets alone."""
    shape, scenario = drawn
    together = workload(shape, scenario)
    for row in range(len(shape)):
        alone = workload(shape.take(slice(row, row + 1)), scenario)
        assert (alone.matmuls.labels, alone.vectors.labels) == (together.matmuls.labels, together.vectors.labels)
        for column in ("m", "k", "n", "count"):
            np.testing.assert_array_equal(getattr(alone.matmuls, column)[0], getattr(together.matmuls, column)[row])
        np.testing.assert_array_equal(alone.vectors.elements[0], together.vectors.elements[row])


def test_no_designs_no_rows() -> None:
    """An empty population has the same operations and no rows."""
    work = workload(BERT_BASE.take(slice(0, 0)), Scenario(sequence_length=8))
    assert (0, len(work.matmuls.labels)) == work.matmuls.m.shape
    assert macs(work).shape == (0,)


@settings(max_examples=60, deadline=None)
@given(shapes_in_scenarios())
def test_tables_are_consistent(drawn: tuple[ModelShape, Scenario]) -> None:
    """Labels are unique, kinds are known, and a product is either absent in all its columns or in none."""
    work = workload(*drawn)
    for labels in (work.matmuls.labels, work.vectors.labels):
        assert len(labels) == len(set(labels))
    assert len(work.vectors.kinds) == len(work.vectors.labels)
    assert set(work.vectors.kinds) <= set(VECTOR_KINDS)
    products = np.stack([work.matmuls.m, work.matmuls.k, work.matmuls.n, work.matmuls.count])
    assert ((products > 0).all(axis=0) | (products == 0).all(axis=0)).all()
    assert (work.vectors.elements >= 0).all()


@settings(max_examples=40, deadline=None)
@given(shapes_in_scenarios(), st.integers(2, 4))
def test_linear_in_batch(drawn: tuple[ModelShape, Scenario], times: int) -> None:
    """Sequences of a batch do not interact: r times the batch is r times everything."""
    shape, scenario = drawn
    once, more = (workload(shape, msgspec.structs.replace(scenario, batch=size)) for size in (1, times))
    np.testing.assert_array_equal(times * macs(once), macs(more))
    np.testing.assert_array_equal(times * once.vectors.elements, more.vectors.elements)


@settings(max_examples=40, deadline=None)
@given(shapes_in_scenarios(), st.sampled_from(["heads", "head_width", "value_width", "ffn", "hidden"]))
def test_monotone_in_widths(drawn: tuple[ModelShape, Scenario], column: str) -> None:
    """Wider never does less."""
    shape, scenario = drawn
    wider = replace(shape, **{column: 2 * getattr(shape, column)})
    assert (macs(workload(wider, scenario)) >= macs(workload(shape, scenario))).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_monotone_in_length(data: st.DataObject) -> None:
    """A longer sequence strictly adds work in prefill, and never removes any in decode."""
    shape = data.draw(model_shapes(data.draw(families([("encoder",), ("decoder",)]))))
    scenario = data.draw(scenarios(shape.family))
    shape = replace(shape, family=msgspec.structs.replace(shape.family, positions="none", position_count=0))
    longer = msgspec.structs.replace(scenario, sequence_length=scenario.sequence_length + 1)
    short, long = workload(shape, scenario), workload(shape, longer)
    assert (long.vectors.elements >= short.vectors.elements).all()
    assert (macs(long) >= macs(short)).all()
    if scenario.phase == "prefill":
        assert (long.vectors.elements.sum(axis=1) > short.vectors.elements.sum(axis=1)).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_layers_add_up(data: st.DataObject) -> None:
    """Without its last layer a model does exactly that layer's products less."""
    family = data.draw(families())
    shape, scenario = data.draw(model_shapes(family, max_designs=1)), data.draw(scenarios(family))
    stack, last = len(family.stacks) - 1, int(shape.layers[0, -1]) - 1
    assume(last > 0)
    layers, columns = shape.layers.copy(), {}
    layers[0, stack] = last
    for name in LAYER_COLUMNS:
        columns[name] = getattr(shape, name).copy()
        columns[name][0, stack, last] = 0
    full, cut = workload(shape, scenario), workload(replace(shape, layers=layers, **columns), scenario)
    gone = [label[:2] == (family.stacks[stack], last) for label in full.matmuls.labels]
    expected = np.where(gone, 0, full.matmuls.count)
    np.testing.assert_array_equal(expected, cut.matmuls.count)


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(["attention", "ffn"]))
def test_removal_takes_the_sublayer_only(data: st.DataObject, sublayer: str) -> None:
    """A removed FFN (attention) takes its products, activation (softmax), norm and residual, and nothing else."""
    family = msgspec.structs.replace(data.draw(families()), shared_layers=False)
    shape, scenario = data.draw(model_shapes(family)), data.draw(scenarios(family))
    names = ("ffn",) if sublayer == "ffn" else ("heads", "kv_heads")
    columns = {name: getattr(shape, name).copy() for name in names}
    for column in columns.values():
        column[:, :, 0] = 0
    before, after = workload(shape, scenario), workload(replace(shape, **columns), scenario)
    feed_forward = {"ffn_gate", "ffn_up", "ffn_down", "activation", "gate", "ffn_norm", "ffn_residual"}
    for labels, full, cut in (
        (before.matmuls.labels, before.matmuls.count, after.matmuls.count),
        (before.vectors.labels, before.vectors.elements, after.vectors.elements),
    ):
        gone = [label.layer == 0 and (label.operation in feed_forward) == (sublayer == "ffn") for label in labels]
        np.testing.assert_array_equal(np.where(gone, 0, full), cut)


@settings(max_examples=40, deadline=None)
@given(shapes_in_scenarios([("encoder",), ("decoder",)]))
def test_grouping_saves_projections_only(drawn: tuple[ModelShape, Scenario]) -> None:
    """Shared key/value heads do the scores and context of separate ones, on a fraction of the key projection."""
    shape, scenario = drawn
    grouped = workload(shape, scenario)
    separate = workload(replace(shape, kv_heads=shape.heads), scenario)
    kept = ("query", "scores", "context", "output")
    np.testing.assert_array_equal(macs_of(separate, *kept), macs_of(grouped, *kept))
    assert (macs_of(grouped, "key", "value") <= macs_of(separate, "key", "value")).all()
    assert (grouped.matmuls.count <= separate.matmuls.count).all()


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_decode_steps_sum_to_prefill(data: st.DataObject) -> None:
    """Decoding l tokens one by one is the prefill of l tokens, less the scores above the diagonal."""
    family = data.draw(families([("decoder",)]))
    shape, scenario = data.draw(model_shapes(family)), data.draw(scenarios(family, phases=("prefill",)))
    length = scenario.sequence_length
    prefill = workload(shape, scenario)
    steps = [
        workload(shape, msgspec.structs.replace(scenario, phase="decode", sequence_length=context))
        for context in range(1, length + 1)
    ]
    seen = macs_of(prefill, "scores", "context")
    masked = seen * (length - 1) // (2 * length)  # l(l - 1) / 2 of l^2 scores
    np.testing.assert_array_equal(macs(prefill) - masked, np.sum([macs(step) for step in steps], axis=0))


def test_columns_are_integers() -> None:
    """Every column is int64, so that large models do not overflow."""
    work = workload(BERT_BASE, Scenario(sequence_length=4096, batch=64))
    columns = [getattr(work.matmuls, field.name) for field in fields(work.matmuls) if field.type == "IntArray"]
    assert {np.dtype(np.int64)} == {column.dtype for column in [*columns, work.vectors.elements, macs(work)]}
