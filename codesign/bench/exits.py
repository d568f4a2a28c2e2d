"""The shipped classifier: its error at every exit beside lines without a network, and what leaving early costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from codesign.accuracy.proxy import SUPERNETS, shipped_network
from codesign.accuracy.supernet import SCREENING_WINDOWS
from codesign.accuracy.supernet_sentences import BATCH, SENTENCES_A_WINDOW, SentenceSupernet
from codesign.bench.supernet import screening
from codesign.bench.word_baseline import word_baseline
from codesign.design import FloatArray
from codesign.elastic.saved import load
from codesign.elastic.transformer import Elastic
from codesign.space_file import read_space
from codesign.text.labelled import LabelledText
from codesign.text.periods import LabelledParts, sentences_by_period
from codesign.text.tokenizer import Tokenizer, shipped_tokenizer
from codesign.training.evaluate_sentences import (
    EarlyExit,
    MeasuredSentences,
    evaluate_sentences,
    highest_threshold,
    mean_and_error,
)
from codesign.training.recipe import sentences_of
from codesign.training.sampling import Sampler
from codesign.training.sentences import encoded

NAME = "supernet_sentences"
POINTS = (0.01, 0.02, 0.05)
"""Accuracy that may be lost, of all sentences; the threshold is chosen on validation and judged on test."""

STEP = 0.01
"""Between thresholds, nats."""

SHOWN = 10
"""Every so many thresholds, the curve's points that are printed."""

SHAPES = 40
"""Random shapes whose ranking is compared."""

SEED = 0


def run() -> list[dict[str, Any]]:
    """Return figures of the lines, of every exit, of thresholds, and of the screening budget."""
    model, card = load(shipped_network(NAME))
    parts = sentences_by_period(sentences_of(card.recipe).classes)
    tokenizer = shipped_tokenizer(card.corpus, card.tokenizer)
    validation, test = (_measured(model, part, tokenizer) for part in (parts.validation, parts.test))
    return [
        *_lines(parts),
        *_exits("validation", validation),
        *_exits("test", test),
        *_thresholds(validation, test),
        {"figure": "screening"} | _screening(),
    ]


def _measured(model: Elastic, part: LabelledText, tokenizer: Tokenizer) -> MeasuredSentences:
    """The largest sub-network on all sentences of a part."""
    largest = Sampler(read_space(SUPERNETS[NAME]).content, SEED).largest()
    return evaluate_sentences(model, largest, encoded(part, tokenizer, model.architecture.context), BATCH)


def _lines(parts: LabelledParts) -> list[dict[str, Any]]:
    """Guessing, which is right one time in as many classes as there are, and counts of words."""
    named = {"validation": parts.validation, "test": parts.test}
    found = word_baseline(parts.train, [part.texts for part in named.values()])
    guess = 1 - 1 / len(parts.train.classes)
    return [
        row
        for (name, part), logarithms in zip(named.items(), found, strict=True)
        for row in (
            {"figure": f"guessing, {name}", "sentences": len(part.texts), "error": guess},
            {"figure": f"words (tf-idf, logistic regression), {name}"} | _figures(logarithms, part),
        )
    ]


def _figures(logarithms: FloatArray, part: LabelledText) -> dict[str, float]:
    return _exit(MeasuredSentences(logarithms[None], part.labels), 0)


def _exit(measured: MeasuredSentences, i: int) -> dict[str, float]:
    (error, error_error), (loss, loss_error) = mean_and_error(measured.wrong[i]), mean_and_error(measured.losses[i])
    return {"error": error, "standard_error": error_error, "loss_nats": loss, "loss_standard_error": loss_error,
            "mean_entropy_nats": float(measured.entropies[i].mean())}  # fmt: skip


def _exits(part: str, measured: MeasuredSentences) -> list[dict[str, Any]]:
    return [{"figure": f"exit {i + 1}, {part}"} | _exit(measured, i) for i in range(len(measured.wrong))]


def _thresholds(validation: MeasuredSentences, test: MeasuredSentences) -> list[dict[str, Any]]:
    """Points of the curve, and for each allowance the threshold that validation gives; figures are those of test."""
    grid = np.arange(0.0, np.log(test.logarithms.shape[2]) + 2 * STEP, STEP)
    chosen = [(f"at most {points:.0%} lost on validation", points) for points in POINTS]
    return [
        *({"figure": "threshold, test"} | _early(test, test.early(float(one))) for one in grid[::SHOWN]),
        *(
            {"figure": f"{name}, test"} | _early(test, test.early(highest_threshold(validation, points, grid.tolist())))
            for name, points in chosen
        ),
    ]


def _early(measured: MeasuredSentences, early: EarlyExit) -> dict[str, float]:
    """Mean layers run and error, and the error above that of the last exit, paired by sentence."""
    error, error_error = mean_and_error(early.wrong)
    lost, lost_error = mean_and_error(early.wrong.astype(float) - measured.wrong[-1])
    return {"threshold_nats": early.threshold, "mean_layers": float(early.layers.mean()), "error": error,
            "standard_error": error_error, "lost": lost, "lost_standard_error": lost_error}  # fmt: skip


def _screening() -> dict[str, float]:
    """Whether a search's sentences rank random shapes as all do."""
    few = SentenceSupernet(NAME, shipped_network(NAME))
    many = replace(few, window_count=10**6, losses={})
    return {"sentences": SCREENING_WINDOWS * SENTENCES_A_WINDOW} | screening(few, many, SHAPES)
