"""Named columns of numbers, one row a model: what every method of `codesign.accuracy.fitted` is fitted to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from codesign.design import BoolArray, FloatArray, IntArray
from codesign.errors import InputError


@dataclass(frozen=True)
class Features:
    """Named numbers of n models, the same for all methods."""

    names: tuple[str, ...]
    values: FloatArray  # (n, f)
    core: int
    """The first so many columns are worth trying alone."""

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.names):
            raise InputError(f"features: expected one column a name ({len(self.names)}), got {self.values.shape}")
        if not 0 < self.core <= len(self.names):
            raise InputError(f"features: core: expected 1..{len(self.names)}, got {self.core}")
        bad = ~np.isfinite(self.values)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            got = self.values[row, column]
            raise InputError(f"features: {self.names[column]}: expected finite numbers, got {got} for row {row}")

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: IntArray | BoolArray | slice) -> Features:
        """Return the models at `rows`."""
        return Features(self.names, self.values[rows], self.core)

    def columns(self, names: Iterable[str]) -> Features:
        """Return the named columns, all of them core.

        Raises:
            InputError: a name that is not here.
        """
        wanted = tuple(names)
        missing = [name for name in wanted if name not in self.names]
        if missing:
            raise InputError(f"features: expected {', '.join(missing)}; got {', '.join(self.names)}")
        places = [self.names.index(name) for name in wanted]
        return Features(wanted, self.values[:, places], len(wanted))


def side_by_side(one: Features, two: Features) -> Features:
    """Return the columns of both, of the same models; the core is that of the first."""
    return Features((*one.names, *two.names), np.concatenate([one.values, two.values], axis=1), one.core)
