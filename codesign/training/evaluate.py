"""The loss of sub-networks on windows of text, with its error. The same windows for all, so comparisons are paired."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from codesign.design import FloatArray
from codesign.elastic.setting import Setting
from codesign.elastic.transformer import Elastic
from codesign.elastic.weights import weights_of
from codesign.errors import InputError
from codesign.training.process import FREED

T = TypeVar("T")


@dataclass(frozen=True)
class Measured:
    """The loss of one sub-network on w windows."""

    window_losses: FloatArray  # (w,) mean nats a token of each window
    tokens: int
    """Targets in all windows together."""

    @property
    def loss(self) -> float:
        """Mean nats a token; all windows have as many tokens."""
        return float(self.window_losses.mean())

    @property
    def standard_error(self) -> float:
        """Of the loss, over windows taken as independent; NaN for one window.

        Neighbouring windows of a document are alike, so this is a lower bound of the error over other texts.
        """
        return _standard_error(self.window_losses)

    def difference(self, other: Measured) -> tuple[float, float]:
        """Return our loss less another's and its standard error, paired by window: what both find hard cancels.

        Raises:
            InputError: the two were measured on different numbers of windows.
        """
        if len(self.window_losses) != len(other.window_losses):
            raise InputError(
                f"paired difference: expected as many windows in both, got {len(self.window_losses)} and "
                f"{len(other.window_losses)}; measure both with the same token budget"
            )
        differences = self.window_losses - other.window_losses
        return float(differences.mean()), _standard_error(differences)


def evaluate(model: Elastic, setting: Setting, windows: npt.ArrayLike, batch: int) -> Measured:
    """Measure one sub-network of a language model.

    Its slices, masks and quantised weights are made once, not for each batch.

    Args:
        model: the elastic model, on any device.
        setting: the sub-network.
        windows: (w, window + 1) tokens: inputs [:, :-1], targets [:, 1:].
        batch: windows at a time; it changes the last bits only.

    Raises:
        InputError: no window, or a setting that is no sub-network of the model.
    """
    return evaluate_many(model, [setting], windows, batch)[0]


def evaluate_apart(model: Elastic, settings: Sequence[Setting], windows: npt.ArrayLike, batch: int) -> list[Measured]:
    """Measure several sub-networks as `evaluate` does, see `each_on_a_core`."""
    return each_on_a_core(lambda setting: evaluate(model, setting, windows, batch), settings)


def each_on_a_core(measure: Callable[[Setting], T], settings: Sequence[Setting]) -> list[T]:
    """Measure several sub-networks, each on one core, as many at a time as there are cores.

    Products of this size are too small to share among threads, and threads that wait for each other on busy cores made
    a search twenty times slower. What is measured does not depend on the number of cores, nor what is in memory on
    how many were measured.
    """

    def measured(setting: Setting) -> T:
        found = measure(setting)
        FREED.bound()
        return found

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(cpu_count() or 1, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(measured, settings))
    finally:
        torch.set_num_threads(threads)


def evaluate_many(
    model: Elastic, settings: Sequence[Setting], windows: npt.ArrayLike, batch: int, tokens: int | None = None
) -> list[Measured]:
    """Measure several sub-networks on the same windows.

    Args:
        model: the elastic model, on any device.
        settings: the sub-networks; equal ones are measured once.
        windows: (w, window + 1) tokens.
        batch: windows at a time.
        tokens: budget of targets a sub-network: the first whole windows within it, one at least; None = all.

    Raises:
        InputError: no window, or a setting that is no sub-network of the model.
    """
    chosen = np.asarray(windows)
    if chosen.ndim != 2 or not len(chosen):
        raise InputError(f"windows: expected (windows, tokens + 1) numbers, got shape {chosen.shape}")
    if tokens is not None:
        chosen = chosen[: max(1, tokens // (chosen.shape[1] - 1))]
    device = next(model.parameters()).device
    on_device = torch.as_tensor(chosen, dtype=torch.long, device=device)
    found: dict[Setting, FloatArray] = {}
    with torch.inference_mode():
        for setting in settings:
            if setting not in found:
                found[setting] = _window_losses(model, setting, on_device, batch)
    count = chosen.shape[0] * (chosen.shape[1] - 1)
    return [Measured(found[setting], count) for setting in settings]


def _window_losses(model: Elastic, setting: Setting, windows: Tensor, batch: int) -> FloatArray:
    """(w,) mean nats a token of each of (w, t + 1) windows."""
    ready = weights_of(model, setting)

    def of_part(part: Tensor) -> Tensor:
        logits = model(part[:, :-1], setting, ready).float().flatten(0, 1)  # a row a token: four times faster
        losses = functional.cross_entropy(logits, part[:, 1:].flatten(), reduction="none")
        return losses.view(len(part), -1).mean(dim=1)

    return torch.cat([of_part(part) for part in torch.split(windows, batch)]).double().cpu().numpy()


def _standard_error(values: FloatArray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
