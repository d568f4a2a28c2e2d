"""The table of a recipe that trains a network to point at answers in a context."""

from __future__ import annotations

from codesign.errors import InputError
from codesign.training.recipe_table import Count, Fraction, Natural, Table

SPECIAL = 2
"""Tokens of a window that are neither question nor context: the first one and the separator."""


class AnswersTable(Table, frozen=True):
    """Questions whose answer is a span of a context. A recipe with this table trains an encoder with an answer head.

    The text's corpus is then "sotu" (questions made of the addresses: a name or number of a sentence is blanked out,
    see `codesign.text.cloze`) or "squad": `path` is a folder with train*.json and dev*.json in the format of SQuAD 1.1
    or 2.0, or one such file, of whose contexts index % 20 == 10 is validation. A window holds the end of a document,
    the question, another one, and as much of the context as has room.
    """

    question: Count
    """The most tokens of a question. Of a longer one the first are taken; if it has a blank, those around it."""
    stride: Count
    """Tokens from window to window of a context that one window does not hold (Devlin 2019)."""
    answer: Count
    """The most tokens of an answer that is given."""
    context: Natural
    """Of "sotu": sentences before the question's that are its context; 0 with your own questions."""
    unanswerable: bool
    """Some questions have no answer (SQuAD 2.0; a third of those of "sotu"): the first token then stands for it."""
    empty_windows: Fraction
    """Share of the training windows without the answer of their question that are learned from: they point to the first
    token. Those of questions that have no answer are all learned from."""


def check_answers(table: AnswersTable, window: int) -> None:
    """Refuse what types alone cannot.

    Raises:
        InputError: windows with too little room for a context, strides that leave gaps, or answers too long.
    """
    room = window - table.question - SPECIAL
    if room < 1:
        raise InputError(f"answers.question: expected at most {window - SPECIAL - 1}, which leaves a token of context "
                         f"in a window of {window}, got {table.question}; write a longer text.window")  # fmt: skip
    for name in ("stride", "answer"):
        if getattr(table, name) > room:
            raise InputError(f"answers.{name}: expected at most {room}, the context's part of a window of {window} "
                             f"beside a question of {table.question}, got {getattr(table, name)}")  # fmt: skip
