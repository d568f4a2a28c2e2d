"""One step of a network that points at answers: start and end are two classes among the tokens of a window."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from codesign.elastic.setting import Setting
from codesign.elastic.spans import SoftSpans
from codesign.elastic.transformer import Elastic
from codesign.training.answer_windows import SpanBatch
from codesign.training.recipe import Recipe
from codesign.training.sentence_steps import labelled_step
from codesign.training.steps import autocast

NEVER = -1e4
"""Logit where no answer starts or ends. Finite: times a probability of 0 it must be 0."""


def answer_step(
    model: Elastic, batch: SpanBatch, settings: Sequence[Setting], recipe: Recipe, spans: SoftSpans | None = None
) -> Tensor:
    """Leave the mean gradient of the sub-networks in `.grad`; the weights are not changed.

    A sub-network's loss is the mean of the cross-entropies of start and end (Devlin 2019: their sum); the largest's two
    distributions teach those of the others.

    Args:
        model: a network with an answer head.
        batch: b windows.
        settings: the k sub-networks; the first is the teacher of the others.
        recipe: distillation, gradient projection, spans, precision.
        spans: soft spans that are learned with the weights.

    Returns:
        (k,) losses without the distillation's part, nats a window, detached.
    """

    def pointed(setting: Setting) -> list[Tensor]:
        with autocast(batch.tokens.device.type, recipe):
            logits = model(batch.tokens, setting, real=batch.real, spans=spans)
        assert isinstance(logits, Tensor)
        return [span_logits(logits, batch.allowed).flatten(0, 1)]

    return labelled_step(model, batch.targets, settings, recipe, spans, pointed, "equal")


def span_logits(logits: Tensor, allowed: Tensor) -> Tensor:
    """Return (2, b, t) logits of start and end in 32 bits, NEVER where none is allowed, from (b, t, 2)."""
    return logits.float().movedim(2, 0).masked_fill(~allowed, NEVER)
