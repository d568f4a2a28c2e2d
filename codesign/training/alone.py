"""Train one sub-network from scratch, as a network of exactly its size: what a shape reaches if trained on its own.

Text, tokenizer, order of windows, optimiser, schedule and pruning are the recipe's; of its sandwich nothing is used,
and no weight is inherited. All networks of a recipe see the same windows in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from torch import nn

from codesign.elastic.architecture import Architecture, check_setting
from codesign.elastic.parts import Layer
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.transformer import Elastic
from codesign.errors import InputError
from codesign.training.data import TrainingText, Windows
from codesign.training.evaluate import Measured, evaluate
from codesign.training.identity import Identity
from codesign.training.process import FREED, keep_freed_memory
from codesign.training.recipe import Recipe
from codesign.training.trainer import Step, Trainer, Worker


class Alone(Elastic):
    """The elastic model of one setting: each layer has the setting's own heads and units, so no weight is unused.

    With a linear branch beside the FFN, all layers keep the widest FFN, whose inner width is the branch's.

    Raises:
        InputError: the setting is no sub-network of the architecture.
    """

    def __init__(self, architecture: Architecture, setting: Setting, seed: int = 0) -> None:
        check_setting(architecture, setting)
        own = architecture_of_setting(architecture, setting)
        super().__init__(own, seed)
        stored = setting.layers[: len(self.layers)]
        self.layers = nn.ModuleList(_layer(own, layer) for layer in stored)
        self._initialise(seed)


@dataclass(frozen=True)
class Only:
    """Draws one sub-network again and again, where `Sampler` draws those of a space."""

    setting: Setting

    def largest(self) -> Setting:
        """Return the only one."""
        return self.setting

    def smallest(self) -> Setting:
        """Return the only one."""
        return self.setting

    def fixed(self, count: int) -> list[Setting]:  # noqa: ARG002 - as `Sampler`
        """Return nothing besides it."""
        return []

    def sandwich(self, step: int, random_settings: int) -> list[Setting]:  # noqa: ARG002 - as `Sampler`
        """Return the only one."""
        return [self.setting]


@dataclass(frozen=True)
class TrainedAlone:
    """What one stand-alone training came to."""

    measured: Measured
    """On the windows asked for."""
    tokens: int
    """Targets of the text trained on, repeated ones counted again."""
    seconds: float
    """Of one core, for the training; without reading the text and measuring."""


def train_alone(
    architecture: Architecture,
    setting: Setting,
    recipe: Recipe,
    text: TrainingText,
    *,
    windows: Windows | None = None,
    place: Path = Path(),
    watch: Callable[[Step], None] = lambda _: None,
) -> TrainedAlone:
    """Train one sub-network by a recipe and measure it.

    Equal arguments give equal bits on the same machine with the same number of threads (the recipe's).

    Args:
        architecture: holds the setting; gives the parts, the vocabulary and the context.
        setting: what is trained, with the densities and formats that it ends with.
        recipe: how; its seed is that of the weights and of the order of windows.
        text: of the recipe.
        windows: (w, window + 1) what it is measured on; None = all validation windows.
        place: named in messages; nothing is written there.
        watch: called after each step.

    Raises:
        InputError: the setting is no sub-network of the architecture, or see `without_sandwich`.
        TrainingError: the loss diverges.
    """
    single = without_sandwich(recipe)
    keep_freed_memory()
    torch.set_num_threads(recipe.threads)
    model = Alone(architecture, setting, recipe.seed)
    identity = Identity({}, model.architecture, single, text.digest())
    start = time.process_time()  # other work on the machine does not count
    trainer = Trainer(place, model, identity, text, Only(setting), "cpu", Worker())
    while trainer.position.step < recipe.steps:
        watch(trainer.step())
    seconds = time.process_time() - start
    chosen = text.validation_windows if windows is None else windows
    measured = evaluate(model, setting, chosen, recipe.evaluation.batch)
    FREED.bound()
    return TrainedAlone(measured, recipe.steps * recipe.batch * recipe.text.window, seconds)


def without_sandwich(recipe: Recipe) -> Recipe:
    """Return the recipe of one network: no random settings, no distillation, no projection.

    Raises:
        InputError: the recipe is of another task, or learns spans, which a setting has of its own.
    """
    for name in ("sentences", "answers"):
        if getattr(recipe, name) is not None:
            raise InputError(f"[{name}]: expected none where one language model is trained, got another task's recipe")
    if recipe.spans.loss:
        raise InputError(f"spans.loss: expected 0 where one sub-network is trained, got {recipe.spans.loss:g}; "
                         "its spans are those of its shape")  # fmt: skip
    table = msgspec.structs.replace(recipe.sandwich, random_settings=0, distillation=0.0, gradient_projection=False)
    return msgspec.structs.replace(recipe, sandwich=table)


def architecture_of_setting(architecture: Architecture, setting: Setting) -> Architecture:
    """Return the smallest architecture of the same parts that holds the setting."""
    sizes = {"hidden": setting.hidden, "layers": len(setting.layers)}
    widest = {name: max(getattr(layer, name) for layer in setting.layers) for name in ("heads", "ffn")}
    return msgspec.structs.replace(architecture, **sizes, **widest)


def _layer(own: Architecture, setting: LayerSetting) -> Layer:
    """Return the weights of one layer without those of removed parts, which nothing would read."""
    branch = own.ffn_reparametrised
    layer = Layer(msgspec.structs.replace(own, heads=setting.heads, ffn=own.ffn if branch else setting.ffn))
    attention = () if setting.heads else ("attention_norm", "qkv", "output")
    ffn = () if setting.ffn or branch else ("ffn_norm", "gate", "up", "down")
    for name in (*attention, *ffn):
        setattr(layer, name, None)
    return layer
