"""The user's text as a task: predict the next token (GPT-2), or spans that were cut out (T5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codesign.design import FloatArray, IntArray
from codesign.errors import InputError
from codesign.pretrained.model import Checkpoint
from codesign.pretrained.objective import Network, Objective, batch_rows

MEASURED_BATCH = 16
NOISE, MEAN_SPAN = 0.15, 3
"""Fraction of tokens that is cut out, and their mean run: the defaults of T5 (Raffel 2020, section 3.1.4)."""


def language(
    train: IntArray,
    test: IntArray,
    *,
    batch: int,
    seed: int,
    sentinels: tuple[int, ...] | None = None,
    tokens_per_word: float | None = None,
) -> Objective:
    """Return the task of predicting text.

    Args:
        train: (n, t) windows of tokens to train on.
        test: (m, t) windows to measure on.
        batch: windows of a training batch.
        seed: of the order of windows and of the spans cut out.
        sentinels: tokens that stand for the first, second ... span (T5); None = a decoder.
        tokens_per_word: of the text.

    Raises:
        InputError: windows too short for what is cut out, or more spans than sentinels.
    """
    if sentinels is not None:
        check_spans(test.shape[1], len(sentinels))

    def of_windows(network: Network, windows: IntArray, part: int) -> Tensor:
        if sentinels is None:
            return next_token_losses(network.checkpoint, windows)
        return span_losses(network.checkpoint, windows, sentinels, (seed, part))

    def losses(network: Network, number: int) -> Tensor:
        return of_windows(network, train[batch_rows(len(train), batch, number, seed)], number + 1)

    @torch.no_grad()
    def scores(network: Network) -> FloatArray:
        parts = [test[start : start + MEASURED_BATCH] for start in range(0, len(test), MEASURED_BATCH)]
        # The spans of held-out windows never change: 0 is no training batch, the place in the text tells them apart.
        found = [of_windows(network, part, -1 - i) for i, part in enumerate(parts)]
        return cast(FloatArray, torch.cat(found).cpu().numpy().astype(np.float64))

    return Objective("perplexity", losses, scores, _without_head, tokens_per_word)


def _without_head(checkpoint: Checkpoint) -> Network:
    return Network(checkpoint)


def next_token_losses(checkpoint: Checkpoint, windows: IntArray) -> Tensor:
    """Return (b,) mean nats a token of (b, t) windows, each token after the first predicted from those before it."""
    tokens = torch.from_numpy(windows).long().to(checkpoint.device)
    logits = checkpoint.body(input_ids=tokens).logits[:, :-1]
    return _mean_losses(logits, tokens[:, 1:])


def span_losses(checkpoint: Checkpoint, windows: IntArray, sentinels: tuple[int, ...], seed: tuple[int, int]) -> Tensor:
    """Return (b,) mean nats a target token: the spans cut out of (b, t) windows, each after its sentinel."""
    random = np.random.default_rng((seed[0], 2 * abs(seed[1]) + (seed[1] < 0)))
    pairs = [corrupted(window, sentinels, random) for window in windows]
    both = (np.stack(part) for part in zip(*pairs, strict=True))
    source, target = (torch.from_numpy(part).long().to(checkpoint.device) for part in both)
    start = checkpoint.body.config.decoder_start_token_id
    before = torch.cat([torch.full_like(target[:, :1], start), target[:, :-1]], dim=1)
    logits = checkpoint.body(input_ids=source, decoder_input_ids=before).logits
    return _mean_losses(logits, target)


def corrupted(window: IntArray, sentinels: tuple[int, ...], random: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Cut spans out of a (t,) window: source with a sentinel for each, target with each after its sentinel.

    Numbers and lengths as in T5's random_spans_noise_mask: round(0.15 t) tokens in runs of 3 on average, both they and
    the tokens between them split at random; the first run is text. All windows of one length give sources of one length
    and targets of one length. Left out: an end token.
    """
    noise, spans = _spans(len(window))
    cut, between = _pieces(noise, spans, random), _pieces(len(window) - noise, spans, random)
    source: list[int] = []
    target: list[int] = []
    place = 0
    for sentinel, text, gap in zip(sentinels, between, cut, strict=False):
        source += [*window[place : place + text], sentinel]
        target += [sentinel, *window[place + text : place + text + gap]]
        place += text + gap
    return np.array(source), np.array(target)


def check_spans(length: int, sentinels: int) -> None:
    """Refuse windows out of which no span can be cut, or more spans than there are sentinels.

    Raises:
        InputError: says how long windows must be, or how many sentinels there must be.
    """
    _, spans = _spans(length)
    if length < 2 * MEAN_SPAN:
        raise InputError(f"windows: expected at least {2 * MEAN_SPAN} tokens to cut spans out of, got {length}")
    if spans > sentinels:
        raise InputError(f"sentinels: expected at least {spans} for windows of {length} tokens, got {sentinels}")


def _spans(length: int) -> tuple[int, int]:
    noise = max(round(NOISE * length), 1)
    return noise, max(round(noise / MEAN_SPAN), 1)


def _pieces(total: int, pieces: int, random: np.random.Generator) -> list[int]:
    """Split a number at random into so many, each at least 1."""
    ends = np.sort(random.choice(np.arange(1, total), pieces - 1, replace=False))
    return [int(piece) for piece in np.diff(np.concatenate([[0], ends, [total]]))]


def _mean_losses(logits: Tensor, wanted: Tensor) -> Tensor:
    losses: Callable[..., Tensor] = functional.cross_entropy
    return losses(logits.transpose(1, 2), wanted, reduction="none").mean(dim=1)
