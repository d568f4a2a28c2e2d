"""The shipped elastic network: what it reaches on held-out text, whether few windows rank as many do, shared work."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from codesign.accuracy.paired import error_of_mean
from codesign.accuracy.proxy import SUPERNET_AT, SUPERNETS, shipped_network
from codesign.accuracy.supernet import FULL_WINDOWS, SCREENING_WINDOWS, Supernet
from codesign.bench.single_heads import single_head_costs
from codesign.design import ModelShape
from codesign.elastic.setting import Setting, settings
from codesign.errors import InputError
from codesign.optimize.steps import known_asks
from codesign.run import open_run
from codesign.space_file import read_space
from codesign.text.corpus import shipped
from codesign.text.ngrams import fitted, ngram_baselines
from codesign.text.packing import TokenStream, pack, word_perplexity
from codesign.text.tokenizer import shipped_tokenizer

NAME = "supernet"
SHAPES = 60
"""Random shapes whose ranking is compared."""

PROPOSED = 200
"""Random shapes that are looked at for layers which they share, all together."""

ORDERS = (2, 3, 4)
"""Of the n-grams beside the network."""

SEED = 0


def run(directory: Path | None = None, networks: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """Return figures of the network, of n-grams on the same tokens, of the screening budget, shared layers, and heads.

    Args:
        directory: of a recorded search; then only what the shapes of its batches share, batch by batch.
        networks: directories of trained networks of the same space, to see what a single head costs there too.
    """
    if directory is not None:
        return [_shared_in(directory)]
    space = read_space(SUPERNETS[NAME]).content
    few = Supernet(NAME, shipped_network(NAME))
    full = replace(few, window_count=FULL_WINDOWS, losses={})
    card = few.card
    tokenizer = shipped_tokenizer(card.corpus, card.tokenizer)
    text = shipped(card.corpus)
    train, validation = pack(text.train, tokenizer), pack(text.validation, tokenizer)
    return [
        {"figure": "largest", "trained_tokens": card.trained_tokens} | _quality(full, space.baseline.shape, validation),
        *_ngrams(train, validation, card.tokenizer),
        _same_windows(full, space.baseline.shape, train, validation),
        {"figure": "screening", "windows": SCREENING_WINDOWS, "windows_full": FULL_WINDOWS}
        | screening(few, full, SHAPES),
        {"figure": "shared layers", "batches": 1} | shared_layers([settings(_shapes(NAME, PROPOSED))]),
        *(
            {"figure": "one head", "network": network.name} | row
            for network in (few, *(Supernet(f"{SUPERNET_AT}{path.name}", path) for path in networks))
            for row in single_head_costs(network, _shapes(NAME, SHAPES))
        ),
    ]


def _quality(proxy: Supernet, shape: ModelShape, text: TokenStream) -> dict[str, float]:
    quality = proxy.predict(shape)
    words = word_perplexity(math.log(quality.value[0]), len(text.tokens), text.words)
    return {"perplexity": float(quality.value[0]), "log_standard_error": float(quality.log_standard_error[0]),
            "word_perplexity": words, "windows": proxy.window_count}  # fmt: skip


def _ngrams(train: TokenStream, validation: TokenStream, vocabulary: int) -> list[dict[str, Any]]:
    lines = ngram_baselines(train, validation, vocabulary, ORDERS)
    return [
        {"figure": f"{line.order}-gram", "perplexity": line.token_perplexity, "word_perplexity": line.word_perplexity}
        for line in lines
    ]


def _same_windows(network: Supernet, shape: ModelShape, train: TokenStream, validation: TokenStream) -> dict[str, Any]:
    """The 4-gram on the windows that the network is measured on, paired; it sees what stands before a window too."""
    (ours,) = network.apart(shape)  # (w,)
    window, order = network.card.window, max(ORDERS)
    losses = fitted(train.tokens, network.card.tokenizer, order).losses(validation.tokens)[1:]
    count = (len(validation.tokens) - 1) // window
    theirs = losses[: count * window].reshape(count, window).mean(axis=1)[network.spread_over(count)]
    loss, apart = float(theirs.mean()), ours - theirs
    return {
        "figure": f"{order}-gram, the same windows",
        "perplexity": math.exp(loss),
        "word_perplexity": word_perplexity(loss, len(validation.tokens), validation.words),
        "network_less_ngram_nats": float(apart.mean()),
        "standard_error": float(error_of_mean(apart[None])[0]),
    }


def screening(few: Supernet, many: Supernet, count: int) -> dict[str, float]:
    """Return how well a search's budget ranks random shapes of the space, and its speed.

    Args:
        few: the shipped network `few.name` at the budget of a search.
        many: the same at a larger one.
        count: shapes; the first is not timed.

    Returns:
        shapes, Kendall's tau of both rankings, shapes a second a core at the smaller budget.
    """
    shapes = _shapes(few.name, count)
    few.predict(shapes.take(slice(0, 1)))
    start = time.perf_counter()
    screened = few.predict(shapes.take(slice(1, None))).value
    seconds = (time.perf_counter() - start) * (cpu_count() or 1)
    measured = many.predict(shapes.take(slice(1, None))).value
    return {
        "shapes": len(screened),
        "kendall_tau": float(kendalltau(screened, measured).statistic),
        "shapes_per_s_per_core": len(screened) / seconds,
    }


def shared_layers(batches: Sequence[Sequence[Setting]]) -> dict[str, float]:
    """Return what a network that computes shared beginnings once would save of its layers' work.

    Networks share their first k layers where the hidden size, and with it the embedding, and these layers are equal. A
    network that an earlier batch had is not measured again, and so is not counted.

    Args:
        batches: networks that are measured together.

    Returns:
        shapes, evaluations of a layer by one at a time, and the share of them that a tree of prefixes would save.

    Raises:
        InputError: no network.
    """
    if not any(batches):
        raise InputError("shared layers: expected shapes to look at, got none")
    known: set[Setting] = set()
    alone = together = 0
    for batch in batches:
        new = [one for one in dict.fromkeys(batch) if one not in known]
        known.update(new)
        alone += sum(len(one.layers) for one in new)
        together += len({(one.hidden, one.layers[: k + 1]) for one in new for k in range(len(one.layers))})
    return {"shapes": len(known), "layer_evaluations": alone, "saved_share": 1 - together / alone}


def _shared_in(directory: Path) -> dict[str, Any]:
    """What the shapes of a search share in their first stack; a batch is what its algorithm asked for at a time."""
    recorded = open_run(directory)
    found = settings(recorded.space.decode(recorded.evaluations.genomes).shape, recorded.space.family.stacks[0])
    bounds = [*np.unique(known_asks(recorded).after).tolist(), len(found)]
    batches = [found[start:end] for start, end in pairwise(bounds)]
    return {"figure": "shared layers", "run": recorded.name, "batches": len(batches)} | shared_layers(batches)


def _shapes(name: str, count: int) -> ModelShape:
    """Random shapes of the space that a shipped network was trained for."""
    space = read_space(SUPERNETS[name]).content
    return space.decode(space.canonical(space.sample(np.random.default_rng(SEED), count))).shape
