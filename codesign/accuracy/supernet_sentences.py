"""Error measured on held-out sentences: each shape is a sub-network of one trained elastic classifier.

A shape's error is the share of fixed sentences, the same for all shapes, to which its last exit gives a wrong class, so
that differences are paired by sentence. As in `supernet`, the standard error is that of the sample of text only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from codesign.accuracy.paired import error_of_mean
from codesign.accuracy.proxy import Errors, Quality
from codesign.accuracy.supernet import Supernet
from codesign.design import FloatArray, ModelShape
from codesign.elastic.saved import read_card
from codesign.elastic.setting import Setting
from codesign.errors import ProxyError

if TYPE_CHECKING:
    from codesign.training.sentences import Sentences

SENTENCES_A_WINDOW = 32
"""`window_count` is in such blocks, about as many tokens as a language model's windows have."""

BATCH = 64


def supernet_at(name: str, directory: Path) -> Supernet:
    """Return the proxy of a trained network: perplexity of a language model, error of a classifier.

    Raises:
        InputError: there is no network in the directory, or its card is damaged.
        ProxyError: a network of another task.
    """
    task = read_card(directory).architecture.task
    if task == "span_answers":
        raise ProxyError(f"proxy {name!r}: expected a language model or a classifier in {directory}, got {task}")
    return Supernet(name, directory) if task == "language_model" else SentenceSupernet(name, directory)


@dataclass(frozen=True)
class SentenceSupernet(Supernet):
    """A trained elastic classifier as a proxy; the rows that are remembered say which sentences come out wrong."""

    def predict(self, shape: ModelShape) -> Quality:
        """Measure n shapes: error rate, and the standard error of its logarithm.

        Extrapolated are those with a value that was not trained, see `is_trained`.
        No error among n sentences counts as half of one, as no logarithm could tell it.

        Raises:
            ProxyError: a shape is no sub-network.
        """
        wrong = self.apart(shape)
        rate, count = _rate(wrong), wrong.shape[1]
        error = np.sqrt((1 - rate) / (rate * count))  # binomial
        return Quality("error", rate, error, self._extrapolated(shape))

    def compare(
        self,
        shape: ModelShape,
        baseline: ModelShape,
        errors: Errors | None = None,  # noqa: ARG002 - the protocol's; paired sentences tell more than the two errors
    ) -> FloatArray:
        """Return the standard error of ln(error / error of the baseline), paired by sentence (delta method)."""
        ours, theirs = (self.apart(one) for one in (shape, baseline))
        return error_of_mean(ours / _rate(ours)[:, None] - theirs / _rate(theirs)[:, None])

    @cached_property
    def _sentences(self) -> Sentences:
        """Sentences of the validation part, spread evenly over it."""
        from codesign.training.publishing import held_out_sentences

        held_out = held_out_sentences(self.directory, self.card, self._tokenizer)
        return held_out.spread(self.window_count * SENTENCES_A_WINDOW)

    def _rows(self, settings: list[Setting]) -> list[FloatArray]:
        """(s,) 1 where the last exit of a network is wrong, else 0, of each network."""
        from codesign.training.evaluate import each_on_a_core
        from codesign.training.evaluate_sentences import evaluate_sentences

        network, sentences = self._network, self._sentences
        found = each_on_a_core(lambda one: evaluate_sentences(network, one, sentences, BATCH).wrong[-1], settings)
        return [wrong.astype(float) for wrong in found]


def _rate(wrong: FloatArray) -> FloatArray:
    """(n,) share of ones in each row, half of one at least."""
    return np.asarray(np.maximum(wrong.mean(axis=1), 0.5 / wrong.shape[1]))
