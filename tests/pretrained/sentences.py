"""A tokenizer of words and sentences whose class stands in them, as files that users have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from codesign.pretrained.classification import Encoded
from tests.pretrained.networks import VOCABULARY

WORDS = ("good", "bad", "film", "book", "the", "a", "was", "very", "one", "two")


def write_tokenizer(directory: Path) -> None:
    """Write a tokenizer of a word a token, with the sentinels of T5, beside a checkpoint."""
    names = ("<pad>", "<unk>", *WORDS, *(f"<extra_id_{i}>" for i in range(8)))
    library = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    library.pre_tokenizer = WhitespaceSplit()  # type: ignore[assignment]
    PreTrainedTokenizerFast(tokenizer_object=library, unk_token="<unk>", pad_token="<pad>").save_pretrained(directory)


def write_tsv(path: Path, examples: int = 60) -> Path:
    """Write a GLUE-style TSV: a sentence is of class 1 if it says good, of class 0 if it says bad."""
    lines = ["sentence\tlabel"]
    for i in range(examples):
        rest = " ".join(WORDS[2 + (i * step) % 8] for step in (1, 3, 5))
        lines.append(f"{rest} {WORDS[1 - i % 2]} {WORDS[2 + i % 8]}\t{i % 2}")
    path.write_text("\n".join(lines) + "\n")
    return path


def examples(n: int) -> Encoded:
    """Sentences of different lengths whose class is whether they hold token 7."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % 2
    rows = [random.integers(8, VOCABULARY, 3 + i % 5) for i in range(n)]
    for row, label in zip(rows, labels, strict=True):
        row[1] = 7 if label else 8
    return Encoded(tuple(tuple(map(int, row)) for row in rows), labels)
