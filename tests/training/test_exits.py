"""Exits: each is the network cut there, and a sentence leaves at the first that is sure enough."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.elastic.architecture import Architecture, largest
from codesign.elastic.setting import Setting
from codesign.errors import InputError
from codesign.training.evaluate_sentences import (
    MeasuredSentences,
    evaluate_sentences,
    highest_threshold,
    mean_and_error,
)
from codesign.training.sentences import Sentences
from tests.elastic.drawn import CONTEXT, architectures, model_of, settings_of, tokens_of

CLASSES = 3


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_an_exit_is_the_network_cut_after_its_layer(data: st.DataObject) -> None:
    """Exit i of any sub-network, with padding, has the logits of the last exit of its first i layers."""
    a = data.draw(architectures(task="classification", classes=CLASSES, exits=True))
    setting = data.draw(settings_of(a))
    model, tokens = model_of(a), tokens_of(a)
    real = torch.arange(CONTEXT) < torch.tensor([[CONTEXT], [3]])
    whole = model(tokens, setting, real=real)
    for i, logits in enumerate(whole):
        cut = model(tokens, Setting(setting.hidden, setting.layers[: i + 1]), real=real)
        assert len(cut) == i + 1
        torch.testing.assert_close(cut[-1], logits)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_neighbours_and_padding_never_matter(data: st.DataObject) -> None:
    """A sentence's probabilities are the same alone and among longer ones, in any batch."""
    # Not in few bits: rounding would make last-bit differences of other batch sizes large.
    a = data.draw(architectures(stack="encoder", task="classification", classes=CLASSES, exits=True))
    setting, model = data.draw(settings_of(a, plain=True)), model_of(a)
    lengths = np.array(data.draw(st.lists(st.integers(1, CONTEXT), min_size=2, max_size=5)))
    tokens = np.random.default_rng(0).integers(0, a.vocabulary, (len(lengths), CONTEXT)).astype(np.int32)
    sentences = Sentences(tokens, lengths, np.zeros(len(lengths), dtype=np.int64))
    together = evaluate_sentences(model, setting, sentences, 5).logarithms
    alone = evaluate_sentences(model, setting, sentences, 1).logarithms
    np.testing.assert_allclose(together, alone, atol=1e-4)


def measured(exits: int = 4, sentences: int = 50) -> MeasuredSentences:
    """Random answers that grow surer with depth."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, CLASSES, sentences)
    logits = rng.normal(size=(exits, sentences, CLASSES)) * np.arange(1, exits + 1)[:, None, None]
    logits[:, np.arange(sentences), labels] += np.arange(1, exits + 1)[:, None]
    return MeasuredSentences(logits - np.log(np.exp(logits).sum(axis=2, keepdims=True)), labels)


def test_thresholds_at_the_ends() -> None:
    """At 0 nobody leaves early, above ln(classes) everybody leaves at once; between, depth falls with the threshold."""
    one = measured()
    assert (one.early(0.0).layers == 4).all()
    np.testing.assert_array_equal(one.early(0.0).wrong, one.wrong[-1])
    assert (one.early(math.log(CLASSES) + 1e-9).layers == 1).all()
    depth = [one.early(threshold).layers.mean() for threshold in np.linspace(0, 1.2, 30)]
    assert all(a >= b for a, b in pairwise(depth))


def test_a_sentence_leaves_at_the_first_sure_exit() -> None:
    """By hand: entropies .69, .33, .06 of two classes; the wrong answer of an early exit counts."""
    chances = np.array([[[0.5, 0.5]], [[0.9, 0.1]], [[0.01, 0.99]]])
    one = MeasuredSentences(np.log(chances), np.array([1]))
    np.testing.assert_allclose(one.entropies[:, 0], [0.6931, 0.3251, 0.0560], atol=1e-4)
    for threshold, layer, wrong in ((0.1, 3, False), (0.33, 2, True), (0.7, 1, True), (0.01, 3, False)):
        early = one.early(threshold)
        assert (early.layers[0], early.wrong[0]) == (layer, wrong)


def test_the_highest_threshold_keeps_its_promise() -> None:
    """No threshold up to it loses more than allowed, and the next one of the grid does."""
    one, grid = measured(), np.arange(0, 1.2, 0.01).tolist()
    for points in (0.0, 0.02, 0.1):
        best = highest_threshold(one, points, grid)
        most = one.wrong[-1].mean() + points + 1e-9
        assert all(one.early(t).wrong.mean() <= most for t in grid if t <= best)
        later = [t for t in grid if t > best]
        assert not later or one.early(later[0]).wrong.mean() > most


def test_errors_of_means() -> None:
    """The standard error of a mean is that of the textbook; one value has none."""
    mean, error = mean_and_error(np.array([1.0, 2.0, 4.0]))
    assert mean == pytest.approx(7 / 3)
    assert error == pytest.approx(1.527525 / math.sqrt(3), rel=1e-5)
    assert math.isnan(mean_and_error(np.array([1.0]))[1])


def test_labels_that_the_model_lacks_are_refused() -> None:
    """So is measuring on nothing."""
    a = Architecture(stack="encoder", vocabulary=5, context=CONTEXT, hidden=4, layers=1, heads=1, head_width=2, ffn=3,
                     task="classification", classes=CLASSES, exits=True)  # fmt: skip
    tokens, lengths = np.zeros((1, CONTEXT), dtype=np.int32), np.array([2])
    with pytest.raises(InputError, match=r"labels: expected 0\.\.2, the classes of the model, got 3\.\.3"):
        evaluate_sentences(model_of(a), largest(a), Sentences(tokens, lengths, np.array([3])), 1)
    with pytest.raises(InputError, match="expected at least one sentence"):
        evaluate_sentences(model_of(a), largest(a), Sentences(tokens[:0], lengths[:0], lengths[:0]), 1)
