"""Error measured on held-out sentences: each shape is a sub-network of one trained elastic classifier.

A shape's error is the share of fixed sentences to which its last exit gives a wrong class.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from codesign.accuracy.supernet_shares import ShareSupernet
from codesign.design import FloatArray
from codesign.elastic.setting import Setting

if TYPE_CHECKING:
    from codesign.training.sentences import Sentences

SENTENCES_A_WINDOW = 32
"""`window_count` is in such blocks, about as many tokens as a language model's windows have."""

BATCH = 64


@dataclass(frozen=True)
class SentenceSupernet(ShareSupernet):
    """A trained elastic classifier as a proxy; the rows that are remembered say which sentences come out wrong."""

    metric: ClassVar[str] = "error"

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
