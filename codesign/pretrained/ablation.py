"""Small T5s trained on the State of the Union addresses with FFNs as published, removed, or without their activation.

An FFN without its activation is a linear map; trained as two matrices it is merged into one afterwards (structural
reparametrisation), which computes the same.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from codesign.design import FloatArray, IntArray, Stack
from codesign.pretrained.building import built
from codesign.pretrained.cutting import keep_units
from codesign.pretrained.language import check_spans, language
from codesign.pretrained.layer import FeedForward, Map
from codesign.pretrained.model import Checkpoint, parameter_count
from codesign.pretrained.objective import Network, Objective, compared
from codesign.pretrained.recovery import fine_tuned
from codesign.text.corpus import shipped
from codesign.text.packing import pack, perplexity
from codesign.text.tokenizer import shipped_tokenizer

VOCABULARY, SENTINELS, WINDOW = 4096, 4, 64
SMALL: dict[str, Any] = {
    "model_type": "t5", "vocab_size": VOCABULARY + SENTINELS, "d_model": 96, "d_kv": 8, "d_ff": 384, "num_layers": 2,
    "num_decoder_layers": 2, "num_heads": 8, "dropout_rate": 0.0, "decoder_start_token_id": 0,
}  # fmt: skip
"""The proportions of T5-Mini: FFN 4 times the hidden size, heads together two thirds of it."""

STEPS, BATCH, LEARNING_RATE, SEEDS, MEASURED = 600, 8, 3e-3, (0, 1), 256
"""Of every training; of its start and its order of windows; windows held out."""

BOTH: tuple[Stack, ...] = ("encoder", "decoder")
ABLATIONS: dict[str, tuple[str, tuple[Stack, ...]]] = {
    "as published": ("", ()),
    "decoder FFNs removed": ("removed", ("decoder",)),
    "all FFNs removed": ("removed", BOTH),
    "decoder FFNs merged": ("merged", ("decoder",)),
    "all FFNs merged": ("merged", BOTH),
}
"""Name -> what happens to the FFNs, and of which stacks."""


class Merged(nn.Module):
    """What is left of an FFN without activation: one matrix of hidden x hidden."""

    def __init__(self, ffn: FeedForward) -> None:
        super().__init__()
        weight = ffn.down.used() @ ffn.up.used()
        self.map = Map(weight, None)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, t, d) of (b, t, d)."""
        return cast(Tensor, self.map(x))


def without_activation(checkpoint: Checkpoint, stacks: Sequence[Stack]) -> Checkpoint:
    """Return a copy whose FFNs in some stacks have no activation."""
    made = copy.deepcopy(checkpoint)
    for ffn in _ffns(made, stacks):
        ffn.activation = nn.Identity()
    return made


def without_ffns(checkpoint: Checkpoint, stacks: Sequence[Stack]) -> Checkpoint:
    """Return a copy without the FFNs of some stacks."""
    made = copy.deepcopy(checkpoint)
    for stack in stacks:
        for layer in made.layers(stack):
            keep_units(layer, ())
    return made


def merged(checkpoint: Checkpoint, stacks: Sequence[Stack]) -> Any:
    """Return a copy of the model whose FFNs without activation, in some stacks, are one matrix each.

    The copy computes the same. It is for measuring and counting: surgery knows no such FFN.
    """
    made = copy.deepcopy(checkpoint)
    for stack in stacks:
        for layer in made.layers(stack):
            if layer.ffn is not None:
                layer.ffn = cast(FeedForward, Merged(layer.ffn))
    return made.body


def _ffns(checkpoint: Checkpoint, stacks: Sequence[Stack]) -> list[FeedForward]:
    return [layer.ffn for stack in stacks for layer in checkpoint.layers(stack) if layer.ffn is not None]


def ablations() -> Iterator[dict[str, Any]]:
    """Yield one row a training: perplexity of the spans that were cut out of held-out text, less that as published.

    Errors are over windows, paired with the network as published of the same seed; what another start changes is seen
    in the rows of the other seeds.
    """
    for seed in SEEDS:
        yield from _ablations(text_task(seed), seed)


def _ablations(objective: Objective, seed: int) -> Iterator[dict[str, Any]]:
    torch.manual_seed(seed)
    start = built(SMALL)
    before: FloatArray | None = None
    for name, (what, stacks) in ABLATIONS.items():
        changed = {"removed": without_ffns, "merged": without_activation}.get(what)
        network = fine_tuned(Network(changed(start, stacks) if changed else start), objective, STEPS, LEARNING_RATE)
        scores = objective.scores(network)
        before = scores if before is None else before
        result = compared(scores, before)
        count = parameter_count(network.checkpoint)
        if what == "merged":
            count = sum(weights.numel() for weights in merged(network.checkpoint, stacks).parameters())
        yield {
            "figure": "trained",
            "ffns": name,
            "seed": seed,
            "parameters": count,
            "perplexity": perplexity(result.mean),
            "standard_error_nats": result.standard_error,
            "difference_nats": result.difference,
            "difference_standard_error_nats": result.difference_standard_error,
        }


def text_task(seed: int) -> Objective:
    """Return span corruption of the State of the Union addresses: training part, and validation part held out.

    Args:
        seed: of the order of windows and of the spans; what is held out is the same for all.
    """
    tokenizer, corpus = shipped_tokenizer("sotu", VOCABULARY), shipped("sotu")
    train, test = (_windows(pack(part, tokenizer).tokens) for part in (corpus.train, corpus.validation))
    check_spans(WINDOW, SENTINELS)
    chosen = np.random.default_rng(0).permutation(len(test))[:MEASURED]
    sentinels = tuple(range(VOCABULARY, VOCABULARY + SENTINELS))
    return language(train, test[chosen], batch=BATCH, seed=seed, sentinels=sentinels)


def _windows(tokens: Any) -> IntArray:
    whole = len(tokens) // WINDOW * WINDOW
    return np.asarray(tokens[:whole], dtype=np.int64).reshape(-1, WINDOW)
