"""The text of a training: its tokenizer, its stream of training tokens, and the windows that it is measured on."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.design import IntArray
from codesign.errors import InputError
from codesign.text import corpus
from codesign.text.documents import plain_documents, wikitext_documents
from codesign.text.packing import TokenStream, pack, windows
from codesign.text.splits import FEWEST, split
from codesign.text.tokenizer import Tokenizer, tokenizer_for
from codesign.training.recipe import TextTable

ORDER = 3
"""The second number of the seed of the order of windows (sampling.py has the others)."""

LOADERS: dict[str, Callable[[Path], list[str]]] = {
    "text": lambda path: plain_documents(path, "file"),
    "paragraphs": lambda path: plain_documents(path, "paragraph"),
    "wikitext": lambda path: wikitext_documents(path, joined=True),
}
"""Loaders of the user's own text: name in a recipe -> documents, which are split as the shipped ones are."""

MORE_DOCUMENTS = {
    "text": 'corpus = "paragraphs" makes each stretch between blank lines a document, or give a folder of more files',
    "paragraphs": "give more text, or put a blank line between its documents",
    "wikitext": 'give a file of more articles, or read it with corpus = "paragraphs"',
}
"""What helps where a loader finds too few documents."""

Windows = npt.NDArray[np.int32]


@dataclass(frozen=True)
class TrainingText:
    """A text as numbers."""

    tokenizer: Tokenizer
    train: TokenStream
    validation: TokenStream
    validation_windows: Windows  # (w, window + 1) inputs [:, :-1], targets [:, 1:]

    @property
    def head(self) -> dict[str, Any]:
        """The fields of an `Architecture` that the task decides."""
        return {"task": "language_model"}

    def digest(self) -> str:
        """Return the SHA-256 of the tokenizer's file and of all tokens."""
        parts = (self.tokenizer.text().encode(), self.train.tokens.tobytes(), self.validation.tokens.tobytes())
        return hashlib.sha256(b"".join(parts)).hexdigest()


def training_text(table: TextTable, tokenizer: Tokenizer | None = None) -> TrainingText:
    """Read the text of a recipe and cut it up.

    Args:
        table: which text, and how long the windows are.
        tokenizer: the one to use; None takes the shipped one of this corpus and vocabulary, or trains one.

    Raises:
        InputError: an unknown corpus, or a text too short for the vocabulary or for one window.
    """
    documents = documents_of(table)
    for part in ("train", "validation"):
        if not getattr(documents, part):
            raise InputError(f"corpus {table.corpus!r} {table.path}: expected {part} documents, got none")
    if tokenizer is None:
        tokenizer = tokenizer_for(table.corpus, table.vocabulary, documents.train)
    validation = pack(documents.validation, tokenizer)
    train = pack(documents.train, tokenizer)
    if len(train.tokens) < 2 * table.window:
        raise InputError(
            f"corpus {table.corpus!r} {table.path}: expected at least {2 * table.window} training tokens, two windows "
            f"of {table.window}, got {len(train.tokens)}; give more text or shorter windows"
        )
    return TrainingText(tokenizer, train, validation, windows(validation, table.window))


def validation_windows(table: TextTable, tokenizer: Tokenizer) -> Windows:
    """Return the (w, window + 1) windows of the validation text alone, as `training_text` cuts them."""
    return windows(pack(documents_of(table).validation, tokenizer), table.window)


def documents_of(table: TextTable) -> corpus.Corpus:
    """Return the documents of a text in its three parts.

    Raises:
        InputError: an unknown corpus, a path where none belongs or none where one does, or too few documents.
    """
    if table.corpus in LOADERS:
        if not table.path:
            raise InputError(f"text.path: expected a file or folder for the loader {table.corpus!r}, got an empty one")
        documents = LOADERS[table.corpus](Path(table.path))
        if len(documents) < FEWEST:
            raise InputError(
                f"{table.path}: expected at least {FEWEST} documents, of which one is validation, got {len(documents)} "
                f"with corpus = {table.corpus!r}; {MORE_DOCUMENTS[table.corpus]}"
            )
        parts = split(documents)
        return corpus.Corpus(table.corpus, parts.train, parts.validation, parts.test)
    if table.path:
        loaders = ", ".join(LOADERS)
        raise InputError(
            f"text.path: expected an empty one with the shipped corpus {table.corpus!r}, got {table.path!r}; "
            f"loaders of your own text: {loaders}"
        )
    return corpus.shipped(table.corpus)


@dataclass(frozen=True)
class Batches:
    """The windows of each step. An epoch cuts the stream at an offset of its own and shuffles the pieces."""

    tokens: npt.NDArray[np.int32]  # (t,)
    window: int
    batch: int
    seed: int

    def at(self, step: int) -> Windows:
        """Return the (batch, window + 1) tokens of a step, the same whatever was asked before."""
        count = (len(self.tokens) - self.window) // self.window
        epochs, places = np.divmod(np.arange(step * self.batch, (step + 1) * self.batch), count)
        starts = np.array([self._starts(int(e), count)[p] for e, p in zip(epochs, places, strict=True)])
        return np.asarray(self.tokens[starts[:, None] + np.arange(self.window + 1)])

    def _starts(self, epoch: int, count: int) -> IntArray:
        return _starts(self.seed, epoch, self.window, count)


@functools.lru_cache(maxsize=4)
def _starts(seed: int, epoch: int, window: int, count: int) -> IntArray:
    """(count,) where the windows of an epoch begin, in the order of training."""
    rng = np.random.default_rng((seed, ORDER, epoch))
    offset = int(rng.integers(0, window))
    return np.asarray(offset + window * rng.permutation(count))
