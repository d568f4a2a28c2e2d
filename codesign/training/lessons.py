"""What differs between the tasks of a training: what a step learns from, and how sub-networks are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from codesign.elastic.setting import Setting
from codesign.elastic.spans import SoftSpans
from codesign.elastic.transformer import Elastic
from codesign.errors import InputError
from codesign.text.packing import word_perplexity
from codesign.text.tokenizer import Tokenizer
from codesign.training.answer_steps import answer_step
from codesign.training.answers import AnswerText, answer_text
from codesign.training.data import Batches, TrainingText, training_text
from codesign.training.evaluate import Measured, evaluate_many
from codesign.training.evaluate_answers import MeasuredAnswers, evaluate_answers
from codesign.training.evaluate_sentences import MeasuredSentences, evaluate_sentences, mean_and_error
from codesign.training.recipe import Recipe
from codesign.training.rows import RowBatches
from codesign.training.sentence_steps import sentence_step
from codesign.training.sentences import SentenceText, sentence_text
from codesign.training.steps import one_step

Text = TrainingText | SentenceText | AnswerText
"""What a recipe reads: running text for a language model, labelled sentences for a classifier, questions with contexts
for a network that points at answers."""


class Lessons(Protocol):
    """A text as a training uses it."""

    @property
    def tokens(self) -> int:
        """Tokens a step that all workers learn from; of rows of different lengths on average."""

    def gradients(
        self, model: Elastic, step: int, part: slice, settings: Sequence[Setting], spans: SoftSpans | None
    ) -> Tensor:
        """Leave the mean gradient of k sub-networks in `.grad`, from a part of a step's batch; returns (k,) losses."""

    def measured(self, model: Elastic, named: Mapping[str, Setting]) -> dict[str, Any]:
        """Measure sub-networks on the validation part: how much of it, and by name their figures."""


def read_text(recipe: Recipe, tokenizer: Tokenizer | None = None) -> Text:
    """Read the text of a recipe, see `training_text`, `sentence_text` and `answer_text`.

    Raises:
        InputError: what these refuse, and fewer sentences or windows than a batch.
    """
    text: SentenceText | AnswerText
    if recipe.sentences is not None:
        text, rows = sentence_text(recipe.text, recipe.sentences, tokenizer), "sentences"
    elif recipe.answers is not None:
        text, rows = answer_text(recipe.text, recipe.answers, tokenizer), "windows on contexts"
    else:
        return training_text(recipe.text, tokenizer)
    if len(text.train) < recipe.batch:
        raise InputError(f"batch: expected at most the {len(text.train)} training {rows}, got {recipe.batch}; "
                         "give more text or a smaller batch")  # fmt: skip
    return text


def lessons_of(text: Text, recipe: Recipe) -> Lessons:
    """Return what a training does with its text."""
    if isinstance(text, TrainingText):
        return LanguageLessons(text, recipe)
    return SentenceLessons(text, recipe) if isinstance(text, SentenceText) else AnswerLessons(text, recipe)


@dataclass(frozen=True)
class LanguageLessons:
    """Windows of running text; see `Lessons`."""

    text: TrainingText
    recipe: Recipe

    @property
    def tokens(self) -> int:
        """See `Lessons`."""
        return self.recipe.batch * self.recipe.text.window

    @cached_property
    def _batches(self) -> Batches:
        return Batches(self.text.train.tokens, self.recipe.text.window, self.recipe.batch, self.recipe.seed)

    def gradients(
        self, model: Elastic, step: int, part: slice, settings: Sequence[Setting], spans: SoftSpans | None
    ) -> Tensor:
        """See `Lessons`, `one_step`."""
        windows = self._batches.at(step)[part]
        batch = torch.as_tensor(windows, dtype=torch.long, device=next(model.parameters()).device)
        return one_step(model, batch, settings, self.recipe, spans)

    def measured(self, model: Elastic, named: Mapping[str, Setting]) -> dict[str, Any]:
        """Return tokens of the windows, and by name loss (nats a token), its error, and perplexity a word."""
        table, text = self.recipe.evaluation, self.text
        found = evaluate_many(model, list(named.values()), text.validation_windows[: table.windows], table.batch)

        def figures(one: Measured) -> dict[str, float]:
            words = word_perplexity(one.loss, len(text.validation.tokens), text.validation.words)
            return {"loss": one.loss, "standard_error": one.standard_error, "word_perplexity": words}

        by_name = {name: figures(one) for name, one in zip(named, found, strict=True)}
        return {"tokens": found[0].tokens, "settings": by_name}


