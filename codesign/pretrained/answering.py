"""The user's questions as a task: the answer is a span of the context, told by a linear head on the last states.

A token starts an answer with the logit of the head's first output, and ends it with that of its second (Devlin 2019,
section 4.2). Only tokens of the context, and the place that stands for no answer, can do either.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.design import FloatArray, IntArray
from codesign.pretrained.classification import PENALTY
from codesign.pretrained.model import Checkpoint
from codesign.pretrained.objective import Network, Objective, batch_rows
from codesign.pretrained.question_windows import Window, WindowBatch, batch_of, target
from codesign.text.squad import Question
from codesign.text.squad_metrics import squad_metrics

MEASURED_BATCH = 16
ANSWER = 30
"""Tokens of the longest answer that is given."""
FITTED = 256
"""Windows, drawn from those to train on, that a new head is fitted to: all their states are in memory at once."""
SIDES = ("start", "end")
"""Outputs of the head."""


def answering(
    train: tuple[Sequence[Question], Sequence[Window]],
    test: tuple[Sequence[Question], Sequence[Window]],
    *,
    batch: int,
    seed: int,
    head: nn.Linear | None = None,
) -> Objective:
    """Return the task of answering questions; examples are windows in training and questions when measured.

    Of questions that may have no answer in their context (SQuAD 2.0: some of `test` have none), none is given where the
    place of no answer has a larger sum of logits than every span. Others are always answered.

    Args:
        train: questions that heads are fitted and networks trained on, and their windows. The first of several answers
            is learned.
        test: those that are measured on.
        batch: windows of a training batch.
        seed: order of the windows, and which of them heads are fitted to.
        head: the published one; None = one is fitted.
    """
    windows, (asked, seen) = train[1], test
    gold = np.array([target(one, next(iter(train[0][one.question].answers), None)) for one in windows])  # (n, 2)
    none = any(question.impossible for question in asked)
    last: list[tuple[Network, list[str | None]]] = []  # what a network was scored by is told in detail at once

    def losses(network: Network, number: int) -> Tensor:
        rows = batch_rows(len(windows), batch, number, seed)
        return span_losses(network, [windows[row] for row in rows], gold[rows])

    def answers(network: Network) -> list[str | None]:
        if not last or last[0][0] is not network:
            last[:] = [(network, answers_of(network, [question.context for question in asked], seen, none))]
        return last[0][1]

    def scores(network: Network) -> FloatArray:
        return _scored(asked, answers(network), "f1")

    def details(network: Network) -> dict[str, float]:
        return {"exact_match": float(_scored(asked, answers(network), "exact").mean())}

    def fitted(checkpoint: Checkpoint) -> Network:
        rows = np.random.default_rng(seed).permutation(len(windows))[:FITTED]
        return Network(checkpoint, fit_span_head(checkpoint, [windows[row] for row in rows], gold[rows]))

    return Objective("f1", losses, scores, fitted, classes=SIDES, details=details, published_head=head)


def span_logits(network: Network, batch: WindowBatch) -> Tensor:
    """Return (b, t, 2) logits of starts and ends; the lowest number where neither can be."""
    assert network.head is not None
    return _only_possible(network.head(network.checkpoint.states(batch.tokens, batch.real, batch.segments)), batch)


def span_losses(network: Network, windows: Sequence[Window], gold: IntArray) -> Tensor:
    """Return (b,) mean nats of start and end of (b, 2) targets."""
    return _losses(span_logits(network, batch_of(windows, network.checkpoint.device)), gold)


@torch.no_grad()
def answers_of(network: Network, contexts: Sequence[str], windows: Sequence[Window], none: bool) -> list[str | None]:
    """Return the answer of each question: a text of its context, "" for none; None where a network computes no numbers.

    Args:
        network: with its head.
        contexts: of the questions.
        windows: of the questions, each of which has one at least.
        none: whether a question may be left without answer.
    """
    found: list[tuple[float, str]] = [(-np.inf, "")] * len(contexts)
    lowest, ruined = [np.inf] * len(contexts), [False] * len(contexts)
    for start in range(0, len(windows), MEASURED_BATCH):
        part = windows[start : start + MEASURED_BATCH]
        logits = span_logits(network, batch := batch_of(part, network.checkpoint.device))
        for window, best, place, without, bad in zip(part, *_best(logits, batch), strict=True):
            i, (first, end) = window.question, divmod(place, logits.shape[1])
            ruined[i] |= bad
            lowest[i] = min(lowest[i], without)
            if best > found[i][0]:
                found[i] = best, contexts[i][window.offsets[first][0] : window.offsets[end][1]]
    silent = [none and without > best for without, (best, _) in zip(lowest, found, strict=True)]
    return [None if bad else "" if nothing else text
            for bad, nothing, (_, text) in zip(ruined, silent, found, strict=True)]  # fmt: skip


def _best(logits: Tensor, batch: WindowBatch) -> tuple[list[float], list[int], list[float], list[bool]]:
    """Of each window: the largest sum of a span's logits, first x t + last token, the sum of none, whether ruined."""
    starts, ends = logits.unbind(dim=-1)
    place = torch.arange(starts.shape[1], device=logits.device)
    length = place[None, :] - place[:, None] + 1
    spans = batch.context[:, :, None] & batch.context[:, None, :] & (length >= 1) & (length <= ANSWER)
    sums = (starts[:, :, None] + ends[:, None, :]).masked_fill(~spans, -torch.inf).flatten(1)
    best, where = sums.max(dim=1)
    without = (starts + ends)[batch.none]
    ruined = ~logits.isfinite().flatten(1).all(dim=1)
    return best.tolist(), where.tolist(), without.tolist(), ruined.tolist()


