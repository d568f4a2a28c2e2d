"""Documents to tokens in a row, and the row to windows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codesign.errors import InputError
from codesign.text.corpus import Corpus
from codesign.text.packing import TokenStream, pack, windows, word_perplexity
from codesign.text.tokenizer import Tokenizer, shipped_tokenizer

SMALL = shipped_tokenizer("sotu", 2048)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_a_stream_is_all_documents_and_their_ends(documents: list[str]) -> None:
    """Cut at the ends, a stream decodes to its documents; words are those of str.split."""
    words = sum(len(document.split()) for document in documents)
    if not words:
        with pytest.raises(InputError, match="without a word"):
            pack(documents, SMALL)
        return
    stream = pack(documents, SMALL)
    ends = np.flatnonzero(stream.tokens == SMALL.end)
    assert len(ends) == len(documents)
    assert ends[-1] == len(stream.tokens) - 1
    parts = np.split(stream.tokens, ends)[:-1]
    assert [SMALL.decode(part) for part in parts] == documents
    assert stream.words == words


@given(st.integers(2, 500), st.integers(1, 60))
def test_windows_lose_only_the_last_partial_one(count: int, length: int) -> None:
    """Each token but the first and the last few, fewer than a window, is a target exactly once and in order."""
    stream = TokenStream(np.arange(count, dtype=np.int32), words=1)
    if count <= length:
        with pytest.raises(InputError, match=f"expected at least {length + 1}"):
            windows(stream, length)
        return
    cut = windows(stream, length)
    assert cut.shape[1] == length + 1
    targets = cut[:, 1:].ravel()
    assert np.array_equal(targets, np.arange(1, len(targets) + 1))
    assert np.array_equal(cut[:, :-1].ravel() + 1, targets)
    assert count - 1 - len(targets) < length


def test_windows_of_no_length_are_refused() -> None:
    """A window predicts at least one token."""
    with pytest.raises(InputError, match="length 0"):
        windows(TokenStream(np.arange(9, dtype=np.int32), words=1), 0)


def test_streams_of_the_addresses(sotu: Corpus, small_tokenizer: Tokenizer) -> None:
    """The test part has 77,762 words in about 1.6 tokens each."""
    stream = pack(sotu.test, small_tokenizer)
    assert stream.words == sum(len(text.split()) for text in sotu.test) == 77_762
    assert 1.6 < len(stream.tokens) / stream.words < 1.65


def test_word_perplexity_does_not_depend_on_the_tokens() -> None:
    """The same likelihood of a text cut into more tokens is the same perplexity per word."""
    total = 700.0
    assert word_perplexity(total / 200, 200, 100) == pytest.approx(word_perplexity(total / 300, 300, 100))
    assert word_perplexity(total / 200, 200, 100) == pytest.approx(math.exp(7))
    assert word_perplexity(2.0, 50, 50) == pytest.approx(math.exp(2))
    for tokens, words in ((0, 5), (5, 0)):
        with pytest.raises(InputError, match="at least one of each"):
            word_perplexity(1.0, tokens, words)


def test_a_diverged_network_has_no_finite_word_perplexity() -> None:
    """Losses whose perplexity is beyond any float give infinity, infinite ones too, and NaN stays NaN."""
    assert word_perplexity(500.0, 160, 100) == math.inf
    assert word_perplexity(math.inf, 160, 100) == math.inf
    assert math.isnan(word_perplexity(math.nan, 160, 100))
