"""The head of a task beside the network that it was fitted or tuned on.

    DIRECTORY/head.safetensors  weight (c, d) and bias (c,); classes, pooling and longest in its metadata

Of labelled sentences, classes are told by weight @ (mean of the last states over the tokens of a text) + bias, the
largest: pooling "mean". Of questions, starts and ends of answers by weight @ (last state of a token) + bias, "tokens".
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
POOLING, TOKENS = "mean", "tokens"


@dataclass(frozen=True)
class Head:
    """A linear map from states to classes."""

    map: nn.Linear
    classes: tuple[str, ...]
    """Names, in the order of its outputs."""
    longest: int
    """Tokens of a text, or of a window of it; what is longer was cut when the head was measured."""
    pooling: str = POOLING


def write_head(head: Head, directory: Path) -> None:
    """Write a head into a directory of a network."""
    tensors = {"weight": head.map.weight.detach(), "bias": head.map.bias.detach()}
    classes = msgspec.json.encode(head.classes).decode()
    told = {"classes": classes, "pooling": head.pooling, "longest": str(head.longest)}
    save_file({name: value.cpu().contiguous() for name, value in tensors.items()}, directory / HEAD, metadata=told)


def read_head(directory: Path, pooling: str = POOLING) -> Head:
    """Read what `write_head` wrote.

    Args:
        directory: of the network.
        pooling: of the task that it shall be for.

    Raises:
        InputError: it is missing or damaged, or of another pooling.
    """
    path = directory / HEAD
    try:
        with safe_open(path, framework="pt") as content:
            told = content.metadata() or {}
            weight, bias = content.get_tensor("weight"), content.get_tensor("bias")
        classes = msgspec.json.decode(told["classes"], type=tuple[str, ...])
        got, longest = told["pooling"], int(told["longest"])
    except (OSError, SafetensorError, KeyError, ValueError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: expected the head that codesign prune --task writes: {error}") from None
    sizes = (tuple(weight.shape), tuple(bias.shape))
    if got != pooling or weight.ndim != 2 or not len(weight) == len(bias) == len(classes):
        raise InputError(f"{path}: expected {pooling} pooling and a row of weights and a bias for each of "
                         f"{len(classes)} classes, got {got}, {sizes[0]} and {sizes[1]}")  # fmt: skip
    made = nn.Linear(weight.shape[1], len(weight))
    made.load_state_dict({"weight": weight, "bias": bias})
    return Head(made, classes, longest, pooling)


def check_width(directory: Path, head: Head, width: int) -> None:
    """Refuse a head that reads other features than a network has.

    Raises:
        InputError: says how many.
    """
    if head.map.in_features != width:
        raise InputError(f"{directory}: expected a head on {width} features, got one on {head.map.in_features}")
