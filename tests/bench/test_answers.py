"""Lines without a network beside answers to questions."""

from __future__ import annotations

import pytest

from codesign.bench.answers import choices, nearest, scores
from codesign.text.squad import Answer, Question

CONTEXT = "In 1846 the army of Mexico crossed the river near Texas. The Senate met, and the fleet of Spain sailed."


def asked(text: str, answer: str) -> Question:
    """A question on the context."""
    return Question("q", CONTEXT, text, (Answer(answer, CONTEXT.index(answer)),))


def test_candidates_are_those_that_the_question_does_not_name() -> None:
    """Names and numbers of the context, each once; all of them where the question names all."""
    assert choices(asked("The army of ____ left Texas.", "Mexico")) == ["1846", "Mexico", "The Senate", "Spain"]
    every = "In 1846 Mexico, Texas, The Senate, Spain and ____ met."
    assert choices(asked(every, "Spain")) == ["1846", "Mexico", "Texas", "The Senate", "Spain"]


def test_the_nearest_shares_most_words_around_it() -> None:
    """By hand: "the fleet of" stands before Spain, "the army of" before Mexico."""
    assert nearest(asked("Then the fleet of ____ sailed again.", "Spain")) == ["Spain"]
    assert nearest(asked("Then the army of ____ crossed.", "Mexico")) == ["Mexico"]


def test_scores_by_hand() -> None:
    """Of equally good answers the mean counts, and of several questions the mean and its standard error."""
    questions = [asked("of ____", "Spain"), asked("near ____", "Texas")]
    found = scores(questions, lambda _: ["Spain", "the Texas"])
    assert found == pytest.approx({"answer_error": 0.5, "standard_error": 0.0, "exact": 0.5})
    found = scores(questions, lambda _: ["Spain"])
    assert found == pytest.approx({"answer_error": 0.5, "standard_error": 0.5, "exact": 0.5})
