"""The line of weighted counts of words beside sentence classifiers."""

from __future__ import annotations

import numpy as np

from codesign.bench.word_baseline import word_baseline
from codesign.text.labelled import LabelledText


def test_words_that_tell_the_class_are_found() -> None:
    """A word of one class decides, and probabilities add up to 1, also where no word is known."""
    texts = [f"the {'ship' if i % 2 else 'plough'} number {i % 5}" for i in range(40)]
    train = LabelledText(tuple(texts), None, np.arange(40) % 2, ("farm", "navy"))
    (found,) = word_baseline(train, [["a ship", "a plough", "zzz"]])
    assert found.argmax(axis=1)[:2].tolist() == [1, 0]
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1.0)
    np.testing.assert_allclose(np.exp(found[2]), 0.5, atol=0.05)
