"""How well sub-networks answer questions: the surest span of all windows of a question, scored as SQuAD does.

The same questions for all sub-networks, so comparisons are paired by question. Standard errors take questions as
independent; those of one context or document are alike, so they are lower bounds of the error over other texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from codesign.design import FloatArray, IntArray
from codesign.elastic.setting import Setting
from codesign.elastic.transformer import Elastic
from codesign.elastic.weights import weights_of
from codesign.errors import InputError
from codesign.text.squad import Question
from codesign.text.squad_metrics import Score, best_score, exact_match, token_f1
from codesign.training.answer_steps import span_logits
from codesign.training.answer_windows import AnswerSet
from codesign.training.answers_table import AnswersTable


@dataclass(frozen=True)
class MeasuredAnswers:
    """What one sub-network answers to n questions."""

    questions: tuple[Question, ...]
    answers: tuple[str, ...]
    """Of each question; "" = there is none."""
    losses: FloatArray  # (n,) mean loss of the question's windows, nats; all windows, see `AnswersTable.empty_windows`

    @cached_property
    def errors(self) -> FloatArray:
        """(n,) 1 - F1 with the nearest right answer."""
        return 1 - self._scored(token_f1)

    @cached_property
    def exact(self) -> FloatArray:
        """(n,) 1 where the answer is a right one but for case, punctuation, articles and space, else 0."""
        return self._scored(exact_match)

    def _scored(self, score: Score) -> FloatArray:
        pairs = zip(self.questions, self.answers, strict=True)
        return np.array([best_score(question, answer, score) for question, answer in pairs])


class _Found(NamedTuple):
    """Of w windows: the surest span, as places in the window, and how sure it and "no answer" are: ln(probability)."""

    score: FloatArray
    first: IntArray
    last: IntArray
    nowhere: FloatArray
    loss: FloatArray


def evaluate_answers(
    model: Elastic, setting: Setting, answers: AnswerSet, table: AnswersTable, batch: int
) -> MeasuredAnswers:
    """Measure one sub-network; its slices, masks and quantised weights are made once.

    A span is as sure as the product of the probabilities of its start and end among the window's tokens; probabilities,
    other than Devlin's logits, can be compared between windows, as those without the answer learn to point to the first
    token. Where questions may have no answer, none is given if in every window the first token is surer than the
    surest span of all (Devlin 2019, with the threshold 0).

    Args:
        model: the elastic model with an answer head, on any device.
        setting: the sub-network.
        answers: the questions.
        table: the longest answer, and whether there may be none.
        batch: windows at a time; windows of a length go together. It changes the last bits only.

    Raises:
        InputError: no question, or a setting that is no sub-network of the model.
    """
    if not len(answers):
        raise InputError("evaluate: expected at least one question, got none")
    windows = answers.windows
    found = _found(model, setting, answers, table.answer, batch)
    bounds = np.searchsorted(windows.questions, np.arange(len(answers) + 1))
    given = []
    for i, (a, b) in enumerate(pairwise(bounds)):
        k = a + int(found.score[a:b].argmax())
        none = table.unanswerable and found.nowhere[a:b].min() > found.score[k]
        shift = windows.offsets[k] - windows.contexts[k]
        given.append("" if none else answers.text(i, int(found.first[k] + shift), int(found.last[k] + shift)))
    losses = np.add.reduceat(found.loss, bounds[:-1]) / np.diff(bounds)
    return MeasuredAnswers(answers.questions, tuple(given), losses)


def surest_spans(
    starts: FloatArray, ends: FloatArray, contexts: IntArray, lengths: IntArray, most: int
) -> tuple[FloatArray, IntArray, IntArray]:
    """Return the (b,) score, first and last place of the best span within the context of each window.

    Args:
        starts: (b, t) score of each place as the start; a span's score is that of its start plus that of its end.
        ends: (b, t) the same as the end.
        contexts: (b,) first place of the context.
        lengths: (b,) places of the window; behind them is padding.
        most: places of the longest span.
    """
    count, width = starts.shape
    places = np.arange(width)
    inside = (places >= contexts[:, None]) & (places < lengths[:, None])
    starts, ends = (np.where(inside, scores, -np.inf) for scores in (starts, ends))
    spans = np.full((count, min(most, width), width), -np.inf)
    for longer in range(spans.shape[1]):
        spans[:, longer, : width - longer] = starts[:, : width - longer] + ends[:, longer:]
    flat = spans.reshape(count, -1)
    longer, first = np.divmod(flat.argmax(axis=1), width)
    return flat.max(axis=1), first, first + longer


def _found(model: Elastic, setting: Setting, answers: AnswerSet, most: int, batch: int) -> _Found:
    windows, device = answers.windows, next(model.parameters()).device
    columns = np.zeros((len(_Found._fields), len(windows)))
    with torch.inference_mode():
        ready = weights_of(model, setting)
        for places in windows.by_length(batch):
            chosen = windows.take(places)
            part = chosen.batch(device)
            logits = model(part.tokens, setting, ready, real=part.real)
            assert isinstance(logits, torch.Tensor)
            starts, ends = span_logits(logits, part.allowed).double().log_softmax(dim=-1).cpu().numpy()
            rows = np.arange(len(places))
            loss = -(starts[rows, chosen.starts] + ends[rows, chosen.ends]) / 2
            spans = surest_spans(starts, ends, chosen.contexts, chosen.lengths, most)
            columns[:, places] = *spans, starts[:, 0] + ends[:, 0], loss
    score, first, last, nowhere, loss = columns
    return _Found(score, first.astype(np.int64), last.astype(np.int64), nowhere, loss)
