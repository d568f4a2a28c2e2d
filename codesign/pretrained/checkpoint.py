"""A checkpoint on disk: read what transformers wrote, write what is left after a surgery, read that again.

    DIRECTORY/model.safetensors  weights; zeros and rounded numbers are stored as floats
    DIRECTORY/config.json        of transformers where it can express what is left, so that it loads it too; else
                                 model_type "codesign_surgery" with the published config inside, so that nothing reads
                                 it as something else
    DIRECTORY/surgery.toml       as given
    DIRECTORY/head.safetensors   of the user's task, if it has one (module head)

Files of the tokenizer are copied.
"""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from codesign.design import ModelShape
from codesign.errors import InputError
from codesign.pretrained.building import base_of, class_of
from codesign.pretrained.cutting import compress
from codesign.pretrained.head import Head, write_head
from codesign.pretrained.model import Checkpoint, adopt
from codesign.pretrained.publishing import publishable, published_form
from codesign.pretrained.record import Record, rebuilt, recorded

CONFIG, WEIGHTS, SURGERY = "config.json", "model.safetensors", "surgery.toml"
OWN = "codesign_surgery"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "vocab.json",
             "merges.txt", "spiece.model", "added_tokens.json")  # fmt: skip


def read_checkpoint(directory: Path) -> Checkpoint:
    """Read a checkpoint that transformers or `save` wrote; nothing is fetched.

    BERT, ALBERT and DistilBERT are read without the head of a task; GPT-2 and T5 as `codesign.huggingface` says.

    Raises:
        InputError: a file is missing, damaged or truncated, the architecture is not one of those known, or weights are
            missing.
    """
    config = _config(directory)
    if config.get("model_type") == OWN:
        return _read_own(directory, config)
    base = base_of(config, str(directory / CONFIG))
    return adopt(_read_published(directory, base), base, config).ready()


def published_answer_head(directory: Path, checkpoint: Checkpoint) -> nn.Linear | None:
    """Return the head that a checkpoint was published with for answering questions; None where it has none."""
    if _config(directory).get("model_type") == OWN:
        return None
    import transformers

    with _silent():  # num_labels: a classifier of three classes has a config that no such model is built from
        model, said = transformers.AutoModelForQuestionAnswering.from_pretrained(
            directory, local_files_only=True, dtype=torch.float32, output_loading_info=True, num_labels=2
        )
    if any(name.startswith("qa_outputs.") for name in said["missing_keys"]):
        return None
    head: nn.Linear = model.qa_outputs.to(checkpoint.device)
    return head


def save(
    checkpoint: Checkpoint,
    directory: Path,
    origin: Path | None = None,
    surgery: str | None = None,
    head: Head | None = None,
) -> list[Path]:
    """Write a network into a new directory and return its files; it appears whole or not at all.

    Args:
        checkpoint: what is left.
        directory: must not exist.
        origin: the published checkpoint, whose tokenizer is copied.
        surgery: text of the file.
        head: fitted or tuned on the network.

    Raises:
        InputError: the directory is there already or cannot be written.
    """
    check_new(directory)
    stored = copy.deepcopy(checkpoint)
    for stack in stored.base.family.stacks:
        for layer in stored.layers(stack):
            for maps in layer.matrices().values():
                for map_ in maps:
                    map_.store()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".prune-", dir=directory.parent) as stage:
            made = Path(stage) / "made"
            made.mkdir()
            _write(stored, made, origin, surgery)
            if head is not None:
                write_head(head, made)
            os.replace(made, directory)
    except OSError as error:
        raise InputError(f"{directory}: cannot be written: {error.strerror or error}") from None
    return sorted(directory.iterdir())


def check_new(directory: Path) -> None:
    """Refuse a directory that `save` could not write: to be asked before work is done for it.

    Raises:
        InputError: it is there already, or cannot be made where it shall lie.
    """
    if os.path.lexists(directory):
        raise InputError(f"{directory}: expected a new directory, got one that is there already")
    above = next(parent for parent in directory.absolute().parents if os.path.lexists(parent))
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"{directory}: cannot be written: {above} is not a directory that we may write to")


def _write(stored: Checkpoint, made: Path, origin: Path | None, surgery: str | None) -> None:
    if publishable(stored):
        with _silent():
            published_form(stored).save_pretrained(made)
    else:
        save_model(stored.body, str(made / WEIGHTS))
        (made / CONFIG).write_bytes(msgspec.json.format(msgspec.json.encode(recorded(stored)), indent=1))
    for name in TOKENIZER if origin is not None else ():
        if origin is not None and (origin / name).is_file():
            shutil.copyfile(origin / name, made / name)
    if surgery is not None:
        (made / SURGERY).write_text(surgery, encoding="utf-8")


def _config(directory: Path) -> dict[str, Any]:
    path = directory / CONFIG
    try:
        raw = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: expected the config of a checkpoint: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path}: expected a JSON object with a model_type, got {type(raw).__name__}")
    return raw


@contextmanager
def _silent() -> Iterator[None]:
    """Let transformers show neither warnings nor progress bars; its settings are the caller's again afterwards."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(ERROR)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _read_published(directory: Path, base: ModelShape) -> Any:
    if not any(directory.glob("model*.safetensors")) and not any(directory.glob("pytorch_model*.bin")):
        raise InputError(f"{directory}: expected weights, {WEIGHTS} or pytorch_model.bin, got neither")
    try:
        with _silent():
            body, missing = _loaded(directory, base, {})
            if base.family.pooler and missing and all(".pooler." in f".{name}" for name in missing):
                body, missing = _loaded(directory, base, {"add_pooling_layer": False})
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError) as error:
        raise InputError(f"{directory}: the weights cannot be read, damaged or of other sizes than the config says: "
                         f"{error}") from None  # fmt: skip
    if missing:
        some = ", ".join(sorted(missing)[:3])
        raise InputError(
            f"{directory}: expected all weights of the config's model, got none for {len(missing)}: {some}"
        )
    return body


def _loaded(directory: Path, base: ModelShape, options: dict[str, Any]) -> tuple[Any, set[str]]:
    body, said = class_of(base).from_pretrained(
        directory, local_files_only=True, attn_implementation="eager", dtype=torch.float32, output_loading_info=True,
        **options,
    )  # fmt: skip
    return body, set(said["missing_keys"])


def _read_own(directory: Path, raw: dict[str, Any]) -> Checkpoint:
    path = directory / WEIGHTS
    try:
        made = rebuilt(msgspec.convert(raw, Record))
        load_model(made.body, path)
    except (msgspec.ValidationError, IndexError) as error:
        raise InputError(f"{directory / CONFIG}: expected what codesign prune wrote: {error}") from None
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"{path}: expected the weights that {CONFIG} speaks of: {error}") from None
    for stack in made.base.family.stacks:
        for layer in made.layers(stack):
            compress(layer)  # or training it on would fill the zeros
    return made.ready()
