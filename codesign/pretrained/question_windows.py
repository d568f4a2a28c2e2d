"""Questions with their contexts as windows of tokens, cut as Devlin 2019 does (run_squad).

A context that is too long for one window is seen in several that overlap. A window that lacks the answer has the place
of no answer as its target: that of the tokenizer's [CLS], or the first token where it has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from codesign.errors import InputError
from codesign.text.squad import Answer

LONGEST, STRIDE, QUESTION = 384, 128, 64
"""Tokens of a window, shared by neighbouring windows, and of a question, which is cut beyond; both latter are at most a
quarter of a window."""

Text = tuple[str, str]
"""Question, context."""


@dataclass(frozen=True)
class Window:
    """One question beside a piece of its context."""

    question: int
    """Place of the question."""
    tokens: tuple[int, ...]
    segments: tuple[int, ...]
    """As the tokenizer tells question from context; 0 where it does not."""
    context: range
    """Places of the tokens of the context."""
    offsets: tuple[tuple[int, int], ...]
    """Of each token: first character in the context, and the one behind it. Of other tokens they mean nothing."""
    none: int
    """Place that stands for no answer."""


def windows_of(texts: Sequence[Text], tokenizer: Any, longest: int) -> list[Window]:
    """Return the windows of questions, in their order.

    Args:
        texts: questions and contexts.
        tokenizer: of the checkpoint.
        longest: tokens of a window.

    Raises:
        InputError: a tokenizer that does not know the characters of its tokens.
    """
    if not tokenizer.is_fast:
        raise InputError("tokenizer: expected a fast one, which tells the characters of each token, got a slow one; "
                         "save the checkpoint with tokenizer.json")  # fmt: skip
    quarter = longest // 4
    made = tokenizer(
        _shortened([question for question, _ in texts], tokenizer, min(QUESTION, quarter)),
        [context for _, context in texts],
        truncation="only_second",
        max_length=longest,
        stride=min(STRIDE, quarter),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
    )
    return [_window(made, row, question, tokenizer.cls_token_id)
            for row, question in enumerate(made["overflow_to_sample_mapping"])]  # fmt: skip


def _shortened(questions: list[str], tokenizer: Any, most: int) -> list[str]:
    offsets = tokenizer(questions, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return [question if len(ends) <= most else question[: ends[most - 1][1]]
            for question, ends in zip(questions, offsets, strict=True)]  # fmt: skip


def _window(made: Any, row: int, question: int, none: int | None) -> Window:
    tokens = tuple(made["input_ids"][row])
    places = [place for place, of in enumerate(made.sequence_ids(row)) if of == 1]
    return Window(
        question=question,
        tokens=tokens,
        segments=tuple(made["token_type_ids"][row]),
        context=range(places[0], places[-1] + 1) if places else range(0),
        offsets=tuple(map(tuple, made["offset_mapping"][row])),
        none=tokens.index(none) if none in tokens else 0,
    )


def target(window: Window, answer: Answer | None) -> tuple[int, int]:
    """Return the places of the first and last token of an answer, or twice that of none if it is not all here."""
    if answer is None or not window.context:
        return window.none, window.none
    start, end = answer.start, answer.start + len(answer.text)
    inside = [place for place in window.context if window.offsets[place][0] < end and window.offsets[place][1] > start]
    whole = window.offsets[window.context[0]][0] <= start and end <= window.offsets[window.context[-1]][1]
    return (inside[0], inside[-1]) if inside and whole else (window.none, window.none)


@dataclass(frozen=True)
class WindowBatch:
    """Windows padded to one length; all (b, t)."""

    tokens: Tensor
    segments: Tensor
    real: Tensor
    """True at tokens."""
    context: Tensor
    """True at tokens of the context."""
    none: Tensor
    """True at the place of no answer."""


def batch_of(windows: Sequence[Window], device: torch.device) -> WindowBatch:
    """Return windows side by side."""
    size = (len(windows), max(len(window.tokens) for window in windows))
    tokens, segments = torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    real, context, none = (torch.zeros(size, dtype=torch.bool) for _ in range(3))
    for row, window in enumerate(windows):
        length = len(window.tokens)
        tokens[row, :length], segments[row, :length] = torch.tensor(window.tokens), torch.tensor(window.segments)
        real[row, :length], none[row, window.none] = True, True
        context[row, window.context.start : window.context.stop] = True
    return WindowBatch(*(part.to(device) for part in (tokens, segments, real, context, none)))
