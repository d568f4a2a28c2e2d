"""The user's labelled sentences as a task: a linear head on the mean of the last states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.design import FloatArray, IntArray
from codesign.errors import InputError
from codesign.pretrained.model import Checkpoint
from codesign.pretrained.objective import Network, Objective, batch_rows
from codesign.text.labelled import LabelledText

LONGEST = 128
"""Tokens of a sentence or pair; what is longer is cut."""
MEASURED_BATCH = 64
PENALTY = 1.5625
"""Of a fitted head: times features over examples, on the squared weights of features with a variance of 1. It is 1 for
MiniLM's 384 features and 600 sentences, chosen on other sentences than those measured (0.3 to 3 differ by half a
point); a fixed number would shrink heads on few features or many examples too far."""


@dataclass(frozen=True)
class Encoded:
    """Labelled examples as tokens."""

    tokens: tuple[tuple[int, ...], ...]
    labels: IntArray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: IntArray) -> Encoded:
        """Return the examples at `rows`."""
        return Encoded(tuple(self.tokens[row] for row in rows), self.labels[rows])


def read_tokenizer(directory: Path) -> Any:
    """Read the tokenizer of a checkpoint; nothing is fetched.

    Raises:
        InputError: there is none, or it is damaged.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(directory, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{directory}: expected the tokenizer of the checkpoint beside it: {error}") from None


def encoded(data: LabelledText, tokenizer: Any, longest: int = LONGEST) -> Encoded:
    """Return examples as tokens of a checkpoint's tokenizer, pairs as it joins them.

    Segments (token types) of pairs are left out: every token is of the first.
    """
    return Encoded(tokens_of(data.texts, data.pairs, tokenizer, longest), data.labels)


def tokens_of(
    texts: Sequence[str], pairs: Sequence[str] | None, tokenizer: Any, longest: int
) -> tuple[tuple[int, ...], ...]:
    """Return the tokens of each text, or of each text and its second one, cut at `longest`."""
    second = None if pairs is None else list(pairs)
    return tuple(map(tuple, tokenizer(list(texts), second, truncation=True, max_length=longest)["input_ids"]))


def classification(train: Encoded, test: Encoded, batch: int, seed: int) -> Objective:
    """Return the task of telling the classes of sentences apart.

    Args:
        train: examples that heads are fitted and networks trained on.
        test: examples that they are measured on.
        batch: examples of a training batch.
        seed: order of the training examples.

    Raises:
        InputError: an example to be measured is of a class that none to be trained on has.
    """
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    if missing := sorted(set(range(classes)) - set(train.labels.tolist())):
        raise InputError(f"classes: expected an example of each to train on, got none of {missing}; give more examples")

    def losses(network: Network, number: int) -> Tensor:
        part = train.take(batch_rows(len(train), batch, number, seed))
        assert network.head is not None
        logits = network.head(pooled(network.checkpoint, part.tokens))
        return functional.cross_entropy(logits, _labels(part.labels, logits.device), reduction="none")

    measured: WeakKeyDictionary[nn.Module, Tensor] = WeakKeyDictionary()  # bodies do not change: training copies them

    def scores(network: Network) -> FloatArray:
        assert network.head is not None
        body = network.checkpoint.body
        if body not in measured:
            measured[body] = features_of(network.checkpoint, test.tokens)
        with torch.no_grad():
            logits = network.head(measured[body])
        told = logits.cpu()
        right = (told.argmax(dim=1).numpy() == test.labels).astype(np.float64)
        # The largest of no numbers would be the first class.
        return cast(FloatArray, np.where(told.isfinite().all(dim=1).numpy(), right, np.nan))

    def fitted(checkpoint: Checkpoint) -> Network:
        return Network(checkpoint, fit_head(features_of(checkpoint, train.tokens), train.labels, classes))

    return Objective("accuracy", losses, scores, fitted)


def pooled(checkpoint: Checkpoint, tokens: Sequence[tuple[int, ...]]) -> Tensor:
    """Return (b, d) means of the last states over the tokens of each sentence."""
    longest = max(map(len, tokens))
    ids, real = torch.zeros(len(tokens), longest, dtype=torch.long), torch.zeros(len(tokens), longest, dtype=torch.bool)
    for row, sentence in enumerate(tokens):
        ids[row, : len(sentence)], real[row, : len(sentence)] = torch.tensor(sentence), True
    ids, real = ids.to(checkpoint.device), real.to(checkpoint.device)
    states = checkpoint.states(ids, real)
    return (states * real[:, :, None]).sum(dim=1) / real.sum(dim=1, keepdim=True)


@torch.no_grad()
def features_of(checkpoint: Checkpoint, tokens: Sequence[tuple[int, ...]]) -> Tensor:
    """Return (n, d) pooled states; sentences of like length go together, so that little is padding."""
    order = np.argsort([len(sentence) for sentence in tokens], kind="stable")
    parts = [order[start : start + MEASURED_BATCH] for start in range(0, len(order), MEASURED_BATCH)]
    found = torch.cat([pooled(checkpoint, [tokens[row] for row in part]) for part in parts])
    return found[torch.from_numpy(np.argsort(order, kind="stable")).to(found.device)]


def fit_head(inputs: Tensor, labels: IntArray, classes: int) -> nn.Linear:
    """Return the logistic regression of labels (n,) on inputs (n, d), with a penalty on squared weights."""
    mean, spread = inputs.mean(dim=0), inputs.std(dim=0).clamp(min=1e-6)
    scaled, wanted = (inputs - mean) / spread, _labels(labels, inputs.device)
    penalty = PENALTY * inputs.shape[1] / len(inputs)
    head = nn.Linear(inputs.shape[1], classes, device=inputs.device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    solver = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> float:
        solver.zero_grad()
        loss = functional.cross_entropy(head(scaled), wanted) + penalty * head.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    solver.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        head.weight.div_(spread)
        head.bias.sub_(head.weight @ mean)
    return head


def _labels(labels: IntArray, device: torch.device) -> Tensor:
    return torch.from_numpy(labels).to(device)
