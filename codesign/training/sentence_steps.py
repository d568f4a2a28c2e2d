"""One step of a classifier: the gradient of a sandwich of sub-networks with a loss at every exit.

A sub-network's loss is the weighted mean over its exits. Every exit of the others is taught by the last one of the
largest, whose own exits learn from the labels only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from codesign.elastic.setting import Setting
from codesign.elastic.spans import SoftSpans
from codesign.elastic.transformer import Elastic
from codesign.training.losses import soft_targets, taught_loss
from codesign.training.recipe import Recipe
from codesign.training.sentences import SentenceBatch
from codesign.training.steps import autocast, sandwich_step


def sentence_step(
    model: Elastic, batch: SentenceBatch, settings: Sequence[Setting], recipe: Recipe, spans: SoftSpans | None = None
) -> Tensor:
    """Leave the mean gradient of the sub-networks of a classifier in `.grad`; the weights are not changed.

    Args:
        model: a classifier.
        batch: b sentences.
        settings: the k sub-networks; the first is the teacher of the others.
        recipe: one with sentences; weights of exits, distillation, gradient projection, spans, precision.
        spans: soft spans that are learned with the weights.

    Returns:
        (k,) cross-entropies of the last exit with the labels, nats a sentence, detached.
    """
    assert recipe.sentences is not None

    def exits(setting: Setting) -> list[Tensor]:
        with autocast(batch.tokens.device.type, recipe):
            return exit_logits(model(batch.tokens, setting, real=batch.real, spans=spans))

    return labelled_step(model, batch.labels, settings, recipe, spans, exits, recipe.sentences.exits)


def labelled_step(
    model: Elastic,
    labels: Tensor,
    settings: Sequence[Setting],
    recipe: Recipe,
    spans: SoftSpans | None,
    exits: Callable[[Setting], list[Tensor]],
    kind: str,
) -> Tensor:
    """Leave the mean gradient of the sub-networks in `.grad`, where each row of outputs has one right column.

    Args:
        model: whose gradients they are.
        labels: (n,) right columns.
        settings: the k sub-networks; the first is the teacher of the others.
        recipe: distillation, gradient projection, spans.
        spans: soft spans that are learned with the weights.
        exits: the (n, columns) logits of every exit of a sub-network.
        kind: weights of the exits, see `exit_weights`.

    Returns:
        (k,) cross-entropies of the last exit with the labels, nats a row, detached.
    """
    table = recipe.sandwich

    def learn(setting: Setting, lesson: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        found = exits(setting)
        if lesson is None:
            losses = [functional.cross_entropy(logits, labels) for logits in found]
            hard = losses[-1].detach()
        else:
            taught = [taught_loss(e, labels, lesson, table.distillation, table.temperature) for e in found]
            losses, hard = [total for total, _ in taught], taught[-1][1]
        weights = torch.tensor(exit_weights(len(found), kind), device=losses[0].device)
        lesson = soft_targets(found[-1], table.temperature) if table.distillation else None
        return (torch.stack(losses) * weights).sum(), hard, lesson

    return sandwich_step(model, settings, recipe, spans, learn)


def exit_weights(exits: int, kind: str) -> list[float]:
    """Return the weight of each exit's loss; they add up to 1."""
    raw = [float(i + 1) if kind == "depth" else 1.0 for i in range(exits)]
    return [weight / sum(raw) for weight in raw]


def exit_logits(found: Tensor | list[Tensor]) -> list[Tensor]:
    """Return the (b, classes) logits of every exit, in 32 bits; one where the model has no exits."""
    return [logits.float() for logits in (found if isinstance(found, list) else [found])]
