"""Lines without a network that answers to the questions of `sotu` have to beat.

Candidates are what the questions blank out: names and numbers of the context (`codesign.text.cloze`), those alone that
do not stand in the question. Left out: Rajpurkar's (2016) logistic regression on features of candidates.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from codesign.accuracy.supernet_answers import BATCH
from codesign.elastic.saved import load
from codesign.errors import InputError
from codesign.space_file import read_space
from codesign.text.cloze import BLANK, candidates
from codesign.text.squad import Question
from codesign.text.squad_metrics import best_score, exact_match, token_f1
from codesign.training.answers import question_parts
from codesign.training.evaluate_answers import evaluate_answers
from codesign.training.evaluate_sentences import mean_and_error
from codesign.training.folder import SPACE, tokenizer_of
from codesign.training.publishing import held_out_answers
from codesign.training.recipe import answers_of, read_recipe
from codesign.training.sampling import Sampler

RECIPE = "sotu_answers_smoke"
"""Whose questions they are."""

AROUND = 5
"""Words on each side of a candidate, or of the blank, that are compared."""

Answerer = Callable[[Question], Sequence[str]]
"""A question to equally good answers; the score is the mean of theirs."""

_WORD = re.compile(r"\w+|_{2,}")


def run(networks: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """Return the number of questions, and error (1 - F1) and exact match of each line and trained network.

    Raises:
        InputError: a directory without a network that points at answers, or one of other questions than RECIPE's.
    """
    recipe = read_recipe(RECIPE).content
    assert recipe.answers is not None
    train, validation = question_parts(recipe.text, recipe.answers)
    counts = Counter(one.answers[0].text for one in train)
    frequent = counts.most_common(1)[0][0]
    lines: dict[str, Answerer] = {
        f"always {frequent!r}, the most frequent answer": lambda _: [frequent],
        "a random name or number of the context": choices,
        "the one nearest in the words around it (sliding window)": nearest,
        "the one that is most often an answer in training": lambda one: [max(choices(one), key=counts.__getitem__)],
    }
    sizes = {"training_questions": len(train), "validation_questions": len(validation)}
    return [
        {"figure": "questions"} | sizes,
        *({"figure": name} | scores(validation, answers) for name, answers in lines.items()),
        *(row for network in networks for row in _of_network(network, validation)),
    ]


def _of_network(directory: Path, questions: Sequence[Question]) -> list[dict[str, Any]]:
    """Figures of the largest and the smallest sub-network of a training, on all held-out questions."""
    model, card = load(directory)
    table = answers_of(card.recipe)
    held_out = held_out_answers(directory, card, tokenizer_of(directory, card))
    if [one.id for one in held_out.questions] != [one.id for one in questions]:
        raise InputError(f"{directory}: expected a network of the questions of {RECIPE}, got one of other questions")
    sampler = Sampler(read_space(str(directory / SPACE)).content, card.seed)
    found = []
    for name in ("largest", "smallest"):
        measured = evaluate_answers(model, getattr(sampler, name)(), held_out, table, BATCH)
        given = dict(zip((one.id for one in questions), measured.answers, strict=True))
        found.append({"figure": f"{directory.name}, {name}"} | scores(questions, _looked_up(given)))
    return found


def _looked_up(given: Mapping[str, str]) -> Answerer:
    return lambda one: [given[one.id]]


def scores(questions: Sequence[Question], answers: Answerer) -> dict[str, float]:
    """Return error (1 - F1) with its standard error over questions, and the share of exact matches."""
    given = [(one, answers(one)) for one in questions]
    f1, exact = (
        np.array([fmean(best_score(one, text, score) for text in texts) for one, texts in given])
        for score in (token_f1, exact_match)
    )
    error, standard_error = mean_and_error(1 - f1)
    return {"answer_error": error, "standard_error": standard_error, "exact": float(exact.mean())}


def choices(one: Question) -> list[str]:
    """Return names and numbers of the context that do not stand in the question, each once, in order; all if all do."""
    found = list(dict.fromkeys(one.context[slice(*span)] for span in candidates(one.context)))
    asked = set(_WORD.findall(one.question))
    return [text for text in found if not asked.issuperset(_WORD.findall(text))] or found or [""]


def nearest(one: Question) -> list[str]:
    """Return the candidate around which most words of those around the blank stand, on its side; the first of several.

    The sliding window of Richardson (2013) at each candidate, without weights of words.
    """
    asked, known = _around(one.question, one.question.index(BLANK), len(BLANK)), choices(one)
    spans = [span for span in candidates(one.context) if one.context[slice(*span)] in known]
    overlaps = [(asked & _around(one.context, a, b - a)).total() for a, b in spans]
    return [one.context[slice(*spans[int(np.argmax(overlaps))])]] if spans else [""]


def _around(text: str, start: int, length: int) -> Counter[tuple[str, str]]:
    """Count the words before and behind a span."""
    before, after = _WORD.findall(text[:start].lower()), _WORD.findall(text[start + length :].lower())
    return Counter([("before", word) for word in before[-AROUND:]] + [("behind", word) for word in after[:AROUND]])
