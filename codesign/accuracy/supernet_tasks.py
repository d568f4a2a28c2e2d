"""Which proxy a trained network is, by its task."""

from __future__ import annotations

from pathlib import Path

from codesign.accuracy.supernet import Supernet
from codesign.accuracy.supernet_answers import AnswerSupernet
from codesign.accuracy.supernet_sentences import SentenceSupernet
from codesign.elastic.architecture import Task
from codesign.elastic.saved import read_card

PROXIES: dict[Task, type[Supernet]] = {
    "language_model": Supernet,
    "classification": SentenceSupernet,
    "span_answers": AnswerSupernet,
}


def supernet_at(name: str, directory: Path) -> Supernet:
    """Return the proxy of a trained network: perplexity of a language model, error of a classifier or of answers.

    Raises:
        InputError: there is no network in the directory, or its card is damaged.
    """
    return PROXIES[read_card(directory).architecture.task](name, directory)
