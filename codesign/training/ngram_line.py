"""The line that a language model has to beat: an n-gram of its training tokens, on the tokens it is measured on.

It is computed once, when a training begins, and stands in the log as a line of the kind "ngram".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codesign.errors import InputError
from codesign.text.ngrams import fitted
from codesign.text.packing import word_perplexity
from codesign.training.data import TrainingText
from codesign.training.log import Log, read_log
from codesign.training.recipe import EvaluationTable
from codesign.training.trainer import Trainer

KIND = "ngram"
ORDER = 4

MOST_TOKENS = 10_000_000
"""Of the training text; counting them takes about 90 bytes and a microsecond each."""


def write_once(trainer: Trainer, written: Log) -> None:
    """Write the line of a language model's training into its log, if it is not there yet.

    Raises:
        TrainingError: the log is damaged or cannot be written.
    """
    if isinstance(trainer.text, TrainingText) and logged(trainer.directory) is None:
        figures = ngram_figures(trainer.text, trainer.recipe.evaluation)
        written.write(KIND, step=trainer.position.step, **figures)


def logged(directory: Path) -> dict[str, Any] | None:
    """Return the n-gram's figures in the log of a training; None where there are none, as of a classifier.

    Raises:
        TrainingError: the log is missing or damaged.
    """
    found = [line for line in read_log(directory) if line["kind"] == KIND]
    return {name: value for name, value in found[-1].items() if name not in ("kind", "step")} if found else None


def ngram_figures(text: TrainingText, evaluation: EvaluationTable) -> dict[str, Any]:
    """Fit an n-gram to the training tokens and measure it on the tokens that sub-networks are measured on.

    It sees the tokens before a window too, which the network does not.

    Returns:
        order; tokens, loss (nats a token) and word perplexity of the measured windows; word perplexity of the whole
        validation text. Of a text that is too short to fit it to, or too long to count, the order and why: `left_out`.
    """
    vocabulary, train, validation = text.tokenizer.vocabulary, text.train.tokens, text.validation
    try:
        if len(train) > MOST_TOKENS:
            raise InputError(f"{len(train):,} training tokens: expected at most {MOST_TOKENS:,} to count")
        losses = fitted(train, vocabulary, ORDER).losses(validation.tokens)
    except InputError as error:
        return {"order": ORDER, "left_out": str(error)}
    targets = text.validation_windows[: evaluation.windows, 1:].size
    measured, whole = float(losses[1 : targets + 1].mean()), float(losses.mean())
    of_words = len(validation.tokens), validation.words
    return {
        "order": ORDER,
        "tokens": targets,
        "loss": measured,
        "word_perplexity": word_perplexity(measured, *of_words),
        "word_perplexity_whole": word_perplexity(whole, *of_words),
    }


def shown(figures: Mapping[str, Any]) -> str:
    """Return the figures of an n-gram as a line of text."""
    what = f"{figures['order']}-gram of the same tokens:"
    if "left_out" in figures:
        return f"{what} left out: {figures['left_out']}"
    return (
        f"{what} {figures['loss']:.4f} nats a token, word perplexity {figures['word_perplexity']:,.1f} "
        f"({figures['word_perplexity_whole']:,.1f} on the whole validation text)"
    )
