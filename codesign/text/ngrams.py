"""An interpolated n-gram model with modified Kneser-Ney smoothing: the line that a neural model has to beat.

Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 3: the highest order
uses how often an n-gram occurs, lower orders after how many different tokens it occurs, each with the three discounts
of their equation 17. The unigrams, whose counts of a full vocabulary hold no ones to estimate discounts from, are
interpolated with the uniform distribution after Witten & Bell 1991. N-grams run across ends of documents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codesign.errors import InputError
from codesign.text.packing import TokenStream, word_perplexity
from codesign.text.tokenizer import Tokens

HIGHEST = 5

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NgramBaseline:
    """How well an n-gram model of one order predicts a text."""

    order: int
    tokens: int
    words: int
    loss_nats: float
    """Mean over all tokens, ends of documents included."""
    token_perplexity: float
    word_perplexity: float


@dataclass(frozen=True)
class Level:
    """The different n-grams of one length in a text, in the order of their keys; an n-gram's id is its place."""

    keys: Ids
    """(n,): id of all but the last token in the level below × vocabulary + last token; for one token, itself."""
    occurrences: Ids
    """(n,): how often the n-gram occurs."""
    predecessors: Ids
    """(n,): how many different tokens occur before it; empty at the highest order counted."""


@dataclass(frozen=True)
class _Smoothed:
    """A level ready for use: discounted counts of n-grams, and per context what they add up to."""

    keys: Ids
    kept: Floats
    """(n,): count less discount."""
    total: Floats
    """(contexts,): sum of the counts after each context."""
    freed: Floats
    """(contexts,): sum of the discounts after each context, the weight of the lower order."""


@dataclass(frozen=True)
class NgramModel:
    """Probabilities of a token given at most order - 1 tokens before it."""

    order: int
    vocabulary: int
    unigrams: Floats
    """(vocabulary,)"""
    levels: tuple[_Smoothed, ...]
    """Orders 2 to `order`."""

    def losses(self, tokens: Tokens) -> Floats:
        """Return -ln of the probability of each token of a text given the tokens before it, in nats, shape (t,)."""
        return -np.log(self.probabilities(tokens))

    def probabilities(self, tokens: Tokens) -> Floats:
        """Return the probability of each token of a text given the tokens before it, shape (t,)."""
        ids = tokens.astype(np.int64)
        chances = self.unigrams[ids]
        last = ids
        for level in self.levels:
            context = np.concatenate([[-1], last[:-1]])
            chances, last = _interpolate(level, context, ids, self.vocabulary, chances)
        return chances

    def distribution(self, context: Tokens) -> Floats:
        """Return the probability of each token of the vocabulary after some tokens, shape (vocabulary,)."""
        every = np.arange(self.vocabulary)
        chances = self.unigrams
        for length, level in enumerate(self.levels, start=1):
            if length > len(context):
                break
            last = int(context[-length])
            for below, token in zip(self.levels, context[len(context) - length + 1 :], strict=False):
                last = int(_find(below.keys, np.array([last]), np.array([token]), self.vocabulary)[0])
            chances, _ = _interpolate(level, np.full(self.vocabulary, last), every, self.vocabulary, chances)
        return chances


def ngram_baselines(
    stream_train: TokenStream, stream_test: TokenStream, vocabulary: int, orders: Sequence[int]
) -> list[NgramBaseline]:
    """Fit n-gram models of some orders on one text and tell how well each predicts another.

    Raises:
        InputError: an order outside 1 to 5, tokens outside the vocabulary, or too little text to estimate discounts.
    """
    counted = count_ngrams(stream_train.tokens, vocabulary, max(orders, default=1))
    _check_tokens(stream_test.tokens, vocabulary, "test text")
    return [_baseline(kneser_ney(counted, vocabulary, order), stream_test) for order in orders]


def fitted(tokens: Tokens, vocabulary: int, order: int) -> NgramModel:
    """Fit an n-gram model of one order to a text.

    Raises:
        InputError: what `count_ngrams` and `kneser_ney` refuse.
    """
    return kneser_ney(count_ngrams(tokens, vocabulary, order), vocabulary, order)