def fit_span_head(checkpoint: Checkpoint, windows: Sequence[Window], gold: IntArray) -> nn.Linear:
    """Return the head whose starts and ends are likeliest on a frozen network, with a penalty on squared weights.

    As `classification.fit_head`: the features have a variance of 1 while it is fitted.
    """
    batch = batch_of(windows, checkpoint.device)
    parts = [batch_of(windows[start : start + MEASURED_BATCH], checkpoint.device)
             for start in range(0, len(windows), MEASURED_BATCH)]  # fmt: skip
    with torch.no_grad():
        most = batch.tokens.shape[1]
        states = torch.cat([functional.pad(found, (0, 0, 0, most - found.shape[1])) for found in
                            (checkpoint.states(part.tokens, part.real, part.segments) for part in parts)])  # fmt: skip
    real = states[batch.real]
    mean, spread = real.mean(dim=0), real.std(dim=0).clamp(min=1e-6)
    scaled, penalty = (states - mean) / spread, PENALTY * states.shape[2] / len(windows)
    head = nn.Linear(states.shape[2], len(SIDES), device=states.device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)  # and so it stays: all places of a window have the same
    solver = torch.optim.LBFGS([head.weight], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> float:
        solver.zero_grad()
        loss = _losses(_only_possible(head(scaled), batch), gold).mean() + penalty * head.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    solver.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        head.weight.div_(spread)
    return head


def _only_possible(logits: Tensor, batch: WindowBatch) -> Tensor:
    return logits.masked_fill(~(batch.context | batch.none)[:, :, None], torch.finfo(logits.dtype).min)


def _losses(logits: Tensor, gold: IntArray) -> Tensor:
    wanted = torch.from_numpy(gold).to(logits.device)  # (b, 2)
    return functional.cross_entropy(logits, wanted, reduction="none").mean(dim=1)


def _scored(questions: Sequence[Question], answers: Sequence[str | None], measure: str) -> FloatArray:
    """(n,) 0..1; NaN where there were no numbers to answer by."""
    found = [np.nan if answer is None else squad_metrics([one], {one.id: answer})[measure] / 100
             for one, answer in zip(questions, answers, strict=True)]  # fmt: skip
    return cast(FloatArray, np.array(found))
