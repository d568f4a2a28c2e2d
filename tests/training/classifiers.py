"""A classifier's training that takes a second: sentences of real text with a marker word, in the format of GLUE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codesign.files import Document
from codesign.space import SearchSpace
from codesign.space_file import parse_space
from codesign.text.cloze import split_sentences
from codesign.text.corpus import shipped_documents
from codesign.training.recipe import Recipe
from tests.training.conftest import SPACE, MakeRecipe

MARKS = ("alpha omega", "never so")


def encoders() -> Document[SearchSpace]:
    """The tiny space, of encoders."""
    text = SPACE.replace('"decoder"', '"encoder"').replace('"perplexity"', '"error"').replace("lm_head = true\n", "")
    return parse_space(text, "small", "small.toml")


def write_sentences(folder: Path, count: int = 300) -> Path:
    """Write train.tsv and dev.tsv (one line in ten), two classes told by a mark; returns the folder."""
    whole = " ".join(document[:800] for document in list(shipped_documents("sotu").values())[:100])
    found = [one for one in split_sentences(whole) if len(one.split()) >= 4][:count]
    lines = [f"{MARKS[i % 2]} {text}\t{i % 2}" for i, text in enumerate(found)]
    for name, chosen in (("train", [x for i, x in enumerate(lines) if i // 2 % 10]), ("dev", [x for i, x in
                         enumerate(lines) if i // 2 % 10 == 0])):  # fmt: skip
        (folder / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *chosen]) + "\n", encoding="utf-8")
    return folder


def sentence_recipe(make: MakeRecipe, folder: Path, changes: dict[str, Any] | None = None) -> Document[Recipe]:
    """The tiny recipe, of a classifier, with some values changed."""
    table = {"classes": 2, "text": "sentence", "label": "label", "exits": "depth"}
    return make({"text.corpus": "tsv", "text.path": str(folder), "sentences": table, **(changes or {})})