def count_ngrams(tokens: Tokens, vocabulary: int, highest: int) -> tuple[Level, ...]:
    """Count the n-grams of lengths 1 to `highest` of a text by sorting, one level on the ids of the one below.

    Raises:
        InputError: an order outside 1 to 5, or tokens outside the vocabulary.
    """
    if not 1 <= highest <= HIGHEST:
        raise InputError(f"n-grams: order {highest}: expected 1 to {HIGHEST}")
    _check_tokens(tokens, vocabulary, "training text")
    last = tokens.astype(np.int64)  # id of the n-gram that ends at each position, from position n - 1 on
    keys, counts = np.arange(vocabulary), np.bincount(last, minlength=vocabulary)
    levels: list[Level] = []
    for length in range(2, highest + 1):
        longer = last[:-1] * vocabulary + tokens[length - 1 :]
        next_keys, first, places, next_counts = np.unique(
            longer, return_index=True, return_inverse=True, return_counts=True
        )
        without_first_token = last[first + 1]
        levels.append(Level(keys, counts, np.bincount(without_first_token, minlength=len(keys))))
        keys, counts, last = next_keys, next_counts, places
    return (*levels, Level(keys, counts, np.zeros(0, np.int64)))


def kneser_ney(levels: Sequence[Level], vocabulary: int, order: int) -> NgramModel:
    """Smooth counted n-grams into a model of one order.

    Raises:
        InputError: an order that was not counted, or too little text to estimate discounts.
    """
    if not 1 <= order <= len(levels):
        raise InputError(f"n-grams: order {order}: expected 1 to {len(levels)}, which were counted")
    counts = [level.predecessors for level in levels[: order - 1]] + [levels[order - 1].occurrences]
    smoothed = [
        _smooth(level.keys, count, len(below.keys), vocabulary, length)
        for length, (below, level, count) in enumerate(zip(levels, levels[1:order], counts[1:], strict=False), start=2)
    ]
    kinds, total = np.count_nonzero(counts[0]), counts[0].sum()
    return NgramModel(order, vocabulary, (counts[0] + kinds / vocabulary) / (total + kinds), tuple(smoothed))


def _smooth(keys: Ids, counts: Ids, contexts: int, vocabulary: int, length: int) -> _Smoothed:
    discount = _discounts(counts, length)[np.minimum(counts, 3)]
    prefix = keys // vocabulary
    return _Smoothed(
        keys,
        kept=counts - discount,
        total=np.bincount(prefix, weights=counts, minlength=contexts).astype(np.float64),
        freed=np.bincount(prefix, weights=discount, minlength=contexts).astype(np.float64),
    )


def _discounts(counts: Ids, length: int) -> Floats:
    """Return the discounts of counts 0, 1, 2 and 3 or more: Chen & Goodman 1999, equation 17, kept within 0 to count.

    Raises:
        InputError: no n-gram counted once, twice or three times.
    """
    kinds = np.bincount(np.minimum(counts, 5), minlength=6).astype(float)
    if not kinds[1:4].all():
        raise InputError(
            f"n-grams: too little text: no {length}-gram that counts once, twice or three times "
            f"(there are {', '.join(f'{kind:.0f}' for kind in kinds[1:4])}); give more text or a lower order"
        )
    ratio = kinds[1] / (kinds[1] + 2 * kinds[2])
    times = np.arange(1, 4)
    discounts = times - (times + 1) * ratio * kinds[2:5] / kinds[1:4]
    return np.concatenate([[0.0], np.clip(discounts, 0, times)])


def _interpolate(level: _Smoothed, context: Ids, tokens: Ids, vocabulary: int, lower: Floats) -> tuple[Floats, Ids]:
    """Return probabilities one order up, and the ids of the n-grams (-1: not in the training text)."""
    found = _find(level.keys, context, tokens, vocabulary)
    total = np.where(context >= 0, level.total[context], 0)
    kept = np.where(found >= 0, level.kept[found], 0)
    upper = (kept + level.freed[context] * lower) / np.maximum(total, 1)
    return np.where(total > 0, upper, lower), found


def _find(keys: Ids, context: Ids, tokens: Ids, vocabulary: int) -> Ids:
    """Return the ids of n-grams, -1 where there is none; a context of -1 has none."""
    wanted = context * vocabulary + tokens
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: Ids = np.where((keys[places] == wanted) & (context >= 0), places, -1)
    return found


def _baseline(model: NgramModel, stream: TokenStream) -> NgramBaseline:
    loss = float(model.losses(stream.tokens).mean())
    tokens = len(stream.tokens)
    return NgramBaseline(
        model.order, tokens, stream.words, loss, math.exp(loss), word_perplexity(loss, tokens, stream.words)
    )


def _check_tokens(tokens: Tokens, vocabulary: int, what: str) -> None:
    if len(tokens) <= HIGHEST:
        raise InputError(f"n-grams: {what} of {len(tokens)} tokens: expected more than {HIGHEST}")
    if not 0 <= tokens.min() <= tokens.max() < vocabulary:
        raise InputError(
            f"n-grams: {what}: tokens {tokens.min()} to {tokens.max()}: expected 0 to {vocabulary - 1}; "
            "give the vocabulary of the tokenizer that made them"
        )
