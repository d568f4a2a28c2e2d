"""Questions made from any English text: a name or number of a sentence is blanked out, the context stands before it.

In the manner of cloze sets such as CNN / Daily Mail (Hermann 2015). Answers are spans of the context, so the format is
that of SQuAD 2.0. What the method does not see: whether a question can be answered from the context by sense, and
names of people from other words in capitals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.errors import InputError
from codesign.text.squad import Answer, Question, checked

BLANK = "____"
"""Stands in the question where the answer was."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’]?\s+(?=[\"“‘]?[A-Z])")
_ABBREVIATED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Messrs|Dr|Gen|Col|Capt|Gov|Hon|St|No|Nos|vol|p|pp)|\b[A-Z])\.$")
_NUMBER = r"\d+(?:[.,]\d+)*"
_NAME = r"[A-Z][a-z]+(?: [A-Z][a-z]+)*"
_CANDIDATE = re.compile(rf"(?<![\w.,])(?:{_NUMBER}|{_NAME})(?!\w)")


@dataclass(frozen=True)
class _Sentence:
    """A sentence that can become a question, with the spans to blank out that the context holds and does not."""

    id: str
    text: str
    context: str
    held: tuple[tuple[int, int], ...]
    absent: tuple[tuple[int, int], ...]


def cloze_questions(documents: Sequence[str], *, seed: int, unanswerable: float, sentences: int = 6) -> list[Question]:
    """Make questions of sentences, at most one each, in the order of the text.

    A question is answerable where the blanked words occur in the context. The others come from sentences none of whose
    names and numbers do; the context then holds another of the same kind, so that its mere absence tells nothing.

    Args:
        documents: the texts; ids are `document-sentence`, both from 0.
        seed: the same seed and text give the same questions.
        unanswerable: share of questions without an answer, 0 to less than 1.
        sentences: length of the context in sentences before the question.

    Raises:
        InputError: a share or length out of range, no question found, or too few sentences for the share.
    """
    if not 0 <= unanswerable < 1 or sentences < 1:
        raise InputError(
            f"cloze: unanswerable {unanswerable}, sentences {sentences}: expected 0 to less than 1, and at least 1"
        )
    found = [one for number, text in enumerate(documents) for one in _sentences(number, text, sentences)]
    answerable = [index for index, one in enumerate(found) if one.held]
    others = [index for index, one in enumerate(found) if not one.held]
    wanted = round(len(answerable) * unanswerable / (1 - unanswerable))
    if wanted > len(others):
        raise InputError(
            f"cloze: {len(answerable)} answerable questions and at most {len(others)} others: "
            f"expected {wanted} others for the share {unanswerable}; ask for a smaller one"
        )
    random = np.random.default_rng(seed)
    drawn = random.choice(others, wanted, replace=False).tolist() if wanted else []
    return checked([_question(found[index], random) for index in sorted(answerable + drawn)], "cloze")


def split_sentences(text: str) -> list[str]:
    """Cut a text after full stops, exclamation and question marks that a capital follows, titles and initials aside."""
    parts: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        sentence = text[start : end.end()].rstrip()
        if not _ABBREVIATED.search(sentence):
            parts.append(sentence)
            start = end.end()
    return [*parts, text[start:].strip()] if text[start:].strip() else parts


def _sentences(document: int, text: str, length: int) -> Iterator[_Sentence]:
    parts = split_sentences(text)
    for number in range(1, len(parts)):
        context = " ".join(parts[max(0, number - length) : number])
        spans = [span for span in candidates(parts[number]) if _fair(parts[number], context, span)]
        held = tuple(span for span in spans if _places(context, parts[number][slice(*span)]))
        kinds = {context[start].isdigit() for start, _ in candidates(context)}
        absent = tuple(span for span in spans if parts[number][span[0]].isdigit() in kinds)
        if held or absent:
            yield _Sentence(f"{document}-{number}", parts[number], context, held, absent)


def candidates(text: str) -> list[tuple[int, int]]:
    """Return the spans of names and numbers; the first word, whose capital says nothing, is none."""
    return [match.span() for match in _CANDIDATE.finditer(text) if match.start() > 1]


def _fair(sentence: str, context: str, span: tuple[int, int]) -> bool:
    """Tell whether a span stands once in its sentence, which else tells it, and is never written small: no name."""
    words = sentence[slice(*span)]
    small = words.lower()
    return len(_places(sentence, words)) == 1 and (
        small == words or not (_places(sentence, small) or _places(context, small))
    )


def _places(text: str, words: str) -> list[int]:
    """Return where words stand in a text as words, not inside a longer one."""
    found: list[int] = []
    start = text.find(words)
    while start >= 0:
        end = start + len(words)
        if not (text[max(0, start - 1) : start].isalnum() or text[end : end + 1].isalnum()):
            found.append(start)
        start = text.find(words, end)
    return found


def _question(one: _Sentence, random: np.random.Generator) -> Question:
    spans = one.held or one.absent
    start, end = spans[random.integers(len(spans))]
    words = one.text[start:end]
    answers = tuple(Answer(words, place) for place in _places(one.context, words))
    return Question(one.id, one.context, one.text[:start] + BLANK + one.text[end:], answers)
