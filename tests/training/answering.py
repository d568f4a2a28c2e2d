"""A training on answers that takes a second: marked words of real sentences, in the format of SQuAD."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codesign.files import Document
from codesign.text.cloze import split_sentences
from codesign.text.corpus import shipped_documents
from codesign.training.recipe import Recipe
from tests.training.conftest import MakeRecipe

TABLE = {"question": 3, "stride": 6, "answer": 4, "context": 0, "unanswerable": False, "empty_windows": 0.5}
"""Windows of 16 tokens, which hold 11 of a context or more."""


def asked(identity: str, context: str, *answers: tuple[str, int], impossible: bool = False) -> dict[str, Any]:
    """Return a paragraph of one question, as the files have it."""
    given = [{"text": text, "answer_start": start} for text, start in answers]
    question = {"id": identity, "question": "who?", "answers": given, "is_impossible": impossible}
    return {"context": context, "qas": [question]}


def write_squad(path: Path, paragraphs: list[dict[str, Any]]) -> Path:
    """Write paragraphs as one article."""
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}))
    return path


def write_questions(folder: Path, count: int = 120, unanswerable: bool = False) -> Path:
    """Write train.json and dev.json: the answer is "Zz", which stands once in a sentence, or (every third) nowhere."""
    whole = " ".join(document[:800] for document in list(shipped_documents("sotu").values())[:60])
    sentences = [one.split()[:9] for one in split_sentences(whole) if len(one.split()) >= 6][:count]
    paragraphs = []
    for i, words in enumerate(sentences):
        none = unanswerable and i % 3 == 0
        context = " ".join(words if none else [*words[: i % 5 + 1], "Zz", *words[i % 5 + 1 :]])
        answers = [] if none else [("Zz", context.index(" Zz") + 1)]
        paragraphs.append(asked(f"q{i}", context, *answers, impossible=none))
    write_squad(folder / "train.json", [one for i, one in enumerate(paragraphs) if i % 8 > 1])
    write_squad(folder / "dev.json", [one for i, one in enumerate(paragraphs) if i % 8 <= 1])
    return folder


def answer_recipe(
    make: MakeRecipe, path: Path, changes: dict[str, Any] | None = None, **table: Any
) -> Document[Recipe]:
    """The tiny recipe, of a network that points at answers, with some values changed."""
    return make({"text.corpus": "squad", "text.path": str(path), "answers": TABLE | table, **(changes or {})})
