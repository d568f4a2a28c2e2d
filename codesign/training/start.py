"""The trained network that a training begins with, where it does not begin at random weights.

It is copied into the training's directory, in `start/`, so that the directory stands alone. Its weights were stored in
half precision. Learned spans are not among them: they begin anew. How it was pruned and rounded may differ, for that is
no weight: a dense network can be pruned by movement, whose scores begin at 0.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from codesign.elastic import saved
from codesign.elastic.architecture import Architecture
from codesign.elastic.transformer import Elastic
from codesign.errors import InputError
from codesign.training.durable import write_folder

START = "start"
"""In the training's directory."""

COMPRESSION = ("removal", "kept_by", "number_format", "exponent_bits")
"""Fields of an architecture that change no weight of the elastic model."""


def card_in(directory: Path) -> saved.Card | None:
    """Return the card of the network that the training in a directory began with; None where it began at random.

    Raises:
        InputError: it is damaged.
    """
    return saved.read_card(directory / START) if (directory / START).exists() else None


def check_fits(source: Path, architecture: Architecture) -> None:
    """Refuse a network that is not of the architecture that is trained.

    Raises:
        InputError: lists what differs, or the network is damaged.
    """
    _, card = saved.load(source)
    ours, theirs = msgspec.to_builtins(architecture), msgspec.to_builtins(card.architecture)
    named = [name for name in ours if ours[name] != theirs[name] and name not in COMPRESSION]
    if other := [f"{name}: {ours[name]} here, {theirs[name]} there" for name in named]:
        raise InputError(
            f"{source}: expected a network of the architecture that is trained, got another: {'; '.join(other)}; train "
            f"its space, {card.space}, with its window and vocabulary, or leave out --from"
        )


def copy(source: Path, directory: Path) -> None:
    """Copy a network into the directory of a training.

    Raises:
        OSError: it cannot be written.
    """
    write_folder(directory / START, {name: (source / name).read_bytes() for name in (saved.WEIGHTS, saved.CARD)})


def give_weights(directory: Path, model: Elastic) -> None:
    """Give a model the weights of the network that the training in a directory began with, if there is one.

    Raises:
        InputError: it is damaged.
    """
    if (directory / START).exists():
        trained, _ = saved.load(directory / START)
        own = model.state_dict()
        # Not strictly all: movement scores may be in only one of them.
        model.load_state_dict(own | {name: value for name, value in trained.state_dict().items() if name in own})
