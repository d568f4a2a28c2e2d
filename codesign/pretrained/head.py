"""The head of a task beside the network that it was fitted or tuned on.

    DIRECTORY/head.safetensors  weight (c, d) and bias (c,); classes, pooling and longest in its metadata

Its classes are told by weight @ (mean of the last states over the tokens of a text) + bias, the largest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from codesign.errors import InputError

HEAD = "head.safetensors"
POOLING = "mean"


@dataclass(frozen=True)
class Head:
    """A linear map from pooled states to classes."""

    map: nn.Linear
    classes: tuple[str, ...]
    """Names, in the order of its outputs."""
    longest: int
    """Tokens of a text; what is longer was cut when the head was measured."""


def write_head(head: Head, directory: Path) -> None:
    """Write a head into a directory of a network."""
    tensors = {"weight": head.map.weight.detach(), "bias": head.map.bias.detach()}
    told = {"classes": msgspec.json.encode(head.classes).decode(), "pooling": POOLING, "longest": str(head.longest)}
    save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, directory / HEAD, metadata=told)


def read_head(directory: Path) -> Head:
    """Read what `write_head` wrote.

    Raises:
        InputError: it is missing or damaged, or of another pooling.
    """
    path = directory / HEAD
    try:
        with safe_open(path, framework="pt") as content:
            told = content.metadata() or {}
            weight, bias = content.get_tensor("weight"), content.get_tensor("bias")
        classes = msgspec.json.decode(told["classes"], type=tuple[str, ...])
        pooling, longest = told["pooling"], int(told["longest"])
    except (OSError, SafetensorError, KeyError, ValueError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: expected the head that codesign prune --task writes: {error}") from None
    sizes = (tuple(weight.shape), tuple(bias.shape))
    if pooling != POOLING or weight.ndim != 2 or not len(weight) == len(bias) == len(classes):
        raise InputError(f"{path}: expected {POOLING} pooling and a row of weights and a bias for each of "
                         f"{len(classes)} classes, got {pooling}, {sizes[0]} and {sizes[1]}")  # fmt: skip
    made = nn.Linear(weight.shape[1], len(weight))
    made.load_state_dict({"weight": weight, "bias": bias})
    return Head(made, classes, longest)
