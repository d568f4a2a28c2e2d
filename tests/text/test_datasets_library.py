"""The loader through the `datasets` library, against a stand-in with the few members that it uses."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from codesign.errors import InputError
from codesign.text.datasets_library import (
    datasets_documents,
    datasets_labelled,
    datasets_labelled_on_disk,
    datasets_questions,
)


class Rows:
    """What `load_dataset` returns, as far as it is used: columns by name, and the names of classes."""

    names = ("negative", "positive")

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._columns = columns
        self.column_names = list(columns)
        self.features = {name: SimpleNamespace() for name in columns}
        self.features["label"] = SimpleNamespace(names=list(self.names))

    def __getitem__(self, name: str) -> list[Any]:
        return self._columns[name]


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Put the stand-in in the library's place; the test fills the columns."""
    columns: dict[str, list[Any]] = {}

    def load_dataset(name: str, configuration: str | None, split: str) -> Rows:
        if name != "known":
            raise FileNotFoundError(f"no data set {name}")
        return Rows(columns)

    library = ModuleType("datasets")
    library.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", library)
    return columns


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the message says what to install."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="`datasets` is not installed: pip install datasets"):
        datasets_documents("wikitext", "wikitext-2-raw-v1", "train", "text")


def test_documents(rows: dict[str, list[Any]]) -> None:
    """A column of text without its blank rows."""
    rows["text"] = ["", " = A = \n", "words"]
    assert datasets_documents("known", None, "train", "text") == [" = A = \n", "words"]
    with pytest.raises(InputError, match="no column 'body'; there are 'text'"):
        datasets_documents("known", None, "train", "body")
    rows["text"] = [""]
    with pytest.raises(InputError, match="holds no text"):
        datasets_documents("known", None, "train", "text")
    with pytest.raises(InputError, match=r"data set unknown, raw, part train: .* no data set unknown"):
        datasets_documents("unknown", "raw", "train", "text")


def test_labels(rows: dict[str, list[Any]]) -> None:
    """Classes have the library's names; a hidden label is out of range."""
    rows |= {"sentence": ["a", "b"], "label": [1, 0]}
    read = datasets_labelled("known", "sst2", "train", text="sentence", label="label")
    assert (read.labels.tolist(), read.classes, read.pairs) == ([1, 0], ("negative", "positive"), None)
    assert datasets_labelled("known", None, "x", text="sentence", pair="sentence", label="label").pairs == ("a", "b")
    rows["label"] = [1, -1]
    with pytest.raises(InputError, match=r"row 1: label: expected negative, positive or 0 to 1, got -1"):
        datasets_labelled("known", "sst2", "test", text="sentence", label="label")


def test_labels_of_classes_named_by_digits(rows: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are places among the names, though "1", "2", "0" look like places themselves; null is no class."""
    rows |= {"sentence": ["a", "b", "c"], "label": [0, 1, 2]}
    monkeypatch.setattr(Rows, "names", ["1", "2", "0"])
    read = datasets_labelled("known", None, "train", text="sentence", label="label")
    assert (read.labels.tolist(), read.classes) == ([0, 1, 2], ("1", "2", "0"))
    rows["label"] = [0, None, 1]
    with pytest.raises(InputError, match="row 1: label: expected a value, got none"):
        datasets_labelled("known", None, "train", text="sentence", label="label")


def test_questions(rows: dict[str, list[Any]]) -> None:
    """Answers are looked up in their context; none means impossible."""
    rows |= {
        "id": ["a", "b"],
        "context": ["In Houston.", "In Houston."],
        "question": ["Where?", "When?"],
        "answers": [{"text": ["Houston"], "answer_start": [3]}, {"text": [], "answer_start": []}],
    }
    assert [one.impossible for one in datasets_questions("known", None, "validation")] == [False, True]
    rows["answers"][0]["answer_start"] = [4]
    with pytest.raises(InputError, match="row 0: question 'a': expected the answer 'Houston' at character 4"):
        datasets_questions("known", None, "validation")


def test_a_data_set_on_disk(tmp_path: Path) -> None:
    """Parts of a folder that the real library wrote are read with their classes' names, others are refused."""
    library = pytest.importorskip("datasets", reason="the package `datasets` is not installed")
    features = library.Features(
        {"sentence": library.Value("string"), "label": library.ClassLabel(names=["1", "2", "0"])}
    )
    rows = library.Dataset.from_dict({"sentence": ["a", "b", "c"], "label": [0, 1, 2]}, features=features)
    library.DatasetDict({"train": rows}).save_to_disk(tmp_path / "several")
    rows.save_to_disk(tmp_path / "one")
    columns = {"text": "sentence", "label": "label"}
    read = datasets_labelled_on_disk(tmp_path / "several", "train", **columns)
    assert (read.texts, read.labels.tolist(), read.classes) == (("a", "b", "c"), [0, 1, 2], ("1", "2", "0"))
    with pytest.raises(InputError, match=r"several: no part 'validation'; there is 'train'"):
        datasets_labelled_on_disk(tmp_path / "several", "validation", **columns)
    with pytest.raises(InputError, match=r"one: no part 'train'; there is one part without a name"):
        datasets_labelled_on_disk(tmp_path / "one", "train", **columns)
    with pytest.raises(InputError, match=r"none: the `datasets` library cannot load it"):
        datasets_labelled_on_disk(tmp_path / "none", "train", **columns)
