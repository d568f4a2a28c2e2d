"""The shipped classifier as a proxy: real sentences, measured error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codesign.accuracy.proxy import resolve, shipped_network
from codesign.accuracy.supernet_sentences import SentenceSupernet
from codesign.accuracy.supernet_tasks import supernet_at
from codesign.design import ModelShape
from codesign.elastic.saved import read_card
from codesign.elastic.setting import Setting
from codesign.space import SearchSpace
from codesign.space_file import read_space

NAME = "supernet_sentences"


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    """The space of the shipped network."""
    return read_space("sotu_sentences").content


@pytest.fixture(scope="module")
def shapes(space: SearchSpace) -> ModelShape:
    """The baseline and three drawn shapes."""
    drawn = space.sample(np.random.default_rng(0), 3)
    genomes = np.concatenate([space.encode(space.baseline), drawn])
    return space.decode(space.canonical(genomes)).shape


def test_the_space_and_its_network_belong_together(space: SearchSpace) -> None:
    """The network was trained for the space, and measures its baseline far better than guessing."""
    card = read_card(shipped_network(NAME))
    assert (card.space, card.architecture.classes, card.architecture.exits) == ("sotu_sentences", 4, True)
    quality = resolve(NAME).predict(space.baseline.shape)
    assert quality.metric == "error"
    assert quality.value[0] < 0.5
    assert 0.02 < quality.log_standard_error[0] < 0.1


def test_what_was_not_trained_is_marked(space: SearchSpace, shapes: ModelShape) -> None:
    """Shapes of the space are not marked; a span that is shorter than all of its is."""
    proxy, spans = supernet_at(NAME, shipped_network(NAME)), space.baseline.shape.spans
    assert spans is not None
    assert not proxy._extrapolated(shapes).any()
    short = replace(space.baseline.shape, spans=replace(spans, span=spans.span // 16))
    proxy.losses.update((setting, np.array([0.0, 1.0])) for setting in proxy._settings(short))
    assert proxy.predict(short).extrapolated.tolist() == [True]


def test_alone_as_among_others(shapes: ModelShape) -> None:
    """Errors do not depend on what else is measured; a comparison is paired, so surer than both errors together."""
    together, again = (supernet_at(NAME, shipped_network(NAME)) for _ in range(2))
    first = together.predict(shapes)
    again.__dict__["_sentences"] = together.__dict__["_sentences"]
    for row in (3, 1):
        np.testing.assert_allclose(again.predict(shapes.take(np.array([row]))).value, first.value[[row]], atol=0.002)
    baseline = shapes.take(np.array([0]))
    paired = together.compare(shapes, baseline)
    assert paired[0] == 0.0
    assert (paired[1:] < np.hypot(first.log_standard_error[1:], first.log_standard_error[0])).all()


def test_rates_and_their_errors_by_hand(shapes: ModelShape) -> None:
    """Error is the share of ones, no error counts as half of one; standard errors are binomial."""
    proxy = SentenceSupernet(NAME, shipped_network(NAME))
    found: list[Setting] = proxy._settings(shapes)
    rows = [np.array(row, dtype=float) for row in ([1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0])]
    proxy.losses.update(zip(found, rows, strict=True))
    quality = proxy.predict(shapes)
    np.testing.assert_allclose(quality.value, [0.25, 0.125, 0.5, 0.75])
    np.testing.assert_allclose(quality.log_standard_error[0], np.sqrt(0.75 / (0.25 * 4)))
    difference = rows[2] / 0.5 - rows[0] / 0.25
    paired = proxy.compare(shapes, shapes.take(np.array([0])))[2]
    np.testing.assert_allclose(paired, difference.std(ddof=1) / 2)
