"""What a training reads of the user's text, and what it says where that is too little."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign.errors import InputError
from codesign.training.data import LOADERS, MORE_DOCUMENTS, training_text
from codesign.training.lessons import read_text
from tests.training.conftest import MakeRecipe

HELP = {
    "text": r'corpus = "paragraphs" makes each stretch between blank lines a document',
    "paragraphs": "put a blank line between its documents",
    "wikitext": "a file of more articles",
}


@pytest.mark.parametrize("corpus", list(LOADERS))
def test_too_few_documents(make_recipe: MakeRecipe, tmp_path: Path, corpus: str) -> None:
    """The error names the file, how many documents each loader needs and found, and what to change in the recipe."""
    path = tmp_path / "book.txt"
    path.write_text(" = Title = \n\nSome words of one book.\n", encoding="utf-8")
    found = 2 if corpus == "paragraphs" else 1
    expected = rf"book\.txt: expected at least 11 documents.*, got {found} with corpus = '{corpus}'; .*{HELP[corpus]}"
    with pytest.raises(InputError, match=expected):
        training_text(make_recipe({"text.corpus": corpus, "text.path": str(path)}).content.text)
    assert MORE_DOCUMENTS.keys() == LOADERS.keys()


def test_too_few_rated_sentences(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    """Ratings between the classes do not count: the error names the file and how many there are."""
    path = tmp_path / "rated.tsv"
    path.write_text("1\t2\tgood\n2\t-2\tbad\n3\t0\tneither\n", encoding="utf-8")
    classes = {"classes": 2, "text": "", "label": "", "exits": "none"}
    recipe = make_recipe({"text.corpus": "rated", "text.path": str(path), "sentences": classes})
    with pytest.raises(InputError, match=r"rated\.tsv: expected at least 11 sentences.*, got 2 that are rated"):
        read_text(recipe.content)
