"""Exact match and F1 of extracted answers, as the official evaluation of SQuAD 2.0 counts them (Rajpurkar 2018).

Texts are compared in lower case, without punctuation, English articles and surplus white space. Left out: curves of
precision and recall.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from codesign.errors import InputError
from codesign.text.squad import Question

Score = Callable[[str, str], float]
"""(right answer, predicted answer) -> 0 to 1."""

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Return what is compared of an answer."""
    bare = re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION))
    return " ".join(bare.split())


def exact_match(gold: str, predicted: str) -> float:
    """Return 1 if the answers are the same but for what `normalised` removes, else 0."""
    return float(normalised(gold) == normalised(predicted))


def token_f1(gold: str, predicted: str) -> float:
    """Return the harmonic mean of precision and recall over the words of two answers; no answer only equals itself."""
    wanted, got = normalised(gold).split(), normalised(predicted).split()
    if not wanted or not got:
        return float(wanted == got)
    common = (Counter(wanted) & Counter(got)).total()
    return 2 * common / (len(wanted) + len(got))


def squad_metrics(
    questions: Sequence[Question], predictions: Mapping[str, str], no_answer: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Score predicted answers; of several right answers the nearest counts.

    Args:
        questions: with their right answers.
        predictions: question id to the answer given, "" for none.
        no_answer: question id to how strongly "there is none" is believed; adds `best_exact`, `best_f1` and the
            thresholds above which an answer is withdrawn to reach them.

    Returns:
        `exact` and `f1` in percent and `total`; the same with `HasAns_` and `NoAns_` before, where there are such.

    Raises:
        InputError: no questions, or one without a prediction.
    """
    _check(questions, predictions, "prediction")
    exact = {one.id: best_score(one, predictions[one.id], exact_match) for one in questions}
    f1 = {one.id: best_score(one, predictions[one.id], token_f1) for one in questions}
    metrics = _means("", questions, exact, f1)
    for prefix, part in (
        ("HasAns_", [one for one in questions if not one.impossible]),
        ("NoAns_", [one for one in questions if one.impossible]),
    ):
        if part:
            metrics |= _means(prefix, part, exact, f1)
    if no_answer is not None:
        _check(questions, no_answer, "no-answer score")
        for name, scores in (("exact", exact), ("f1", f1)):
            best, threshold = _best_threshold(questions, predictions, scores, no_answer)
            metrics |= {f"best_{name}": best, f"best_{name}_thresh": threshold}
    return metrics


def best_score(one: Question, predicted: str, score: Score) -> float:
    """Return the score of a predicted answer with the nearest of the right ones."""
    golds = [answer.text for answer in one.answers if normalised(answer.text)] or [""]
    return max(score(gold, predicted) for gold in golds)


def _means(
    prefix: str, questions: Sequence[Question], exact: Mapping[str, float], f1: Mapping[str, float]
) -> dict[str, float]:
    total = len(questions)
    return {
        f"{prefix}exact": 100 * sum(exact[one.id] for one in questions) / total,
        f"{prefix}f1": 100 * sum(f1[one.id] for one in questions) / total,
        f"{prefix}total": total,
    }


def _best_threshold(
    questions: Sequence[Question],
    predictions: Mapping[str, str],
    scores: Mapping[str, float],
    no_answer: Mapping[str, float],
) -> tuple[float, float]:
    """Let answers stand one by one, the surest first, and return the best mean in percent and where it was reached."""
    gained = float(sum(one.impossible for one in questions))  # all answers withdrawn
    best, threshold = gained, 0.0
    for one in sorted(questions, key=lambda question: no_answer[question.id]):
        gained += scores[one.id] if not one.impossible else -float(bool(predictions[one.id]))
        if gained > best:
            best, threshold = gained, no_answer[one.id]
    return 100 * best / len(questions), threshold


def _check(questions: Sequence[Question], given: Mapping[str, object], what: str) -> None:
    if not questions:
        raise InputError("squad metrics: no questions: expected at least one")
    missing = [one.id for one in questions if one.id not in given]
    if missing:
        raise InputError(
            f"squad metrics: {len(missing)} of {len(questions)} questions without a {what}, such as {missing[0]!r}; "
            'give "" where there is no answer'
        )
