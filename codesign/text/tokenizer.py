"""Byte-level byte-pair encoding (Sennrich 2016; bytes: Radford 2019), by the `tokenizers` library.

Every text can be encoded and comes back exactly, whatever its language. The file is the library's own JSON, which
transformers reads too (`PreTrainedTokenizerFast(tokenizer_file=...)`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers, trainers

from codesign.design import IntArray
from codesign.errors import InputError, unknown_name

END = "<|endoftext|>"
"""Name of the one special token, as in GPT-2. The same letters inside a text are encoded as text."""

SMALLEST = 257
"""All bytes and the end of a document."""

SHIPPED = {("sotu", 2048): "sotu_2048", ("sotu", 4096): "sotu_4096"}

Tokens = npt.NDArray[np.int32]


class Tokenizer:
    """Text to token numbers and back."""

    def __init__(self, library: Library, origin: str) -> None:
        """Wrap a tokenizer of the library.

        Args:
            library: a byte-level tokenizer with the special token `END`.
            origin: where it came from, used in messages.

        Raises:
            InputError: it has no special token for the end of a document.
        """
        end = library.token_to_id(END)
        if end is None:
            raise InputError(f"{origin}: no token {END!r}: expected a byte-level tokenizer with that end of a document")
        library.encode_special_tokens = True  # a text that spells END out is text: no document can end another
        self._library = library
        self.vocabulary: int = library.get_vocab_size()
        self.end: int = end

    def encode(self, text: str) -> Tokens:
        """Return the token numbers of one text, shape (t,), without an end of document.

        Raises:
            InputError: a lone surrogate, which is no Unicode text.
        """
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the token numbers of each text: the same as `encode`, on all cores.

        Raises:
            InputError: a lone surrogate, which is no Unicode text.
        """
        for index, text in enumerate(texts):
            _check_unicode(text, index)
        return [np.array(one.ids, dtype=np.int32) for one in self._library.encode_batch_fast(list(texts))]

    def encode_with_places(self, texts: Sequence[str]) -> list[tuple[Tokens, IntArray]]:
        """Return of each text the (t,) token numbers and (t, 2) their places: first character, one behind the last.

        A word's token holds the space before it. Tokens of one character that takes several have the same place.

        Raises:
            InputError: a lone surrogate, which is no Unicode text.
        """
        for index, text in enumerate(texts):
            _check_unicode(text, index)
        found = self._library.encode_batch(list(texts))
        return [(np.array(one.ids, dtype=np.int32), np.array(one.offsets, dtype=np.int64).reshape(-1, 2))
                for one in found]  # fmt: skip

    def decode(self, ids: npt.ArrayLike) -> str:
        """Return the text of token numbers; ends of documents are left out, broken characters become U+FFFD.

        Raises:
            InputError: a number outside the vocabulary.
        """
        numbers = np.asarray(ids, dtype=np.int64)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < self.vocabulary:
            raise InputError(
                f"decode: token {int(numbers.min())} to {int(numbers.max())}: expected 0 to {self.vocabulary - 1}"
            )
        return self._library.decode(numbers.tolist(), skip_special_tokens=True)

    def text(self) -> str:
        """Return the file of this tokenizer: one line of JSON."""
        return self._library.to_str()

    def save(self, path: Path) -> None:
        """Write the file of this tokenizer."""
        path.write_text(self.text(), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Tokenizer:
        """Read a file that `save` wrote, or any byte-level `tokenizer.json` with GPT-2's end of text.

        Raises:
            InputError: no such file, not a tokenizer, or one without an end of document.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read as a tokenizer: {error}") from None
        return cls(_parse(text, str(path)), str(path))


def shipped_tokenizer(corpus: str, vocabulary: int) -> Tokenizer:
    """Return a shipped tokenizer, trained on the training part of a shipped corpus.

    Raises:
        InputError: no such tokenizer is shipped.
    """
    if (corpus, vocabulary) not in SHIPPED:
        raise unknown_name("tokenizer", f"{corpus} {vocabulary}", (f"{name} {size}" for name, size in SHIPPED))
    name = SHIPPED[corpus, vocabulary]
    text = (resources.files("codesign.text") / "data" / f"{name}.json").read_text(encoding="utf-8")
    return Tokenizer(_parse(text, name), name)


def tokenizer_for(corpus: str, vocabulary: int, documents: Iterable[str]) -> Tokenizer:
    """Return the shipped tokenizer of a corpus and vocabulary, or one trained on documents where none is shipped.

    Raises:
        InputError: see `train_tokenizer`.
    """
    is_shipped = (corpus, vocabulary) in SHIPPED
    return shipped_tokenizer(corpus, vocabulary) if is_shipped else train_tokenizer(documents, vocabulary)


def train_tokenizer(documents: Iterable[str], vocabulary: int) -> Tokenizer:
    """Merge the most frequent pairs of neighbours until the vocabulary is full; the same text gives the same file.

    Args:
        documents: the training part only, or the test text leaks into the vocabulary.
        vocabulary: number of tokens, the 256 bytes and the end of a document among them.

    Raises:
        InputError: a vocabulary smaller than the bytes, or too little text to fill it.
    """
    if vocabulary < SMALLEST:
        raise InputError(f"vocabulary: expected at least {SMALLEST} (256 bytes and the end of text), got {vocabulary}")
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator(documents, trainer)
    tokenizer = Tokenizer(library, "trained tokenizer")
    if tokenizer.vocabulary < vocabulary:
        raise InputError(
            f"vocabulary: the text is too short for {vocabulary} tokens, it gives {tokenizer.vocabulary}; "
            "give more text or ask for fewer"
        )
    return tokenizer


def _parse(text: str, origin: str) -> Library:
    try:
        return Library.from_str(text)
    except Exception as error:  # the library raises plain Exception
        raise InputError(f"{origin}: not a tokenizer of the `tokenizers` library: {error}") from None


def _check_unicode(text: str, index: int) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"text {index}: character {error.start} is a lone surrogate: expected Unicode text") from None
