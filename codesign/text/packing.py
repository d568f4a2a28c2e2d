"""Documents to one long row of tokens, that row to windows, and the loss on it to perplexity per word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codesign.errors import InputError
from codesign.text.tokenizer import Tokenizer, Tokens


@dataclass(frozen=True)
class TokenStream:
    """Documents as tokens, one after the other, each followed by the end of a document."""

    tokens: Tokens
    """Shape (t,), int32; ends of documents included."""
    words: int
    """Words in the documents, separated by white space as `str.split` does."""


def pack(documents: Sequence[str], tokenizer: Tokenizer) -> TokenStream:
    """Encode documents and join them, an end of document after each.

    Raises:
        InputError: there is no word in the documents.
    """
    words = sum(len(document.split()) for document in documents)
    if not words:
        raise InputError(f"pack: {len(documents)} documents without a word: expected text")
    end = np.array([tokenizer.end], dtype=np.int32)
    parts = [part for encoded in tokenizer.encode_all(documents) for part in (encoded, end)]
    return TokenStream(np.concatenate(parts), words)


def windows(stream: TokenStream, length: int) -> Tokens:
    """Cut a stream into windows of shape (w, length + 1): inputs are [:, :-1], targets [:, 1:].

    A window's last token is the next one's first, so that every token but the very first is a target exactly once;
    the last partial window is dropped.

    Raises:
        InputError: the stream is too short for one window.
    """
    if length < 1:
        raise InputError(f"windows: length {length}: expected at least 1")
    count = (len(stream.tokens) - 1) // length
    if count < 1:
        raise InputError(
            f"windows: the text has {len(stream.tokens)} tokens: expected at least {length + 1} for one window of "
            f"length {length}; give more text or a shorter context"
        )
    starts = np.arange(count)[:, None] * length
    cut: Tokens = stream.tokens[starts + np.arange(length + 1)]
    return cut


def perplexity(mean_loss_nats: float) -> float:
    """Return exp(loss); infinity above some 709 nats, as a ruined network has a word where words are many tokens."""
    try:
        return math.exp(mean_loss_nats)
    except OverflowError:
        return math.inf


def word_perplexity(mean_loss_nats_per_token: float, tokens: int, words: int) -> float:
    """Return exp(loss × tokens / words): comparable across tokenizers, as perplexity per token is not.

    Infinity where that is no finite number any more, as of a network that has diverged.

    Args:
        mean_loss_nats_per_token: mean negative log-likelihood of the tokens, ends of documents among them.
        tokens: how many tokens the text has.
        words: how many words the same text has.

    Raises:
        InputError: no words or no tokens.
    """
    if tokens < 1 or words < 1:
        raise InputError(f"word perplexity: {tokens} tokens and {words} words: expected at least one of each")
    return perplexity(mean_loss_nats_per_token * tokens / words)
