"""A proxy that asks only for shapes it has not seen: quality is dear, and many designs share a shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from codesign.accuracy.proxy import Errors, Proxy, Quality
from codesign.design import Family, FloatArray, IntArray, ModelShape

Answer = tuple[float, float, bool]
"""Value, log standard error, extrapolated."""


@dataclass(frozen=True)
class Remembering:
    """Another proxy, asked once for each distinct setting of the fields that it reads."""

    proxy: Proxy
    metric: list[str] = field(default_factory=list)
    answers: dict[bytes, Answer] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """See `Proxy`."""
        return self.proxy.name

    @property
    def reads(self) -> frozenset[str]:
        """See `Proxy`."""
        return self.proxy.reads

    def check(self, family: Family, choices: Mapping[str, tuple[int, ...]]) -> None:
        """See `Proxy`."""
        self.proxy.check(family, choices)

    def predict(self, shape: ModelShape) -> Quality:
        """Return what is known and ask for the rest, each distinct shape once, in the order of their first row."""
        keys = self._keys(shape)
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
        for key, *answer in zip(self._keys(shape), *(column.tolist() for column in columns), strict=True):
            self.answers[key] = tuple(answer)

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Errors | None = None) -> FloatArray:
        """See `Proxy`."""
        return self.proxy.compare(shape, baseline, errors)

    def _keys(self, shape: ModelShape) -> list[bytes]:
        columns: list[IntArray] = [getattr(shape, name).reshape(len(shape), -1) for name in sorted(self.reads)]
        rows = np.ascontiguousarray(np.concatenate(columns, axis=1))
        return [row.tobytes() for row in rows]
