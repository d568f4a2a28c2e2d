"""The text of a training on answers: where it is from, and its questions as windows of tokens."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.errors import InputError
from codesign.text import corpus
from codesign.text.cloze import cloze_questions
from codesign.text.splits import FEWEST, split
from codesign.text.squad import Question, checked, read_squad
from codesign.text.tokenizer import Tokenizer, tokenizer_for
from codesign.training.answer_windows import AnswerSet, AnswerWindows, answer_set, learned_from
from codesign.training.answers_table import AnswersTable
from codesign.training.recipe import TextTable

SEED = 0
"""Of the words that are blanked out: the questions of "sotu" are the same in every training."""

UNANSWERABLE = 1 / 3
"""Share of the questions of "sotu" that have no answer, where some have none: as in SQuAD 2.0's training part."""


@dataclass(frozen=True)
class AnswerText:
    """A training's questions."""

    tokenizer: Tokenizer
    table: AnswersTable
    train: AnswerWindows
    validation: AnswerSet

    def digest(self) -> str:
        """Return the SHA-256 of the tokenizer's file, all windows, and the right answers of the validation part."""
        arrays = [array.tobytes() for array in (*self.train.numbers(), *self.validation.numbers())]
        return hashlib.sha256(b"".join([self.tokenizer.text().encode(), *arrays])).hexdigest()

    @property
    def head(self) -> dict[str, Any]:
        """The fields of an `Architecture` that the task decides."""
        return {"task": "span_answers"}


def answer_text(table: TextTable, answers: AnswersTable, tokenizer: Tokenizer | None = None) -> AnswerText:
    """Read the questions of a recipe and cut them into windows of tokens.

    Args:
        table: which text, the vocabulary, and the tokens of a window.
        answers: how questions and contexts become windows.
        tokenizer: the one to use; None takes the shipped one of this corpus and vocabulary, or trains one on the
            training part's contexts and questions.

    Raises:
        InputError: an unknown corpus, files that cannot be read, questions without an answer where all are said to have
            one or none where some are said to have none, no window with an answer, or too little text for the
            vocabulary.
    """
    train, validation = question_parts(table, answers)
    if tokenizer is None:
        contexts = list(dict.fromkeys(one.context for one in train))
        tokenizer = tokenizer_for(table.corpus, table.vocabulary, [*contexts, *(one.question for one in train)])
    whole, held_out = (answer_set(part, tokenizer, answers, table.window) for part in (train, validation))
    if not (whole.windows.starts > 0).any():
        raise InputError(f"text.window: expected windows that hold an answer, got none in {len(whole.windows)} of "
                         f"{table.window} tokens; write a longer window or a shorter answers.stride")  # fmt: skip
    windows = whole.windows.take(learned_from(whole, answers.empty_windows).nonzero()[0])
    return AnswerText(tokenizer, answers, windows, held_out)


def question_parts(table: TextTable, answers: AnswersTable) -> tuple[list[Question], list[Question]]:
    """Return the training and the validation questions of a recipe.

    Raises:
        InputError: see `answer_text`.
    """
    train, validation = (_part(part, table, answers) for part in ("train", "validation"))
    return train, validation


def held_out_questions(table: TextTable, answers: AnswersTable) -> list[Question]:
    """Return the validation questions of a recipe alone, as `question_parts` has them."""
    return _part("validation", table, answers)


def _part(part: str, table: TextTable, answers: AnswersTable) -> list[Question]:
    loaders = {"squad": _squad, "sotu": _cloze}
    if table.corpus not in loaders:
        raise InputError(f"text.corpus: expected one with questions ({', '.join(loaders)}), got {table.corpus!r}")
    if bool(table.path) != (table.corpus == "squad"):
        expected = "a file or folder" if table.corpus == "squad" else "an empty one"
        raise InputError(f"text.path: expected {expected} with corpus {table.corpus!r}, got {table.path!r}")
    if (answers.context > 0) != (table.corpus == "sotu"):
        expected = "at least 1 sentence" if table.corpus == "sotu" else "0, the questions have their own"
        raise InputError(f"answers.context: expected {expected}, with corpus {table.corpus!r}, got {answers.context}")
    found = loaders[table.corpus](part, table, answers)
    impossible = sum(one.impossible for one in found)
    if (impossible > 0) != answers.unanswerable:
        expected = "some questions" if answers.unanswerable else "no question"
        raise InputError(f"answers.unanswerable: expected {expected} without an answer in the {part} part, got "
                         f"{impossible} of {len(found)}; write {str(impossible > 0).lower()} or give other questions"
                         )  # fmt: skip
    return found


def _cloze(part: str, _table: TextTable, answers: AnswersTable) -> list[Question]:
    documents = getattr(corpus.shipped("sotu"), part)
    share = UNANSWERABLE if answers.unanswerable else 0.0
    return cloze_questions(documents, seed=SEED, unanswerable=share, sentences=answers.context)


def _squad(part: str, table: TextTable, _answers: AnswersTable) -> list[Question]:
    path = Path(table.path)
    if path.is_dir():
        pattern = {"train": "train*.json*", "validation": "dev*.json*"}[part]
        paths = sorted(path.glob(pattern))
        if not paths:
            raise InputError(
                f"{path}: no file {pattern} in this folder: expected train*.json and dev*.json, or give one file"
            )
        return checked([one for file in paths for one in read_squad(file)], str(path))
    questions = read_squad(path)
    contexts = list(dict.fromkeys(one.context for one in questions))
    if len(contexts) < FEWEST:
        raise InputError(f"{path}: expected at least {FEWEST} contexts, of which one is validation, got {len(contexts)}"
                         "; give more, or a folder with train*.json and dev*.json")  # fmt: skip
    chosen = set(getattr(split(contexts), part))
    return [one for one in questions if one.context in chosen]
