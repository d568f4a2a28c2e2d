"""One step: the gradient of a sandwich of sub-networks, taught by the largest. Leaves updating to the caller.

The losses of the k sub-networks are averaged, as in the survey (Kim 2023, Sec. 6.4.1); each is passed backward on its
own, so that the memory is that of one sub-network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.nn import functional

from codesign.elastic.setting import Setting
from codesign.elastic.spans import SoftSpans
from codesign.elastic.transformer import Elastic
from codesign.training.losses import soft_targets, taught_loss
from codesign.training.recipe import Recipe

Learn = Callable[[Setting, Tensor | None], tuple[Tensor, Tensor, Tensor | None]]
"""(sub-network, lesson of the largest or None) -> its loss, the detached part that labels alone give, its own lesson.

The largest is asked first and gets no lesson; what it returns is that of the others.
"""


def one_step(
    model: Elastic, batch: Tensor, settings: Sequence[Setting], recipe: Recipe, spans: SoftSpans | None = None
) -> Tensor:
    """Leave the mean gradient of the sub-networks of a language model in `.grad`; the weights are not changed.

    Args:
        model: a language model.
        batch: (b, window + 1) long tokens: inputs [:, :-1], targets [:, 1:].
        settings: the k sub-networks; the first is the teacher of the others and learns from the text only.
        recipe: weights of distillation, gradient projection, spans, precision.
        spans: soft spans that are learned with the weights.

    Returns:
        (k,) cross-entropies with the text, nats a token, detached; without the distillation's part.
    """
    inputs, targets, table = batch[:, :-1].contiguous(), batch[:, 1:].flatten(), recipe.sandwich

    def learn(setting: Setting, lesson: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        logits = _logits(model, inputs, setting, recipe, spans)
        if lesson is not None:
            return *taught_loss(logits, targets, lesson, table.distillation, table.temperature), None
        loss = functional.cross_entropy(logits, targets)
        return loss, loss.detach(), soft_targets(logits, table.temperature) if table.distillation else None

    return sandwich_step(model, settings, recipe, spans, learn)


def sandwich_step(
    model: Elastic, settings: Sequence[Setting], recipe: Recipe, spans: SoftSpans | None, learn: Learn
) -> Tensor:
    """Leave the mean gradient of k sub-networks in `.grad`, of whatever `learn` says that they learn.

    Returns:
        (k,) losses without the distillation's part, detached.
    """
    _forget_gradients(model, spans)
    total, hard, lesson = learn(settings[0], None)
    ((total + span_loss(settings[0], recipe, spans)) / len(settings)).backward()  # type: ignore[no-untyped-call]
    losses = [hard.detach()]
    of_largest = _take_gradients(model) if recipe.sandwich.gradient_projection else {}
    for setting in settings[1:]:
        total, hard, _ = learn(setting, lesson)
        ((total + span_loss(setting, recipe, spans)) / len(settings)).backward()  # type: ignore[no-untyped-call]
        losses.append(hard.detach())
    for name, parameter in model.named_parameters():
        if name in of_largest:
            parameter.grad = combined(of_largest[name], parameter.grad)
    return torch.stack(losses)


def combined(of_largest: Tensor, of_others: Tensor | None) -> Tensor:
    """Return one tensor's gradient from that of the largest and the sum of the others' (Gong 2022, NASViT).

    g = g_max + g_sub (1 + clamp(-<g_sub, g_max> / |g_sub|², 0, 2)): where the two point apart, the part of g_max that
    the others contradict is taken away (up to twice their length). Where the others have no gradient, g = g_max.
    """
    if of_others is None:
        return of_largest
    square = of_others.square().sum()
    conflict = -(of_others * of_largest).sum() / square.clamp(min=torch.finfo(square.dtype).tiny)
    return of_largest + of_others * (1 + conflict.clamp(0, 2))


def span_loss(setting: Setting, recipe: Recipe, spans: SoftSpans | None) -> Tensor | float:
    """Return the part of the loss that shortens learned spans: lambda times the mean span (Sukhbaatar 2019, eq. 4)."""
    if spans is None or not any(layer.heads for layer in setting.layers):
        return 0.0
    return recipe.spans.loss * spans.mean_span(setting)


def _forget_gradients(model: Elastic, spans: SoftSpans | None) -> None:
    for module in (model, spans):
        if module is not None:
            module.zero_grad(set_to_none=True)


def _take_gradients(model: Elastic) -> dict[str, Tensor]:
    """Return the gradients by parameter and leave none."""
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


def _logits(model: Elastic, inputs: Tensor, setting: Setting, recipe: Recipe, spans: SoftSpans | None) -> Tensor:
    """(b * t, vocabulary) in 32 bits."""
    with autocast(inputs.device.type, recipe):
        logits = model(inputs, setting, spans=spans)
    return logits.flatten(0, 1).float()  # type: ignore[no-any-return]


def autocast(device: str, recipe: Recipe) -> AbstractContextManager[object]:
    """Return the context in which products have the recipe's precision."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16")