@dataclass(frozen=True)
class RowLessons:
    """What tasks share whose examples are rows of different lengths."""

    text: SentenceText | AnswerText
    recipe: Recipe

    @property
    def tokens(self) -> int:
        """See `Lessons`; without padding."""
        return round(self.recipe.batch * float(self.text.train.lengths.mean()))

    @cached_property
    def _batches(self) -> RowBatches:
        return RowBatches(self.text.train, self.recipe.batch, self.recipe.seed)


@dataclass(frozen=True)
class SentenceLessons(RowLessons):
    """Labelled sentences; see `Lessons`."""

    text: SentenceText

    def gradients(
        self, model: Elastic, step: int, part: slice, settings: Sequence[Setting], spans: SoftSpans | None
    ) -> Tensor:
        """See `Lessons`, `sentence_step`."""
        sentences = self.text.train.take(self._batches.at(step)[part])
        return sentence_step(model, sentences.batch(next(model.parameters()).device), settings, self.recipe, spans)

    def measured(self, model: Elastic, named: Mapping[str, Setting]) -> dict[str, Any]:
        """Return the number of sentences, and by name loss (nats a sentence) and error rate, both with their errors.

        Both are those of the last exit; `exit_errors` has the error rate of each.
        """
        table = self.recipe.evaluation
        sentences = self.text.validation.spread(table.windows)

        def figures(one: MeasuredSentences) -> dict[str, Any]:
            (loss, loss_error), (wrong, wrong_error) = mean_and_error(one.losses[-1]), mean_and_error(one.wrong[-1])
            return {"loss": loss, "standard_error": loss_error, "error": wrong, "error_standard_error": wrong_error,
                    "exit_errors": one.wrong.mean(axis=1).tolist()}  # fmt: skip

        found = {name: evaluate_sentences(model, setting, sentences, table.batch) for name, setting in named.items()}
        return {"sentences": len(sentences), "settings": {name: figures(one) for name, one in found.items()}}


@dataclass(frozen=True)
class AnswerLessons(RowLessons):
    """Questions whose answer is a span of a context; see `Lessons`."""

    text: AnswerText

    def gradients(
        self, model: Elastic, step: int, part: slice, settings: Sequence[Setting], spans: SoftSpans | None
    ) -> Tensor:
        """See `Lessons`, `answer_step`."""
        windows = self.text.train.take(self._batches.at(step)[part])
        return answer_step(model, windows.batch(next(model.parameters()).device), settings, self.recipe, spans)

    def measured(self, model: Elastic, named: Mapping[str, Setting]) -> dict[str, Any]:
        """Return the number of questions, and by name loss (nats a window), 1 - F1, both with errors, F1, exact match.

        Scores are shares, not percent.
        """
        table = self.recipe.evaluation
        questions = self.text.validation.spread(table.windows)

        def figures(one: MeasuredAnswers) -> dict[str, float]:
            (loss, loss_error), (wrong, wrong_error) = mean_and_error(one.losses), mean_and_error(one.errors)
            return {"loss": loss, "standard_error": loss_error, "answer_error": wrong,
                    "answer_error_standard_error": wrong_error, "f1": 1 - wrong,
                    "exact": float(one.exact.mean())}  # fmt: skip

        found = {name: evaluate_answers(model, setting, questions, self.text.table, table.batch)
                 for name, setting in named.items()}  # fmt: skip
        return {"questions": len(questions), "settings": {name: figures(one) for name, one in found.items()}}
