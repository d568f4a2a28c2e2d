"""Attention spans in the workload: counted by hand, and against the same attention to everything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.design import Family, ModelShape, Scenario, Spans
from codesign.workload import Label, macs, workload
from tests import reference_transformer
from tests.strategies import compressed_shapes, scenarios, shapes_in_scenarios, uniform_shape

DECODER = Family(stacks=("decoder",), vocabulary=11, positions="relative", position_count=4)
SHAPE = uniform_shape(DECODER, layers=(3,), hidden=8, heads=6, kv_heads=2, head_width=4, value_width=5, ffn=16)
SPANS = replace(SHAPE, spans=Spans(np.array([[[3, 7, 100]]])))
SCORES = ("scores", "context")


def sizes(shape: ModelShape, scenario: Scenario) -> dict[Label, tuple[int, ...]]:
    """Return m, k, n, count of each product of the first design."""
    work = workload(shape, scenario).matmuls
    return {label: (work.m[0, i], work.k[0, i], work.n[0, i], work.count[0, i]) for i, label in enumerate(work.labels)}


def test_prefill_by_hand() -> None:
    """10 tokens, batch 2: each of 10 queries x 3 heads a group sees 3, 7 or all 10 keys; projections see all tokens."""
    found = sizes(SPANS, Scenario(sequence_length=10, batch=2))
    for layer, seen in enumerate((3, 7, 10)):
        assert found[Label("decoder", layer, "scores")] == (30, 4, seen, 4)
        assert found[Label("decoder", layer, "context")] == (30, seen, 5, 4)
        assert found[Label("decoder", layer, "key")] == (20, 8, 8, 1)
        assert found[Label("decoder", layer, "value")] == (20, 8, 10, 1)


def test_decode_by_hand() -> None:
    """One token after 9 reads min(span, 10) keys and values of the cache."""
    found = sizes(SPANS, Scenario(sequence_length=10, batch=2, phase="decode"))
    for layer, seen in enumerate((3, 7, 10)):
        assert found[Label("decoder", layer, "scores")] == (3, 4, seen, 4)
        assert found[Label("decoder", layer, "context")] == (3, seen, 5, 4)
        assert found[Label("decoder", layer, "key")] == (2, 8, 8, 1)


def test_softmax_and_bias_by_hand() -> None:
    """Softmax and relative bias go over 20 tokens x 6 heads x span scores; no other vector operation changes."""
    scenario = Scenario(sequence_length=10, batch=2)
    work, full = workload(SPANS, scenario).vectors, workload(SHAPE, scenario).vectors
    for i, label in enumerate(work.labels):
        if label.operation in ("softmax", "position_bias"):
            assert work.elements[0, i] == 20 * 6 * (3, 7, 10)[label.layer]
        else:
            assert work.elements[0, i] == full.elements[0, i]


def test_the_saving_is_that_of_adaptive_spans() -> None:
    """A head of width w spends 2 n s w MACs and not 2 n^2 w (Sukhbaatar 2019); all else is as before."""
    n, heads = 10, 6
    saved = (
        macs(workload(SHAPE, Scenario(sequence_length=n)))[0] - macs(workload(SPANS, Scenario(sequence_length=n)))[0]
    )
    assert saved == sum(heads * n * (n - span) * (4 + 5) for span in (3, 7))


def test_cross_attention_sees_the_whole_source() -> None:
    """A span is about self-attention: the decoder looks at all of the source."""
    family = Family(stacks=("encoder", "decoder"), vocabulary=11)
    shape = uniform_shape(family, layers=(1, 1), hidden=8, heads=2, head_width=4, ffn=16)
    found = sizes(replace(shape, spans=Spans(np.array([[[2], [3]]]))), Scenario(sequence_length=9, target_length=6))
    assert found[Label("encoder", 0, "scores")] == (9, 4, 2, 2)
    assert found[Label("decoder", 0, "scores")] == (6, 4, 3, 2)
    assert found[Label("decoder", 0, "cross_scores")] == (6, 4, 9, 2)


@settings(max_examples=40, deadline=None)
@given(shapes_in_scenarios())
def test_a_span_of_the_context_or_more_is_full_attention(drawn: tuple[ModelShape, Scenario]) -> None:
    """Such a shape does what the one without spans does, by torch's count too."""
    shape, scenario = drawn
    longest = max(scenario.sequence_length, scenario.target_length)
    wide = replace(shape, spans=Spans(np.where(shape.heads > 0, longest, 0)))
    ours, theirs = workload(wide, scenario), workload(shape, scenario)
    np.testing.assert_array_equal(ours.matmuls.n, theirs.matmuls.n)
    np.testing.assert_array_equal(ours.matmuls.k, theirs.matmuls.k)
    np.testing.assert_array_equal(ours.vectors.elements, theirs.vectors.elements)
    assert macs(ours)[0] == reference_transformer.counted(shape.take(slice(0, 1)), scenario)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_longer_span_never_does_less(data: st.DataObject) -> None:
    """Products and vector operations grow with the span, and only those over scores do."""
    shape = data.draw(compressed_shapes().filter(lambda drawn: drawn.spans is not None))
    assert shape.spans is not None
    scenario = data.draw(scenarios(shape.family))
    longer = replace(shape, spans=Spans(2 * shape.spans.span))
    ours, theirs = workload(shape, scenario), workload(longer, scenario)
    assert (macs(theirs) >= macs(ours)).all()
    assert (theirs.vectors.elements >= ours.vectors.elements).all()
    others = [label.operation not in SCORES for label in ours.matmuls.labels]
    for name in ("m", "k", "n", "count"):
        np.testing.assert_array_equal(getattr(ours.matmuls, name)[:, others], getattr(theirs.matmuls, name)[:, others])
