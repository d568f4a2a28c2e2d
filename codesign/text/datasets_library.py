"""Data that the `datasets` library finds, for those who have installed it; the package does not require it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codesign.errors import InputError
from codesign.text.labelled import LabelledText, labelled
from codesign.text.squad import Answer, Question, checked, question


def datasets_documents(name: str, configuration: str | None, part: str, text: str) -> list[str]:
    """Return the column `text` of a part of a data set as documents, blank rows left out.

    Raises:
        InputError: the library is missing or cannot load the data set, no such column, or no text in it.
    """
    rows, origin = _load(name, configuration, part)
    documents = [str(value) for value in _column(rows, text, origin) if str(value).strip()]
    if not documents:
        raise InputError(f"{origin}: column {text!r} holds no text: expected at least one document")
    return documents


def datasets_labelled(
    name: str, configuration: str | None, part: str, *, text: str, label: str, pair: str | None = None
) -> LabelledText:
    """Return labelled texts of a part of a data set, such as `("glue", "sst2", "train", text="sentence", ...)`.

    Numbers are places in the library's list of names, whatever these are.

    Raises:
        InputError: the library is missing or cannot load the data set, no such column, a label out of range (hidden
            test labels are -1), or a class without examples.
    """
    return _labelled(*_load(name, configuration, part), text=text, label=label, pair=pair, classes=None)


def datasets_labelled_on_disk(
    path: Path, part: str, *, text: str, label: str, classes: Sequence[str] | None = None
) -> LabelledText:
    """Return labelled texts of a part of a data set that the library's `save_to_disk` has written.

    Args:
        path: its folder, of several parts.
        part: such as "train".
        text: name of the column of the text.
        label: name of the column of the class.
        classes: names of all classes, where the data set has none; None takes those found.

    Raises:
        InputError: as `datasets_labelled`, or no such folder or part.
    """
    origin = f"data set {path}"
    library = _library(origin)
    try:
        parts = library.load_from_disk(str(path))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise InputError(f"{origin}: the `datasets` library cannot load it: {error}") from None
    known = [] if hasattr(parts, "column_names") and isinstance(parts.column_names, list) else list(parts)
    if part not in known:
        there = ", ".join(map(repr, known)) or "one part without a name; save a DatasetDict"
        raise InputError(f"{origin}: no part {part!r}; there is {there}")
    rows = parts[part].with_format(None)
    return _labelled(rows, f"{origin}, part {part}", text=text, label=label, pair=None, classes=classes)


def datasets_questions(name: str, configuration: str | None, part: str) -> list[Question]:
    """Return the questions of a part of a data set with the columns of `squad` and `squad_v2`.

    Raises:
        InputError: the library is missing or cannot load the data set, no such column, or an answer that does not
            stand in the context where it says.
    """
    rows, origin = _load(name, configuration, part)
    columns = [_column(rows, column, origin) for column in ("id", "context", "question", "answers")]
    questions = []
    for row, (identity, context, asked, answers) in enumerate(zip(*columns, strict=True)):
        given = [Answer(*pair) for pair in zip(answers["text"], answers["answer_start"], strict=True)]
        questions.append(question(f"{origin}: row {row}", identity, context, asked, given))
    return checked(questions, origin)


def _labelled(
    rows: Any, origin: str, *, text: str, label: str, pair: str | None, classes: Sequence[str] | None
) -> LabelledText:
    texts = [str(value) for value in _column(rows, text, origin)]
    pairs = [str(value) for value in _column(rows, pair, origin)] if pair is not None else None
    given = _column(rows, label, origin)
    labels = [(f"{origin}: row {row}", one if isinstance(one, int) else str(one)) for row, one in enumerate(given)]
    return labelled(origin, texts, pairs, labels, getattr(rows.features[label], "names", classes))


def _library(what: str) -> Any:
    try:
        return importlib.import_module("datasets")
    except ImportError:
        raise InputError(
            f"{what}: the package `datasets` is not installed: pip install datasets, or give a local file"
        ) from None


def _load(name: str, configuration: str | None, part: str) -> tuple[Any, str]:
    library = _library(f"data set {name}")
    origin = f"data set {name}{f', {configuration}' if configuration else ''}, part {part}"
    try:
        return library.load_dataset(name, configuration, split=part), origin
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise InputError(f"{origin}: the `datasets` library cannot load it: {error}") from None


def _column(rows: Any, name: str, origin: str) -> list[Any]:
    if name not in rows.column_names:
        raise InputError(f"{origin}: no column {name!r}; there are {', '.join(map(repr, rows.column_names))}")
    values = list(rows[name])
    if None in values:
        raise InputError(f"{origin}: row {values.index(None)}: {name}: expected a value, got none")
    return values
