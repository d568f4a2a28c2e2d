"""What a finished training leaves: the network as the search measures it, see `codesign.elastic.saved`.

Figures of a network belong to one text. Its card has the digest of the held-out part, as numbers, and where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from codesign.elastic import saved
from codesign.elastic.trained_choices import choices_of
from codesign.errors import InputError
from codesign.space import SearchSpace
from codesign.text.tokenizer import Tokenizer
from codesign.training import checkpoint, folder, start
from codesign.training.answer_windows import AnswerSet, answer_set
from codesign.training.answers import held_out_questions
from codesign.training.data import TrainingText, Windows, validation_windows
from codesign.training.errors import TrainingError
from codesign.training.lessons import Text
from codesign.training.recipe import TextTable, answers_of, sentences_of, text_of
from codesign.training.sentences import Sentences, encoded, labelled_parts
from codesign.training.trainer import Trainer

TEXT = "text"
"""Folder in a network's directory in which its text is looked for first."""

HeldOut = TypeVar("HeldOut", Windows, Sentences, AnswerSet)


def publish(trainer: Trainer, space: SearchSpace) -> None:
    """Write the network into the training's directory.

    Args:
        trainer: a training that has done its steps.
        space: what was trained.

    Raises:
        TrainingError: the disk is full or cannot be written; the last checkpoint has the weights too.
    """
    recipe, began = trainer.recipe, start.card_in(trainer.directory)
    card = {
        "corpus": recipe.text.corpus,
        "tokenizer": trainer.text.tokenizer.vocabulary,
        "window": recipe.text.window,
        "space": folder.read_manifest(trainer.directory).space,
        "recipe": (trainer.directory / folder.RECIPE).read_text(encoding="utf-8"),
        "seed": recipe.seed,
        "trained_tokens": recipe.steps * trainer.lessons.tokens + (began.trained_tokens if began else 0),
        "continued_from": trainer.identity.start,
        "reach": trainer.spans.reach() if trainer.spans is not None else (),
        "choices": choices_of(space),
        "text_sha256": _digest_of(trainer.text),
        "text_path": str(Path(recipe.text.path).absolute()) if recipe.text.path else "",
    }
    try:
        saved.save(trainer.directory, trainer.model, card)
    except InputError as error:
        kept = checkpoint.last_good(checkpoint.newest(trainer.directory))
        raise TrainingError(f"{error}; {kept}; make room, then --resume") from error


def held_out_windows(directory: Path, card: saved.Card, tokenizer: Tokenizer) -> Windows:
    """Return the (w, window + 1) validation windows of a language model that was published in a directory.

    Raises:
        InputError: its text cannot be read, or is another one now; says what to do.
    """
    return _held_out(directory, card, lambda table: validation_windows(table, tokenizer))


def held_out_sentences(directory: Path, card: saved.Card, tokenizer: Tokenizer) -> Sentences:
    """Return the validation sentences of a classifier that was published in a directory.

    Raises:
        InputError: its text cannot be read, or is another one now; says what to do.
    """
    classes = sentences_of(card.recipe)
    return _held_out(directory, card, lambda table: encoded(labelled_parts(table, classes)[1], tokenizer, card.window))


def held_out_answers(directory: Path, card: saved.Card, tokenizer: Tokenizer) -> AnswerSet:
    """Return the validation questions of a network that was published in a directory and points at answers.

    Raises:
        InputError: its text cannot be read, or is another one now; says what to do.
    """
    answers = answers_of(card.recipe)
    return _held_out(directory, card, lambda table: answer_set(held_out_questions(table, answers), tokenizer, answers,
                                                               card.window))  # fmt: skip


def digest(held_out: Windows | Sentences | AnswerSet) -> str:
    """Return the SHA-256 of held-out text as numbers: what tokenizer and window made of it, its labels or answers."""
    if isinstance(held_out, Sentences | AnswerSet):
        return _sha256(*held_out.numbers())
    return _sha256(held_out)


def _digest_of(text: Text) -> str:
    return digest(text.validation_windows if isinstance(text, TrainingText) else text.validation)


def _sha256(*arrays: npt.NDArray[Any]) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array, dtype="<i8").tobytes() for array in arrays)).hexdigest()


def _held_out(directory: Path, card: saved.Card, read: Callable[[TextTable], HeldOut]) -> HeldOut:
    """Read what was held out, by the recipe of a network, and see that it is the same."""
    table, what_to_do = text_of(card.recipe), "train the network again"
    if card.text_path:
        copy = directory / TEXT / Path(card.text_path).name
        table = msgspec.structs.replace(table, path=str(copy) if copy.exists() else card.text_path)
        what_to_do = f"put the text of its training back, or a copy of it at {copy}, or {what_to_do}"
    try:
        found = read(table)
    except InputError as error:
        raise InputError(f"{directory}: cannot read the text that this network is measured on: {error}; "
                         f"{what_to_do}") from None  # fmt: skip
    if card.text_sha256 and digest(found) != card.text_sha256:
        raise InputError(f"{directory}: expected the held-out text of this network's training, got another one "
                         f"({table.path or table.corpus}); {what_to_do}")  # fmt: skip
    return found
