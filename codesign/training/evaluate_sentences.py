"""How often sub-networks of a classifier are wrong, at every exit, and when they may stop early.

The same sentences for all sub-networks, so comparisons are paired by sentence. Standard errors take sentences as
independent; those of an address are alike, so they are lower bounds of the error over other addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from codesign.design import BoolArray, FloatArray, IntArray
from codesign.elastic.setting import Setting
from codesign.elastic.transformer import Elastic
from codesign.elastic.weights import weights_of
from codesign.errors import InputError
from codesign.training.sentence_steps import exit_logits
from codesign.training.sentences import Sentences


@dataclass(frozen=True)
class MeasuredSentences:
    """What one sub-network says of n sentences at each of its e exits (one where the model has none)."""

    logarithms: FloatArray  # (e, n, classes) ln(probability)
    labels: IntArray  # (n,)

    @cached_property
    def wrong(self) -> BoolArray:
        """(e, n) True where another class is the likeliest."""
        return np.asarray(self.logarithms.argmax(axis=2) != self.labels)

    @cached_property
    def losses(self) -> FloatArray:
        """(e, n) cross-entropy with the label, nats."""
        return np.asarray(-self.logarithms[:, np.arange(len(self.labels)), self.labels])

    @cached_property
    def entropies(self) -> FloatArray:
        """(e, n) of the exit's distribution, nats: 0 to ln(classes)."""
        return np.asarray(-(np.exp(self.logarithms) * self.logarithms).sum(axis=2))

    def early(self, threshold: float) -> EarlyExit:
        """Leave each sentence at the first exit whose entropy is below the threshold, else at the last.

        (DeeBERT, Xin 2020; EdgeBERT, Tambe 2021.)
        """
        sure = self.entropies < threshold
        sure[-1] = True
        left = sure.argmax(axis=0)
        return EarlyExit(threshold, left + 1, self.wrong[left, np.arange(len(left))])


@dataclass(frozen=True)
class EarlyExit:
    """Where n sentences leave a network at one threshold, and which of them leave with a wrong class."""

    threshold: float
    """Nats."""
    layers: IntArray  # (n,) layers run, 1 to the depth
    wrong: BoolArray  # (n,)


def mean_and_error(values: FloatArray | BoolArray | IntArray) -> tuple[float, float]:
    """Return the mean of n values and its standard error; of differences, these are the paired ones."""
    numbers = np.asarray(values, dtype=float)
    error = numbers.std(ddof=1) / np.sqrt(len(numbers)) if len(numbers) > 1 else np.nan
    return float(numbers.mean()), float(error)


def highest_threshold(measured: MeasuredSentences, points: float, thresholds: Sequence[float]) -> float:
    """Return the highest threshold up to which no threshold loses more accuracy than told against the last exit.

    Args:
        measured: a sub-network with exits.
        points: share of all sentences, 0.01 = one in a hundred more may be wrong.
        thresholds: ascending; the first one loses nothing where it is 0.
    """
    most = measured.wrong[-1].mean() + points + 1e-12  # a difference of exactly `points` is allowed
    best = 0.0
    for threshold in thresholds:
        if measured.early(threshold).wrong.mean() > most:
            break
        best = threshold
    return best


def evaluate_sentences(model: Elastic, setting: Setting, sentences: Sentences, batch: int) -> MeasuredSentences:
    """Measure one sub-network of a classifier; its slices, masks and quantised weights are made once.

    Args:
        model: the elastic model, on any device.
        setting: the sub-network.
        sentences: what it has to classify.
        batch: sentences at a time; sentences of a length go together. It changes the last bits only.

    Raises:
        InputError: no sentence, a class that the model does not have, or a setting that is no sub-network of it.
    """
    a = model.architecture
    if not len(sentences):
        raise InputError("evaluate: expected at least one sentence, got none")
    if int(sentences.labels.max()) >= a.classes or int(sentences.labels.min()) < 0:
        raise InputError(f"labels: expected 0..{a.classes - 1}, the classes of the model, got "
                         f"{int(sentences.labels.min())}..{int(sentences.labels.max())}")  # fmt: skip
    device = next(model.parameters()).device
    exits = len(setting.layers) if a.exits else 1
    found = np.zeros((exits, len(sentences), a.classes))
    with torch.inference_mode():
        ready = weights_of(model, setting)
        for places in sentences.by_length(batch):
            part = sentences.take(places).batch(device)
            logits = torch.stack(exit_logits(model(part.tokens, setting, ready, real=part.real)))
            found[:, places] = logits.double().log_softmax(dim=-1).cpu().numpy()
    return MeasuredSentences(found, sentences.labels)
