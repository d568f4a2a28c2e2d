"""A fitted surrogate in one file: numpy's .npz with plain arrays, and one JSON text for everything else. No pickles."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from codesign.accuracy.fitted import Fitted, HeldOut, Model
from codesign.accuracy.fitted_gp import GaussianProcess
from codesign.accuracy.fitted_mlp import Networks
from codesign.accuracy.fitted_ridge import Ridge
from codesign.accuracy.fitted_scale import Scale
from codesign.design import Family
from codesign.errors import InputError

FORMAT = 1
MODELS: dict[str, type[Model]] = {"Ridge": Ridge, "GaussianProcess": GaussianProcess, "Networks": Networks}
SCALES = ("scale", "term_scale")
"""Fields of models that are scales."""
EXPECTED = "expected a surrogate written by codesign; fit it again"
ABOUT = "about"
"""Name of the JSON text among the arrays."""


class GeneColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One gene of the space whose models were measured, and so its one-hot columns."""

    field: str
    layer: int
    values: tuple[int | float, ...]


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What a surrogate was fitted to, for those who use it as a proxy."""

    metric: str
    """Whose logarithm is predicted."""
    family: Family
    varied: tuple[str, ...]
    """Fields of a shape that had more than one value."""
    space: str = ""
    """Name of the space of the genes."""
    genes: tuple[GeneColumns, ...] = ()
    """Which columns stand beside sizes and layout; none = these alone, as in all files older than this field."""
    choices: dict[str, tuple[int | float, ...]] = {}
    """Where there are genes: all values that each field of a shape could take."""


class _About(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that is no array."""

    format: int
    kind: str
    method: str
    names: tuple[str, ...]
    mean: float
    deviation: float
    stretch: float
    rows: int
    held_out: HeldOut
    model: dict[str, int | float | bool]
    measured: Measured | None = None


def save(fitted: Fitted, path: Path, measured: Measured | None = None) -> None:
    """Write a surrogate; a file that is there already is replaced at once or not at all.

    Args:
        fitted: the surrogate.
        path: of the file.
        measured: what it was fitted to, where it shall serve as a proxy.

    Raises:
        InputError: it cannot be written.
    """
    model = {field.name: getattr(fitted.model, field.name) for field in fields(fitted.model)}
    arrays: dict[str, Any] = {f"model.{name}": value for name, value in model.items() if isinstance(value, np.ndarray)}
    for name, scale in [(name, value) for name, value in model.items() if isinstance(value, Scale)]:
        arrays |= {f"{name}.{part}": column for part, column in vars(scale).items()}
    about = _About(
        format=FORMAT,
        kind=type(fitted.model).__name__,
        method=fitted.method,
        names=fitted.names,
        mean=fitted.mean,
        deviation=fitted.deviation,
        stretch=fitted.stretch,
        rows=fitted.rows,
        held_out=fitted.held_out,
        measured=measured,
        model={name: value for name, value in model.items() if not isinstance(value, np.ndarray | Scale)},
    )
    text = np.frombuffer(msgspec.json.encode(about), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{ABOUT: text, "low": fitted.low, "high": fitted.high, **arrays})
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(buffer.getvalue())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}; name another place") from None


def read(path: Path) -> Fitted:
    """Read a surrogate that `save` wrote.

    Raises:
        InputError: no such file, a file of something else or cut off, or one of another format.
    """
    about, arrays = _content(path)
    try:
        return _assembled(about, arrays)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: a part is missing: {error}; {EXPECTED}") from None


def read_measured(path: Path) -> Measured | None:
    """Read what the surrogate of a file was fitted to; None where it does not say.

    Raises:
        InputError: see `read`.
    """
    return _content(path)[0].measured


def _content(path: Path) -> tuple[_About, dict[str, Any]]:
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = msgspec.json.decode(arrays.pop(ABOUT).tobytes(), type=_About)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {EXPECTED}") from None
    except (OSError, ValueError, KeyError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read: {error}; {EXPECTED}") from None
    if about.format != FORMAT or about.kind not in MODELS:
        raise InputError(f"{path}: expected format {FORMAT}, got {about.format} ({about.kind}); fit it again")
    return about, arrays


def _assembled(about: _About, arrays: dict[str, Any]) -> Fitted:
    # The parts of each kind of model are checked by its constructor.
    kind: Any = MODELS[about.kind]
    scales = {field.name: Scale(**_group(arrays, field.name)) for field in fields(kind) if field.name in SCALES}
    return Fitted(
        method=about.method,
        names=about.names,
        low=arrays["low"],
        high=arrays["high"],
        mean=about.mean,
        deviation=about.deviation,
        stretch=about.stretch,
        rows=about.rows,
        held_out=about.held_out,
        model=kind(**scales, **_group(arrays, "model"), **about.model),
    )


def _group(arrays: dict[str, Any], group: str) -> dict[str, Any]:
    """Arrays named group.name, by name."""
    return {name.partition(".")[2]: value for name, value in arrays.items() if name.startswith(f"{group}.")}
