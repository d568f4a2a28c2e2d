"""Sentences and pairs of sentences with a class each: the TSV files of GLUE, and rated sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from codesign.errors import InputError
from codesign.text.reading import fields_of

MOST_CLASSES = 1000
"""That are taken from the labels themselves: a column with more of them holds ids, dates or ratings, not classes."""

MOST_SHOWN = 8
"""Names that a message lists."""


@dataclass(frozen=True)
class LabelledText:
    """Examples of a classification task; every class occurs."""

    texts: tuple[str, ...]
    pairs: tuple[str, ...] | None
    """The second text of each example; None where there is one text an example."""
    labels: npt.NDArray[np.int64]
    """(n,): index into `classes`."""
    classes: tuple[str, ...]


def read_tsv(
    path: Path,
    *,
    text: str,
    label: str,
    pair: str | None = None,
    classes: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> LabelledText:
    """Read a tab-separated file as GLUE has them (Wang 2018): quotes are plain characters, a line is an example.

    Args:
        path: the file (`.gz` is unpacked).
        text: name of the column of the (first) text.
        label: name of the column of the class: its name, or its number from 0 where names of `classes` are none.
        pair: name of the column of the second text, where there is one.
        classes: names of all classes in the order of their numbers; None takes the names found, sorted.
        columns: names of the columns of a file without a header row (CoLA); None reads them from the first line.

    Raises:
        InputError: an unknown column, a line with more or fewer fields than columns, an empty text, a label out of
            range, a class without examples, fewer than two classes, more than MOST_CLASSES where none are given.
            Left out: numbers to regress (STS-B).
    """
    lines = fields_of(path)
    header = list(columns) if columns is not None else next(lines)[1]
    wanted = [text, label] + ([pair] if pair is not None else [])
    for name in wanted:
        if name not in header:
            raise InputError(f"{path}: no column {name!r}; there are {', '.join(map(repr, header))}")
    rows = [(number, _pick(path, number, fields, header, wanted)) for number, fields in lines]
    given = [(f"{path}: line {number}", row[1]) for number, row in rows]
    texts = [row[0] for _, row in rows]
    pairs = [row[2] for _, row in rows] if pair is not None else None
    return labelled(str(path), texts, pairs, given, classes)


def labelled(
    origin: str,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    labels: Sequence[tuple[str, str | int]],
    classes: Sequence[str] | None,
) -> LabelledText:
    """Check labels against classes and number them.

    Args:
        origin: where the examples are from, used in messages.
        texts: one an example.
        pairs: the second texts, or None.
        labels: (where it stands, class), one an example. A text is the class's name, or, where no name is of digits,
            its place from 0 in digits; a number is always its place.
        classes: as for `read_tsv`.

    Raises:
        InputError: no examples, a label out of range, a class without examples, fewer than two classes, or more than
            MOST_CLASSES where none are given.
    """
    if not texts:
        raise InputError(f"{origin}: no examples: expected at least one of each class")
    names = tuple(classes) if classes is not None else _found(labels)
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(f"{origin}: classes {listed(names)}: expected at least two different ones")
    numbers = np.array([_number(where, label, names) for where, label in labels], dtype=np.int64)
    empty = [name for name, count in zip(names, np.bincount(numbers, minlength=len(names)), strict=True) if not count]
    if empty:
        raise InputError(f"{origin}: no example of class {listed(empty)}: expected at least one of each class")
    return LabelledText(tuple(texts), tuple(pairs) if pairs is not None else None, numbers, names)


def listed(names: Sequence[str]) -> str:
    """Return names for a message: the first MOST_SHOWN, and how many more there are."""
    more = f" and {len(names) - MOST_SHOWN:,} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN]) + more


def read_rated(paths: Sequence[Path], threshold: float = 0.5) -> LabelledText:
    """Read rated sentences, a line `id<TAB>mean rating from -4 to 4<TAB>text` (VADER, Hutto & Gilbert 2014).

    Ratings of at least `threshold` are positive, of at most -`threshold` negative; those between are left out.

    Raises:
        InputError: a threshold not above 0, a line without three fields, a rating that is no number from -4 to 4, an
            empty text, or a class without examples.
    """
    if not threshold > 0:
        raise InputError(f"rated sentences: threshold: expected a number above 0, got {threshold}")
    rated = [pair for path in paths for pair in _rated(path)]
    kept = [(rating, text) for rating, text in rated if abs(rating) >= threshold]
    origin = ", ".join(map(str, paths))
    labels = [(origin, "positive" if rating > 0 else "negative") for rating, _ in kept]
    return labelled(origin, [text for _, text in kept], None, labels, ("negative", "positive"))


def _rated(path: Path) -> Iterator[tuple[float, str]]:
    for number, fields in fields_of(path, separators=2):
        where = f"{path}: line {number}"
        if len(fields) != 3 or not fields[2].strip():
            raise InputError(f"{where}: expected id, rating and text with tabs between, got {fields}")
        yield _rating(where, fields[1]), fields[2].strip()


def _rating(where: str, text: str) -> float:
    try:
        rating = float(text)
    except ValueError:
        rating = math.nan
    if not -4 <= rating <= 4:
        raise InputError(f"{where}: rating: expected a number from -4 to 4, got {text!r}")
    return rating


def _pick(path: Path, number: int, fields: list[str], header: list[str], wanted: list[str]) -> list[str]:
    where = f"{path}: line {number}"
    if len(fields) != len(header):
        raise InputError(
            f"{where}: expected {len(header)} fields ({', '.join(header)}), got {len(fields)}; "
            "mend or remove the line, or name the columns of a file without a header row"
        )
    picked = [fields[header.index(name)].strip() for name in wanted]
    for name, value in zip(wanted, picked, strict=True):
        if not value:
            raise InputError(f"{where}: {name}: expected text, got an empty field")
    return picked


def _found(labels: Sequence[tuple[str, str | int]]) -> tuple[str, ...]:
    """Return the classes that labels speak of: 0 to the largest number, or the names in their order.

    Raises:
        InputError: more than MOST_CLASSES.
    """
    numbers = [_value(label) for _, label in labels]
    if any(number is None for number in numbers):
        first: dict[str, str] = {}
        for where, label in labels:
            first.setdefault(str(label), where)
            if len(first) > MOST_CLASSES:
                raise _too_many(where, label)
        return tuple(sorted(first))
    for (where, label), number in zip(labels, numbers, strict=True):
        if number is not None and number >= MOST_CLASSES:
            raise _too_many(where, label)
    return tuple(str(number) for number in range(1 + max(int(label) for _, label in labels)))


def _too_many(where: str, label: str | int) -> InputError:
    return InputError(
        f"{where}: label: expected one of at most {MOST_CLASSES:,} classes, names or numbers from 0, got {label!r}; "
        "a column of ids, dates or ratings holds no classes: name another one"
    )


def _value(label: str | int) -> float | None:
    """Return the number that a label is or writes, infinity if it is absurdly long; None where it is a name."""
    if isinstance(label, int):
        return label
    if not (label.isascii() and label.isdigit()):
        return None
    return int(label) if len(label) < 10 else math.inf


def _number(where: str, label: str | int, classes: tuple[str, ...]) -> int:
    """Return the place of a label's class. A text is first a name; a number is a place, never a name."""
    if isinstance(label, str) and label in classes:
        return classes.index(label)
    value = _value(label)
    places = isinstance(label, int) or _may_be_places(classes)
    if places and value is not None and 0 <= value < len(classes):
        return int(value)
    expected = f"{listed(classes)} or 0 to {len(classes) - 1}" if places else f"the name of a class, {listed(classes)}"
    raise InputError(f"{where}: label: expected {expected}, got {label!r}")


def _may_be_places(classes: tuple[str, ...]) -> bool:
    """Whether digits in a file can only mean a class's place: no class but the one at that place has such a name."""
    return all(_value(name) in (None, place) for place, name in enumerate(classes))
