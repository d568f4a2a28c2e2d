"""The directory of a training.

training.json   what is trained, by what, with which versions
space.toml, recipe.toml, tokenizer.json   verbatim, so that the directory stands alone
log.jsonl       see `log`
checkpoints/    see `checkpoint`
start/          the trained network that it began with, if it did not begin at random: see `start`
model.safetensors, supernet.json   the network, once the training is finished: see `codesign.elastic.saved`
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Literal

import msgspec

from codesign import __version__
from codesign.elastic.saved import Card
from codesign.files import Document
from codesign.space import SearchSpace
from codesign.text.tokenizer import Tokenizer, shipped_tokenizer
from codesign.training import start
from codesign.training.durable import write_whole
from codesign.training.errors import TrainingError
from codesign.training.identity import Identity, differences, shown
from codesign.training.recipe import Recipe

MANIFEST, SPACE, RECIPE, TOKENIZER = "training.json", "space.toml", "recipe.toml", "tokenizer.json"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What training.json holds."""

    format: Literal[1]
    space: str
    """Name of the search space; its text is in space.toml."""
    recipe: str
    """Name of the recipe; its text is in recipe.toml, what was given instead of it in `identity`."""
    identity: Identity
    versions: dict[str, str]


def create(
    directory: Path,
    space: Document[SearchSpace],
    recipe: Document[Recipe],
    tokenizer: Tokenizer,
    identity: Identity,
    source: Path | None,
) -> None:
    """Make the directory of a new training.

    Args:
        directory: a new or empty one.
        space: what is trained.
        recipe: how.
        tokenizer: of the text.
        identity: of the training.
        source: the trained network that it begins with; None = random weights.

    Raises:
        TrainingError: something is there already, or the directory cannot be written.
    """
    refuse_occupied(directory)
    versions = {"codesign": __version__} | {name: version(name) for name in ("torch", "tokenizers", "numpy")}
    manifest = Manifest(1, space.name, recipe.name, identity, versions)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_whole(directory / SPACE, space.text.encode())
        write_whole(directory / RECIPE, recipe.text.encode())
        write_whole(directory / TOKENIZER, tokenizer.text().encode())
        if source is not None:
            start.copy(source, directory)
        # Last: a directory with this file is whole.
        write_whole(directory / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    except OSError as error:
        raise TrainingError(f"{directory}: cannot be written: {error.strerror or error}") from error


def refuse_occupied(directory: Path) -> None:
    """Refuse a directory in which something is.

    Raises:
        TrainingError: names it, and how to continue where it is a training.
    """
    if (directory / MANIFEST).exists():
        raise TrainingError(f"{directory}: holds a training already; continue it with --resume, or give another --to")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise TrainingError(f"{directory}: expected a new or empty directory; give another --to")


def read_manifest(directory: Path) -> Manifest:
    """Return what is trained in a directory.

    Raises:
        TrainingError: there is no training, or its training.json is damaged.
    """
    path = directory / MANIFEST
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise TrainingError(f"{directory}: no training there (no {MANIFEST}); start one without --resume") from None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: cannot be read: {error}; restore it from a copy") from None


def check_same(directory: Path, identity: Identity) -> None:
    """Refuse to continue a training as another one.

    Raises:
        TrainingError: lists what differs.
    """
    if other := differences(identity, read_manifest(directory).identity):
        raise TrainingError(
            f"{directory}: holds another training: {shown(other)}; resume it with its own space, recipe, "
            "--seed and --steps, or give another --to"
        )


def tokenizer_of(directory: Path, card: Card) -> Tokenizer:
    """Return the tokenizer of a trained network: its own, where the directory has one, else the shipped one it names.

    Raises:
        InputError: it is damaged.
    """
    own = directory / TOKENIZER
    return Tokenizer.read(own) if own.exists() else shipped_tokenizer(card.corpus, card.tokenizer)
