"""Error of answers measured on held-out questions: each shape is a sub-network of one trained elastic network.

A shape's error is 1 - F1 of the answers that it gives to fixed questions (SQuAD's F1 over words, Rajpurkar 2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from codesign.accuracy.supernet_shares import ShareSupernet
from codesign.design import FloatArray
from codesign.elastic.setting import Setting

if TYPE_CHECKING:
    from codesign.training.answer_windows import AnswerSet

QUESTIONS_A_WINDOW = 16
"""`window_count` is in such blocks: a question has one to some windows, and answers differ more than tokens do."""

BATCH = 32
"""Windows at a time."""


@dataclass(frozen=True)
class AnswerSupernet(ShareSupernet):
    """A trained elastic network that points at answers, as a proxy."""

    metric: ClassVar[str] = "answer_error"

    @cached_property
    def _questions(self) -> AnswerSet:
        """Questions of the validation part, spread evenly over it."""
        from codesign.training.publishing import held_out_answers

        held_out = held_out_answers(self.directory, self.card, self._tokenizer)
        return held_out.spread(self.window_count * QUESTIONS_A_WINDOW)

    def _rows(self, settings: list[Setting]) -> list[FloatArray]:
        """(q,) 1 - F1 of each answer, of each network."""
        from codesign.training.evaluate import each_on_a_core
        from codesign.training.evaluate_answers import evaluate_answers
        from codesign.training.recipe import answers_of

        network, questions, table = self._network, self._questions, answers_of(self.card.recipe)
        return each_on_a_core(lambda one: evaluate_answers(network, one, questions, table, BATCH).errors, settings)
