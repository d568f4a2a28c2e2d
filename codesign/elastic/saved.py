"""A trained elastic network on disk: weights in safetensors, and a card that says what they are.

    DIRECTORY/model.safetensors   every parameter, in half precision: the measured loss moves in its fifth digit;
                                  movement scores in single precision: rounded ones would keep other weights
    DIRECTORY/supernet.json       the card: architecture, text, tokenizer, how it was trained, hash of the weights

The package ships some; `codesign train` writes others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from codesign.elastic.architecture import MOVEMENT_SCORES, Architecture
from codesign.elastic.reach import Reach
from codesign.elastic.trained_choices import Choices
from codesign.errors import InputError

if TYPE_CHECKING:
    from codesign.elastic.transformer import Elastic

WEIGHTS, CARD = "model.safetensors", "supernet.json"


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the weights are."""

    format: Literal[1] = 1
    architecture: Architecture
    corpus: str
    """Name of a shipped corpus; quality is measured on its validation part."""
    tokenizer: int
    """Vocabulary of the shipped tokenizer of that corpus."""
    window: int
    """Tokens of a sequence, in training and when measured."""
    space: str
    """Name of the search space whose shapes were drawn while training."""
    recipe: str
    """The recipe, verbatim."""
    seed: int
    trained_tokens: int
    """Tokens of text that each step's networks saw, summed over steps, with those of what it began with."""
    weights_sha256: str
    continued_from: str = ""
    """SHA-256 of the weights of the network that the training began with; empty = random ones."""
    reach: Reach = ()
    """How far heads see, where spans were learned beside the weights; empty = none were."""
    choices: Choices = {}
    """What was trained; empty = the network is older than this field, and nobody knows."""
    text_sha256: str = ""
    """Of the held-out text as numbers, see `training.publishing`; empty = the network is older than this field."""
    text_path: str = ""
    """Where the text was when the network was published, absolute; empty = a shipped corpus, or an older network."""


def save(directory: Path, model: Elastic, card: Mapping[str, object]) -> Card:
    """Write a network; the card's hash, format and architecture are filled in. The card comes last, when all is whole.

    Raises:
        InputError: the directory cannot be written.
    """
    import torch
    from safetensors.torch import save as tensors_as_bytes

    weights = tensors_as_bytes({
        name: value if name.startswith(MOVEMENT_SCORES) else value.to(torch.float16)
        for name, value in model.state_dict().items()
    })  # fmt: skip
    digest = hashlib.sha256(weights).hexdigest()
    made = msgspec.convert({**card, "architecture": model.architecture, "weights_sha256": digest}, Card)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in ((WEIGHTS, weights), (CARD, msgspec.json.format(msgspec.json.encode(made), indent=1))):
            temporary = directory / f"{name}.part"
            temporary.write_bytes(content)
            os.replace(temporary, directory / name)
    except OSError as error:
        raise InputError(f"{directory}: cannot be written: {error.strerror}") from error
    return made


def load(directory: Path) -> tuple[Elastic, Card]:
    """Read a network, in single precision, ready to be measured.

    Raises:
        InputError: a file is missing, damaged, or does not belong to the other one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as tensors_from_bytes

    from codesign.elastic.transformer import Elastic

    card = read_card(directory)
    content = _read(directory / WEIGHTS)
    if hashlib.sha256(content).hexdigest() != card.weights_sha256:
        raise InputError(
            f"{directory / WEIGHTS}: expected the weights of {CARD}, got others or damaged ones; copy both"
        )
    model = Elastic(card.architecture)
    try:
        model.load_state_dict({name: value.float() for name, value in tensors_from_bytes(content).items()})
    except (SafetensorError, RuntimeError) as error:
        raise InputError(f"{directory / WEIGHTS}: expected the weights of the card's architecture: {error}") from None
    return model.eval().requires_grad_(requires_grad=False), card


def contents(directory: Path) -> tuple[bytes, bytes]:
    """Return the two files of a network, weights and card, as they are.

    Raises:
        InputError: one is missing or cannot be read.
    """
    return _read(directory / WEIGHTS), _read(directory / CARD)


def read_card(directory: Path) -> Card:
    """Read what a network is, without its weights.

    Raises:
        InputError: there is none, or it is damaged.
    """
    try:
        card = msgspec.json.decode(_read(directory / CARD), type=Card)
    except msgspec.MsgspecError as error:
        raise InputError(f"{directory / CARD}: expected the card of a trained network: {error}") from None
    a = card.architecture
    if card.reach and (len(card.reach) != a.layers or {len(layer) for layer in card.reach} != {a.heads}):
        raise InputError(f"{directory / CARD}: reach: expected {a.layers} layers of {a.heads} heads, got others")
    return card


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: expected a file of a trained network: {error.strerror}") from None
