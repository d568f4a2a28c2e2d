"""Sentences labelled by period."""

from __future__ import annotations

import re

import numpy as np
import pytest

from codesign.errors import InputError
from codesign.text.corpus import shipped_documents
from codesign.text.periods import LabelledParts, sentences_by_period
from codesign.text.splits import split


@pytest.fixture(scope="module")
def parts() -> LabelledParts:
    """Four periods of the shipped addresses."""
    return sentences_by_period(4)


def test_every_class_is_as_large(parts: LabelledParts) -> None:
    """In each part, guessing is right one time in four; the parts are as large as the docs say."""
    for part, each in ((parts.train, 12465), (parts.validation, 433), (parts.test, 499)):
        assert np.bincount(part.labels).tolist() == [each] * 4


def test_a_sentence_is_of_its_part_and_its_period(parts: LabelledParts) -> None:
    """Held-out sentences stand in held-out addresses of the years that their class names; years are not told."""
    documents = split(list(shipped_documents("sotu").items()))
    for part, addresses in ((parts.validation, documents.validation), (parts.test, documents.test)):
        for text, label in zip(part.texts, part.labels, strict=True):
            first, last = map(int, part.classes[label].split("-"))
            years = [int(name[:4]) for name, words in addresses if text in words]
            assert any(first <= year <= last or (label == 0 and year < first) for year in years)
            assert not re.search(r"\b(1[6-9]|20)\d\d\b", text)
            assert len(text.split()) >= 8


def test_it_is_the_same_each_time(parts: LabelledParts) -> None:
    """Nothing is drawn."""
    again = sentences_by_period(4)
    assert again.validation.texts == parts.validation.texts
    np.testing.assert_array_equal(again.train.labels, parts.train.labels)


@pytest.mark.parametrize("classes", [1, 17])
def test_too_few_or_many_periods_are_refused(classes: int) -> None:
    """Of the latter some would hold no held-out address."""
    with pytest.raises(InputError, match=f"expected 2 to 16 classes, got {classes}"):
        sentences_by_period(classes)
