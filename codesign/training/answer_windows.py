"""Questions and contexts as windows of tokens: where a window holds the answer, and the text of a span of tokens.

A context longer than a window is cut into overlapping ones (Devlin 2019). Left out: Devlin's rule that a token counts
only in the window that sees most around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from codesign.design import BoolArray, IntArray
from codesign.errors import InputError
from codesign.text.cloze import BLANK
from codesign.text.squad import Question
from codesign.text.tokenizer import Tokenizer, Tokens
from codesign.training.answers_table import AnswersTable
from codesign.training.rows import Rows, filled, spread


class SpanBatch(NamedTuple):
    """Some windows, as long as the longest of them."""

    tokens: Tensor  # (b, t) long
    real: Tensor  # (b, t) True where a token is no padding
    allowed: Tensor  # (b, t) True at the first token and those of the context: where an answer may start and end
    targets: Tensor  # (2 b,) long: where the answers start, then where they end


@dataclass(frozen=True)
class AnswerWindows(Rows):
    """Windows: end of a document, question, end of a document, a part of the context."""

    contexts: IntArray  # (n,) place of the first token of the context
    offsets: IntArray  # (n,) which token of its context that is
    starts: IntArray  # (n,) place of the answer's first token; 0 = the window does not hold the answer whole
    ends: IntArray  # (n,) place of its last token
    questions: IntArray  # (n,) the question's number, ascending

    def batch(self, device: torch.device | str) -> SpanBatch:
        """Return all of them as tensors."""
        tokens, real = self.padded(device)
        places = np.arange(tokens.shape[1])
        allowed = (places == 0) | ((places >= self.contexts[:, None]) & (places < self.lengths[:, None]))
        targets = np.concatenate([self.starts, self.ends])
        return SpanBatch(tokens, real, *(torch.as_tensor(array, device=device) for array in (allowed, targets)))


@dataclass(frozen=True)
class AnswerSet:
    """Questions with all windows on their contexts."""

    questions: tuple[Question, ...]
    places: tuple[IntArray, ...]
    """Of each question's context, (t, 2): first character of each token, and one behind its last."""
    windows: AnswerWindows

    def __len__(self) -> int:
        return len(self.questions)

    def spread(self, count: int) -> AnswerSet:
        """Return so many questions, evenly spread over all; all where there are fewer."""
        chosen = spread(len(self), count)
        kept = self.windows.take(np.flatnonzero(np.isin(self.windows.questions, chosen)))
        windows = replace(kept, questions=np.searchsorted(chosen, kept.questions))
        questions, places = (tuple(column[i] for i in chosen) for column in (self.questions, self.places))
        return AnswerSet(questions, places, windows)

    def text(self, question: int, first: int, last: int) -> str:
        """Return what stands from one token of a question's context to another, without space around it."""
        places = self.places[question]
        return self.questions[question].context[places[first, 0] : places[last, 1]].strip()

    def numbers(self) -> list[npt.NDArray[Any]]:
        """Return windows and right answers as arrays; a byte-level tokenizer loses nothing of the texts."""
        answers = [(i, a.start, len(a.text)) for i, one in enumerate(self.questions) for a in one.answers]
        return [*self.windows.numbers(), np.array(answers, dtype=np.int64)]


class _Window(NamedTuple):
    tokens: Tokens
    context: int
    offset: int
    start: int
    end: int
    question: int


def answer_set(questions: Sequence[Question], tokenizer: Tokenizer, table: AnswersTable, window: int) -> AnswerSet:
    """Cut questions and contexts into windows of tokens.

    Raises:
        InputError: a context without text.
    """
    contexts = list(dict.fromkeys(one.context for one in questions))
    if empty := [one.id for one in questions if not one.context.strip()]:
        raise InputError(f"question {empty[0]!r}: expected a context, got an empty one")
    known = dict(zip(contexts, tokenizer.encode_with_places(contexts), strict=True))
    asked = tokenizer.encode_with_places([one.question for one in questions])
    cut: list[_Window] = []
    for i, (one, (tokens, places)) in enumerate(zip(questions, asked, strict=True)):
        kept = tokens[_kept(places, one.question.find(BLANK), table.question)]
        head = np.concatenate([[tokenizer.end], kept, [tokenizer.end]]).astype(np.int32)
        context, places_there = known[one.context]
        cut += _windows(i, head, context, answer_spans(one, places_there), table.stride, window)
    tokens, lengths = filled([one.tokens for one in cut], window, tokenizer.end)
    columns = np.array([one[1:] for one in cut], dtype=np.int64).reshape(-1, 5).T
    places_of = tuple(known[one.context][1] for one in questions)
    return AnswerSet(tuple(questions), places_of, AnswerWindows(tokens, lengths, *columns))


def answer_spans(one: Question, places: IntArray) -> list[tuple[int, int]]:
    """Return first and last token of each right answer: the fewest tokens that hold all its characters."""
    starts, ends = places[:, 0], places[:, 1]
    return [
        (
            int(np.searchsorted(ends, answer.start, side="right")),
            int(np.searchsorted(starts, answer.start + len(answer.text), side="left")) - 1,
        )
        for answer in one.answers
    ]


def learned_from(whole: AnswerSet, share: float) -> BoolArray:
    """Return which windows a training sees, see `AnswersTable.empty_windows`."""
    windows = whole.windows
    impossible = np.array([one.impossible for one in whole.questions], dtype=np.bool_)[windows.questions]
    empty = np.flatnonzero((windows.starts == 0) & ~impossible)
    seen = (windows.starts > 0) | impossible
    seen[empty[spread(len(empty), round(share * len(empty)))]] = True
    return np.asarray(seen)


def _kept(places: IntArray, blank: int, most: int) -> slice:
    """Return which tokens of a question are kept: the first ones, or those around a blank, given by its character."""
    middle = int(np.searchsorted(places[:, 1], blank, side="right")) if blank >= 0 else 0
    first = max(0, min(middle - most // 2, len(places) - most))
    return slice(first, first + most)


def _windows(
    question: int, head: Tokens, context: Tokens, answers: Sequence[tuple[int, int]], stride: int, window: int
) -> Iterator[_Window]:
    """Yield windows at multiples of the stride, up to the first that reaches the end of the context."""
    room = window - len(head)
    for offset in range(0, max(len(context) - room, 0) + stride, stride):
        part = context[offset : offset + room]
        held = [(a, b) for a, b in answers if offset <= a and b < offset + len(part)]
        start, end = (len(head) + place - offset for place in held[0]) if held else (0, 0)
        yield _Window(np.concatenate([head, part]), len(head), offset, start, end, question)
