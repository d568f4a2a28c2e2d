"""The text of a classifier's training: labelled sentences as numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from codesign.design import IntArray
from codesign.errors import InputError
from codesign.text.datasets_library import datasets_labelled_on_disk
from codesign.text.labelled import LabelledText, labelled, listed, read_rated, read_tsv
from codesign.text.periods import sentences_by_period
from codesign.text.splits import FEWEST, split
from codesign.text.tokenizer import Tokenizer, tokenizer_for
from codesign.training.recipe import SentencesTable, TextTable
from codesign.training.rows import Rows, filled


class SentenceBatch(NamedTuple):
    """Some sentences, as long as the longest of them."""

    tokens: Tensor  # (b, t) long
    real: Tensor  # (b, t) True where a token is no padding
    labels: Tensor  # (b,) long


@dataclass(frozen=True)
class Sentences(Rows):
    """Labelled sentences as tokens."""

    labels: IntArray  # (n,)

    def batch(self, device: torch.device | str) -> SentenceBatch:
        """Return all of them as tensors."""
        return SentenceBatch(*self.padded(device), torch.as_tensor(self.labels, device=device))


@dataclass(frozen=True)
class SentenceText:
    """A training's sentences."""

    tokenizer: Tokenizer
    classes: tuple[str, ...]
    table: SentencesTable
    train: Sentences
    validation: Sentences

    def digest(self) -> str:
        """Return the SHA-256 of the tokenizer's file, the classes' names, and all tokens and labels."""
        arrays = [*self.train.numbers(), *self.validation.numbers()]
        texts = (self.tokenizer.text(), "\n".join(self.classes))
        parts = [text.encode() for text in texts] + [array.tobytes() for array in arrays]
        return hashlib.sha256(b"".join(parts)).hexdigest()

    @property
    def head(self) -> dict[str, Any]:
        """The fields of an `Architecture` that the task decides."""
        exits = self.table.exits != "none"
        return {"task": "classification", "classes": len(self.classes), "exits": exits, "pooling": "mean"}


def sentence_text(table: TextTable, sentences: SentencesTable, tokenizer: Tokenizer | None = None) -> SentenceText:
    """Read the sentences of a recipe and cut them into tokens.

    Args:
        table: which text, the vocabulary, and the most tokens of a sentence.
        sentences: what the classes are.
        tokenizer: the one to use; None takes the shipped one of this corpus and vocabulary, or trains one.

    Raises:
        InputError: an unknown corpus, columns or labels that are not there, classes without examples, another number
            of classes than told, or too little text for the vocabulary.
    """
    train, validation = labelled_parts(table, sentences)
    if tokenizer is None:
        tokenizer = tokenizer_for(table.corpus, table.vocabulary, train.texts)
    parts = (encoded(part, tokenizer, table.window) for part in (train, validation))
    return SentenceText(tokenizer, train.classes, sentences, *parts)


def labelled_parts(table: TextTable, sentences: SentencesTable) -> tuple[LabelledText, LabelledText]:
    """Return the training and the validation sentences of a recipe, in words.

    Raises:
        InputError: see `sentence_text`.
    """
    loaders = {"tsv": _tsv, "rated": _rated, "datasets": _datasets, "sotu": _periods}
    with_columns = table.corpus in ("tsv", "datasets")
    if table.corpus not in loaders:
        known = ", ".join(loaders)
        raise InputError(f"text.corpus: expected one with classes ({known}), got {table.corpus!r}")
    named = {"text.path": (table.path, table.corpus != "sotu"),
             "sentences.text": (sentences.text, with_columns),
             "sentences.label": (sentences.label, with_columns)}  # fmt: skip
    for name, (value, wanted) in named.items():
        if bool(value) != wanted:
            expected = "one" if wanted else "an empty one"
            raise InputError(f"{name}: expected {expected} with corpus {table.corpus!r}, got {value!r}")
    train, validation = loaders[table.corpus](table, sentences)
    if len(train.classes) != sentences.classes:
        names = f"{len(train.classes):,} ({listed(train.classes)})"
        raise InputError(f"sentences.classes: the text has {names}, got {sentences.classes}")
    return train, validation


def encoded(text: LabelledText, tokenizer: Tokenizer, window: int) -> Sentences:
    """Return the first `window` tokens of each sentence and its class."""
    rows, lengths = filled([tokens[:window] for tokens in tokenizer.encode_all(text.texts)], window, tokenizer.end)
    return Sentences(rows, lengths, text.labels)


def _periods(_table: TextTable, sentences: SentencesTable) -> tuple[LabelledText, LabelledText]:
    parts = sentences_by_period(sentences.classes)
    return parts.train, parts.validation


def _tsv(table: TextTable, sentences: SentencesTable) -> tuple[LabelledText, LabelledText]:
    folder, columns = Path(table.path), {"text": sentences.text, "label": sentences.label}
    train = read_tsv(folder / "train.tsv", **columns)
    return train, read_tsv(folder / "dev.tsv", classes=train.classes, **columns)


def _datasets(table: TextTable, sentences: SentencesTable) -> tuple[LabelledText, LabelledText]:
    path, columns = Path(table.path), {"text": sentences.text, "label": sentences.label}
    train = datasets_labelled_on_disk(path, "train", **columns)
    return train, datasets_labelled_on_disk(path, "validation", classes=train.classes, **columns)


def _rated(table: TextTable, _sentences: SentencesTable) -> tuple[LabelledText, LabelledText]:
    path = Path(table.path)
    paths = sorted(path.glob("*.tsv*")) if path.is_dir() else [path]
    if not paths:
        raise InputError(f"{path}: no file *.tsv in this folder: expected at least one")
    whole = read_rated(paths)
    if len(whole.texts) < FEWEST:
        found = f"{len(whole.texts)} that are rated positive or negative"
        raise InputError(f"{path}: expected at least {FEWEST} sentences, of which one is validation, got {found}")
    parts = split(range(len(whole.texts)))
    return _some(whole, parts.train, "training"), _some(whole, parts.validation, "validation")


def _some(whole: LabelledText, places: Sequence[int], part: str) -> LabelledText:
    labels = [(f"{part} part", whole.classes[whole.labels[i]]) for i in places]
    return labelled(f"{part} part", [whole.texts[i] for i in places], None, labels, whole.classes)
