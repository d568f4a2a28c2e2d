"""A proxy that looks shapes up in a table of measured ones: a benchmark whose truth is known and costs nothing.

`codesign bench search --measure-to FILE` makes such a table from every shape of a space.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import msgspec
import numpy as np

from codesign.accuracy.memory import Remembering
from codesign.accuracy.protocol import SHAPE_GENES, Errors, Quality
from codesign.design import Family, FloatArray, ModelShape, grouped
from codesign.errors import InputError, ProxyError


@dataclass(frozen=True)
class Table:
    """Every shape of a space, measured. Shapes are looked up by the fields that the measuring proxy read."""

    name: str
    path: Path
    reads: frozenset[str] = SHAPE_GENES

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """Refuse another family and values that no shape of the table has.

        Raises:
            ProxyError: names the field, what the table has, and what the space wants.
        """
        shape, _ = self._content
        if family != shape.family:
            raise ProxyError(f"proxy {self.name!r}: expected the family of its table, {shape.family}, got {family}")
        columns = {"layers": shape.layers, "hidden": shape.hidden} | shape.layer_columns()
        for field, wanted in choices.items():
            known = set(np.unique(columns[field]).tolist()) if field in columns else set()
            if missing := sorted(set(wanted) - known):
                raise ProxyError(
                    f"proxy {self.name!r}: {field}: expected values of its table ({_listed(known)}), "
                    f"got {_listed(set(missing))}; narrow the search space, or use a proxy that measures"
                )

    def predict(self, shape: ModelShape) -> Quality:
        """Look n shapes up.

        Raises:
            ProxyError: a shape is not in the table.
        """
        missing = np.flatnonzero(np.isnan(self._memory.recall(shape)))
        if len(missing):
            raise ProxyError(
                f"proxy {self.name!r}: {len(missing)} of {len(shape)} shapes are not in its table, the first is "
                f"number {missing[0]}; use a proxy that measures"
            )
        return self._memory.predict(shape)

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Errors | None = None) -> FloatArray:
        """Take both errors as independent: sqrt(error² + baseline error²); the table does not say what they share."""
        error, other = errors or (self.predict(one).log_standard_error for one in (shape, baseline))
        return np.sqrt(error**2 + other**2)

    @cached_property
    def _memory(self) -> Remembering:
        memory = Remembering(self)
        memory.remember(*self._content)
        return memory

    @cached_property
    def _content(self) -> tuple[ModelShape, Quality]:
        return read_table(self.path)


def read_table(path: Path) -> tuple[ModelShape, Quality]:
    """Return the shapes of a table and their quality.

    Raises:
        InputError: no such file, or it is no table.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
            card = json.loads(str(columns.pop("card")))
            family = msgspec.convert(card["family"], Family)
            value, error = (columns.pop(name).astype(np.float64) for name in ("value", "log_standard_error"))
            layers, hidden = columns.pop("layers").astype(np.int64), columns.pop("hidden").astype(np.int64)
            wide = {name: column.astype(np.int64 if column.dtype.kind in "iu" else np.float64)
                    for name, column in columns.items()}  # fmt: skip
    except (OSError, EOFError, BadZipFile, ValueError, KeyError, msgspec.ValidationError) as problem:
        raise InputError(f"{path}: expected a table of measured shapes (.npz), got: {problem}") from None
    shape = ModelShape(family=family, layers=layers, hidden=hidden, **grouped(wide))
    return shape, Quality(card["metric"], value, error, np.zeros(len(value), dtype=np.bool_))


def write_table(path: Path, shape: ModelShape, quality: Quality, made_by: str) -> None:
    """Write shapes and their quality, in single precision.

    Args:
        path: of the .npz file; its directory exists.
        shape: n shapes.
        quality: of all of them.
        made_by: the command.
    """
    card = {"metric": quality.metric, "family": msgspec.to_builtins(shape.family), "made_by": made_by}
    columns = {"layers": shape.layers, "hidden": shape.hidden} | shape.layer_columns()
    measured = {"value": quality.value, "log_standard_error": quality.log_standard_error}
    arrays: dict[str, Any] = {"card": np.array(json.dumps(card))}
    arrays |= {
        name: column.astype(np.int32) if column.dtype.kind == "i" else column for name, column in columns.items()
    }
    arrays |= {name: column.astype(np.float32) for name, column in measured.items()}
    np.savez_compressed(path, **arrays)


def _listed(values: set[float]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(values))
