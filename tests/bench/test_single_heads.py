"""What a layer with one head costs: a network that is made to need a head is found out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codesign.accuracy.proxy import shipped_network
from codesign.accuracy.supernet import Supernet
from codesign.bench.single_heads import single_head_costs
from codesign.design import FloatArray, ModelShape
from codesign.space_file import read_space


class Needy(Supernet):
    """Loses 0.1 nats for each head that its second layer lacks; whatever else a shape says costs as much in all."""

    def apart(self, shape: ModelShape) -> FloatArray:
        """(n, 2) losses of two windows."""
        lacking = np.where(shape.layers[:, 0] > 1, 5 - shape.heads[:, 0, 1], 0)
        return np.stack([0.1 * lacking + shape.ffn.sum(axis=(1, 2)) / 1e3] * 2, axis=1)


def test_the_layer_that_needs_its_heads_is_found() -> None:
    """The second layer costs four heads' worth, the others nothing; rows count the shapes that are deep enough."""
    space = read_space("sotu_lm").content
    shapes = space.decode(space.sample(np.random.default_rng(0), 30)).shape
    rows = single_head_costs(Needy("supernet", shipped_network("supernet")), shapes)
    assert [row["layer"] for row in rows] == list(range(6))
    np.testing.assert_allclose([row["costs_nats"] for row in rows], [0, 0.4, 0, 0, 0, 0], atol=1e-12)
    assert [row["shapes"] for row in rows] == [int((shapes.layers > layer).sum()) for layer in range(6)]
    assert rows[1]["standard_error"] == pytest.approx(0, abs=1e-12)


def test_other_sizes_stay() -> None:
    """Only heads of that layer change, and the shapes that were given do not."""
    space = read_space("sotu_lm").content
    shapes = space.decode(space.sample(np.random.default_rng(1), 4)).shape
    before = replace(shapes, heads=shapes.heads.copy())
    seen: list[ModelShape] = []

    class Watching(Needy):
        def apart(self, shape: ModelShape) -> FloatArray:
            seen.append(shape)
            return super().apart(shape)

    single_head_costs(Watching("supernet", shipped_network("supernet")), shapes)
    np.testing.assert_array_equal(shapes.heads, before.heads)
    one, most = seen[0], seen[1]
    assert (one.heads[:, 0, 0] == 1).all()
    assert (most.heads[:, 0, 0] == 5).all()
    np.testing.assert_array_equal(one.heads[:, :, 1:], shapes.heads[:, :, 1:])
    np.testing.assert_array_equal(one.ffn, shapes.ffn)
