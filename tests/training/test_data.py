"""What a training reads of the user's text, and what it says where that is too little."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from codesign.errors import InputError
from codesign.training.data import LOADERS, MORE_DOCUMENTS, training_text
from codesign.training.lessons import read_text
from codesign.training.sentences import labelled_parts
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


def test_a_recipe_may_name_a_data_set_on_disk(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With corpus = "datasets" a classifier's sentences are a saved data set's; without the package it is named."""
    classes = {"classes": 2, "text": "sentence", "label": "label", "exits": "none"}
    recipe = make_recipe({"text.corpus": "datasets", "text.path": str(tmp_path / "saved"), "sentences": classes})
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "datasets", None)
        with pytest.raises(InputError, match=r"saved: the package `datasets` is not installed: pip install datasets"):
            read_text(recipe.content)
    library = pytest.importorskip("datasets", reason="the package `datasets` is not installed")
    words = [f"{'good' if i % 2 else 'bad'} words number {i} of many more words" for i in range(40)]
    rows = library.Dataset.from_dict({"sentence": words, "label": ["yes" if i % 2 else "no" for i in range(40)]})
    library.DatasetDict({"train": rows, "validation": rows}).save_to_disk(tmp_path / "saved")
    assert recipe.content.sentences is not None
    train, validation = labelled_parts(recipe.content.text, recipe.content.sentences)
    assert train.classes == validation.classes == ("no", "yes")
    assert (len(train.texts), validation.labels[:3].tolist()) == (40, [0, 1, 0])
