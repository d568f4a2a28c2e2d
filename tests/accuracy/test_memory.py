"""A proxy that remembers: each distinct shape is asked for once, and answers do not depend on when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.accuracy.memory import Remembering
from codesign.accuracy.proxy import FunctionProxy, Quality, resolve
from codesign.design import GROUP_FIELDS, FloatArray, IntArray, ModelShape, grouped
from codesign.errors import ProxyError
from codesign.layer_fields import GROUPED, type_of
from codesign.space_file import read_space

SPACE = read_space("tiny").content


class Counting:
    """A function of the shape that counts how many shapes it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, shape: ModelShape) -> Quality:
        """Return something that differs for different shapes."""
        self.asked += len(shape)
        value = shape.hidden + shape.ffn.sum(axis=(1, 2)) / 7 + shape.heads[:, 0, 0] / 3
        return Quality("loss", value.astype(np.float64), value / 1000, value > 200)


def rows(quality: Quality) -> list[list[float]]:
    """The answers, a row a design."""
    return np.stack([quality.value, quality.log_standard_error, quality.extrapolated], axis=1).tolist()


@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_each_distinct_shape_is_asked_for_once(seed: int, sizes: list[int]) -> None:
    """Over any batches, the answers are those of the proxy itself and no shape is asked for twice."""
    rng = np.random.default_rng(seed)
    counting, direct = Counting(), Counting()
    proxy = Remembering(resolve(counting))
    genomes = [SPACE.sample(rng, size) for size in sizes]
    for batch in genomes:
        shape = SPACE.decode(batch).shape
        assert rows(proxy.predict(shape)) == rows(direct(shape))
    model = [column for column, gene in enumerate(SPACE.genes) if not gene.on_accelerator]
    assert counting.asked == len(np.unique(np.concatenate(genomes)[:, model], axis=0))


def test_what_a_record_holds_is_not_asked_for() -> None:
    """Answers that are given are used as they are."""
    counting = Counting()
    proxy = Remembering(resolve(counting))
    shape = SPACE.baseline.shape
    proxy.remember(shape, Quality("loss", np.array([5.0]), np.array([np.nan]), np.array([True])))
    quality = proxy.predict(shape)
    assert (quality.metric, quality.value.tolist(), quality.extrapolated.tolist()) == ("loss", [5.0], [True])
    assert np.isnan(quality.log_standard_error).all()
    assert counting.asked == 0


@pytest.mark.parametrize("name", [name for names in GROUP_FIELDS.values() for name in names])
def test_shapes_that_differ_in_one_group_only_are_different(name: str) -> None:
    """Every optional column tells shapes apart, and so does its absence."""
    counting = Counting()
    proxy = Remembering(resolve(counting))
    plain = SPACE.baseline.shape
    columns = plain.layer_columns()
    full = replace(plain, **grouped({**columns, **{field: one_like(field, plain) for field in GROUPED}}))
    changed = {**full.layer_columns(), name: full.layer_columns()[name] / 2 if "density" in name else 2 * plain.heads}
    for asked, shape in enumerate((plain, full, replace(full, **grouped(changed)), full, plain), start=1):
        proxy.predict(shape)
        assert counting.asked == min(asked, 3)


def one_like(field: str, shape: ModelShape) -> IntArray | FloatArray:
    """Return ones of the type of a field."""
    return np.ones_like(shape.heads, dtype=type_of(field))


def test_unknown_fields_are_not_read() -> None:
    """A proxy that says it reads what no shape has is refused with what there is."""
    with pytest.raises(ProxyError, match=r"reads: expected fields of a model shape \(activation_bits, .*got hedas"):
        Remembering(FunctionProxy("mine", Counting(), frozenset({"heads", "hedas"}))).predict(SPACE.baseline.shape)
