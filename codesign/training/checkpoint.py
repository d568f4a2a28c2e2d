"""The state of a training on the disk: weights, optimiser, random numbers, step. No pickles.

A checkpoint is a folder `step-00001000` that appears as a whole: `model.safetensors`, `optimiser.safetensors` and
`state.json`, which holds the digests of the other two and the identity of the training.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from codesign.training.durable import write_folder
from codesign.training.errors import CheckpointError, TrainingError
from codesign.training.identity import Identity, differences, shown
from codesign.training.optimiser import Optimiser

FOLDER = "checkpoints"
MODEL, OPTIMISER, STATE = "model.safetensors", "optimiser.safetensors", "state.json"
KEPT = 2
"""Checkpoints that stay: the newest and, should it be damaged, the one before."""
RANDOM = "random numbers"

Parameters = Mapping[str, nn.Parameter]
"""What is trained, by name."""


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a training has come."""

    step: int
    """Steps done."""
    seconds: float
    smoothed: float | None
    """Smoothed loss of the largest, nats a token; None before the first step."""
    lowest: float | None
    """Its lowest value."""


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    position: Position
    identity: Identity
    digests: dict[str, str]


def save(directory: Path, parameters: Parameters, optimiser: Optimiser, at: Position, identity: Identity) -> Path:
    """Write a checkpoint of a training directory and remove the oldest; returns its folder.

    Raises:
        TrainingError: the disk is full or cannot be written; the checkpoints before are kept.
    """
    path = directory / FOLDER / f"step-{at.step:08d}"
    if path.is_dir():  # the same step of the same training: the same bits
        return path
    files = {
        MODEL: safetensors.torch.save(_on_cpu(parameters)),
        OPTIMISER: safetensors.torch.save(_optimiser_tensors(parameters, optimiser)),
    }
    state = _State(1, at, identity, {name: _digest(data) for name, data in files.items()})
    before = newest(directory)
    try:
        write_folder(path, files | {STATE: msgspec.json.encode(state)})
    except OSError as error:
        raise TrainingError(
            f"{path}: cannot be written: {error.strerror or error}; {last_good(before)}; make room, then --resume"
        ) from error
    for old in _all(directory)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def newest(directory: Path) -> Path | None:
    """Return the last checkpoint of a training directory, or None."""
    found = _all(directory)
    return found[-1] if found else None


def last_good(path: Path | None) -> str:
    """Say in a message which checkpoint there is."""
    return f"the last good checkpoint is {path}" if path else "there is no checkpoint yet"


def restore(path: Path, parameters: Parameters, optimiser: Optimiser, identity: Identity) -> Position:
    """Put a checkpoint into parameters, their optimiser and torch's random numbers; nothing changes if it is refused.

    Raises:
        CheckpointError: a file is missing, damaged or cut short, or the checkpoint is of another training.
    """
    state = _read_state(path)
    if other := differences(identity, state.identity):
        raise CheckpointError(f"{path}: belongs to another training: {shown(other)}; use another directory")
    weights, rest = (_tensors(path, name, state.digests) for name in (MODEL, OPTIMISER))
    expected = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    if expected != {name: tuple(tensor.shape) for name, tensor in weights.items()}:
        raise CheckpointError(f"{path / MODEL}: expected the tensors of the model, got others")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    torch.set_rng_state(rest.pop(RANDOM))
    for key, tensor in rest.items():
        name, _, field = key.rpartition("/")
        optimiser.state(parameters[name])[field] = tensor.to(parameters[name].device)
    return state.position


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights of a checkpoint, by name.

    Raises:
        CheckpointError: a file is missing, damaged or cut short.
    """
    return _tensors(path, MODEL, _read_state(path).digests)


def _all(directory: Path) -> list[Path]:
    return sorted((directory / FOLDER).glob("step-*"))


def _optimiser_tensors(parameters: Parameters, optimiser: Optimiser) -> dict[str, Tensor]:
    """Tensors `parameter/field` (moments, step count), and torch's random numbers."""
    found = {
        f"{name}/{field}": value
        for name, parameter in parameters.items()
        for field, value in optimiser.state(parameter).items()
    }
    return _on_cpu(found) | {RANDOM: torch.get_rng_state()}


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _read_state(path: Path) -> _State:
    try:
        return msgspec.json.decode((path / STATE).read_bytes(), type=_State)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _damaged(path, f"{STATE}: {error}") from None


def _tensors(path: Path, name: str, digests: dict[str, str]) -> dict[str, Tensor]:
    try:
        data = (path / name).read_bytes()
        if _digest(data) != digests.get(name):
            raise _damaged(path, f"{name}: its {len(data)} bytes are not those that were written")
        return safetensors.torch.load(data)
    except (OSError, SafetensorError) as error:
        raise _damaged(path, f"{name}: {error}") from None


def _damaged(path: Path, what: str) -> CheckpointError:
    older = [other for other in _all(path.parent.parent) if other < path]
    fix = f"remove the folder to continue from {older[-1]}" if older else "there is no older one; train anew elsewhere"
    return CheckpointError(f"{path}: the checkpoint is damaged: {what}; nothing was changed; {fix}")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
