"""What turns gradients into weights: AdamW for all, or Muon for the matrices inside the layers and AdamW for the rest.

Muon (Jordan 2024) takes the momentum of a matrix to the nearest orthogonal one, so that all directions learn at
the same pace. In short trainings that is worth much (docs/accuracy.md, "Optimiser").
Movement scores, which are no weights, go down their gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from codesign.elastic.architecture import MOVEMENT_SCORES
from codesign.training.recipe import MuonTable, OptimiserTable, Recipe

NOT_INSIDE = ("tokens", "positions", "segments", "heads.", "spans.", MOVEMENT_SCORES)
"""Beginnings of the names of matrices that Muon does not train: tables of embeddings, output layers (Jordan 2024),
spans, movement scores."""


class Optimiser:
    """All parameters of a training, each with the method that trains it."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], recipe: Recipe) -> None:
        inside = {name for name, p in parameters.items() if p.dim() == 2 and not name.startswith(NOT_INSIDE)}
        chosen = inside if recipe.muon.learning_rate else set()
        scores = {name: p for name, p in parameters.items() if name.startswith(MOVEMENT_SCORES)}
        rest = {name: p for name, p in parameters.items() if name not in {*chosen, *scores}}
        self._methods: list[torch.optim.Optimizer] = [_adamw(rest, recipe.optimiser)] if rest else []
        if chosen:
            self._methods.append(_muon([parameters[name] for name in sorted(chosen)], recipe))
        if scores:
            # Plain descent adds up -dL/dW W (Sanh 2020). They begin at 0 and only their order counts, so any rate does.
            # AdamW makes steps of equal length: a small weight that hardly moves would score as high as others. What it
            # kept was worse (docs/accuracy.md, "Pruning and rounding").
            self._methods.append(torch.optim.SGD(list(scores.values()), lr=1.0))
        self._highest = [[group["lr"] for group in method.param_groups] for method in self._methods]
        self._method_of = {p: m for m in self._methods for group in m.param_groups for p in group["params"]}

    def step(self, share: float) -> None:
        """Change the weights by their gradients, at a share of the highest learning rate."""
        for method, highest in zip(self._methods, self._highest, strict=True):
            for group, rate in zip(method.param_groups, highest, strict=True):
                group["lr"] = share * rate
            method.step()

    def state(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """Return what is kept about a parameter (moments, step count), to read or to fill."""
        found: dict[str, Any] = self._method_of[parameter].state[parameter]
        return found


def clip(parameters: Mapping[str, nn.Parameter], most: float) -> Tensor:
    """Cut the norm of the gradients to `most` and return what it was; movement scores are cut as much, and not counted.

    A score's gradient is that of its weight times the weight. Cut by the same factor it stays so: a score adds up what
    its weight was told to do. Counted, it would slow the weights. It is finite wherever theirs are.
    """
    counted = [p.grad for name, p in parameters.items() if p.grad is not None and not name.startswith(MOVEMENT_SCORES)]
    norm = nn.utils.get_total_norm(counted)
    nn.utils.clip_grads_with_norm_(parameters.values(), most, norm)
    return norm


def _adamw(parameters: Mapping[str, nn.Parameter], table: OptimiserTable) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019); vectors (biases, norms) and learned spans are not decayed."""
    decayed = {name for name, p in parameters.items() if p.dim() >= 2 and not name.startswith("spans.")}
    groups = [
        {"params": [p for name, p in parameters.items() if name in decayed], "weight_decay": table.weight_decay},
        {"params": [p for name, p in parameters.items() if name not in decayed], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=table.learning_rate, betas=(table.beta1, table.beta2), eps=table.epsilon, fused=True
    )


def _muon(parameters: list[nn.Parameter], recipe: Recipe) -> torch.optim.Muon:
    """Muon, its steps scaled by 0.2 sqrt(larger side), so that they are as long as AdamW's (Liu 2025, eq. 4)."""
    table: MuonTable = recipe.muon
    return torch.optim.Muon(
        parameters,
        lr=table.learning_rate,
        weight_decay=recipe.optimiser.weight_decay,
        momentum=table.momentum,
        adjust_lr_fn="match_rms_adamw",
    )
