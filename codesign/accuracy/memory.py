"""A proxy that asks only for shapes it has not seen: quality is dear, and many designs share a shape."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from codesign.accuracy.protocol import SHAPE_GENES, Proxy, Quality
from codesign.accuracy.wrapping import Wrapping
from codesign.design import FloatArray, IntArray, LayerColumn, ModelShape
from codesign.errors import ProxyError
from codesign.layer_fields import DENSITIES

Answer = tuple[float, float, bool]
"""Value, log standard error, extrapolated."""


KEY_BYTES = 16
"""Of what a shape is known by: a long search knows a million, and whole rows of them would take a gigabyte."""


@dataclass(frozen=True)
class Remembering(Wrapping):
    """Another proxy, asked once for each distinct setting of the fields that it reads."""

    metric: list[str] = field(default_factory=list)
    answers: dict[bytes, Answer] = field(default_factory=dict)

    def predict(self, shape: ModelShape) -> Quality:
        """Return what is known and ask for the rest, each distinct shape once, in the order of their first row."""
        keys = self.keys(shape)
        missing = {key: row for row, key in reversed(list(enumerate(keys))) if key not in self.answers}
        if missing:
            rows = np.array(sorted(missing.values()), dtype=np.int64)
            self.remember(shape.take(rows), self.proxy.predict(shape.take(rows)))
        value, error, extrapolated = zip(*(self.answers[key] for key in keys), strict=True)
        return Quality(self.metric[0], np.array(value), np.array(error), np.array(extrapolated, dtype=np.bool_))

    def remember(self, shape: ModelShape, quality: Quality) -> None:
        """Keep the quality of n shapes, such as those of a record."""
        self.metric[:] = [quality.metric]
        columns = (quality.value, quality.log_standard_error, quality.extrapolated)
        for key, *answer in zip(self.keys(shape), *(column.tolist() for column in columns), strict=True):
            self.answers[key] = tuple(answer)

    def recall(self, shape: ModelShape) -> FloatArray:
        """(n,) the quality of shapes that are known; NaN where one is not. Asks nobody."""
        unknown: Answer = (np.nan, np.nan, False)
        return np.array([self.answers.get(key, unknown)[0] for key in self.keys(shape)], dtype=np.float64)

    def first_rows(self, shape: ModelShape) -> IntArray:
        """Return the row of each distinct shape where it comes first, ascending."""
        first = {key: row for row, key in reversed(list(enumerate(self.keys(shape))))}
        return np.array(sorted(first.values()), dtype=np.int64)

    def around(self, proxy: Proxy) -> Remembering:
        """See `Wrapping`; another rung has its own answers."""
        return Remembering(proxy)

    def keys(self, shape: ModelShape) -> list[bytes]:
        """Return the names and values of what is read, a key a design; densities are told apart by their bits."""
        if unknown := self.reads - SHAPE_GENES:
            raise ProxyError(
                f"proxy {self.name!r}: reads: expected fields of a model shape ({', '.join(sorted(SHAPE_GENES))}), "
                f"got {', '.join(sorted(unknown))}"
            )
        columns = {"layers": shape.layers, "hidden": shape.hidden} | shape.layer_columns()
        names = sorted(self.reads & columns.keys())
        values = [columns[name].view(np.int64) if name in DENSITIES else columns[name] for name in names]
        flat = [column.reshape(len(shape), math.prod(column.shape[1:])) for column in values]
        rows = np.ascontiguousarray(np.concatenate(flat, axis=1))
        start = blake2b(" ".join(names).encode(), digest_size=KEY_BYTES)
        return [_digest(start, row) for row in rows]


def _digest(start: Any, row: LayerColumn) -> bytes:
    """Return the digest of the names, which `start` has seen, and a row."""
    digest = start.copy()
    digest.update(row.tobytes())
    found: bytes = digest.digest()
    return found
