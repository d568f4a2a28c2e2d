"""A proxy that asks only for shapes that no run has asked it before: answers are kept on disk, see docs/cache.md.

An answer is known by what makes it (`identity_of` the proxy) and by what it is of (family, and the values of the fields
that the proxy reads). So it does not matter which run, space, cost model or process asked first.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np

from codesign import __version__
from codesign.accuracy.answers import SUFFIX, Answer, AnswerFile, Header, Key
from codesign.accuracy.identity import digest, identity_of
from codesign.accuracy.protocol import Errors, Proxy, Quality
from codesign.accuracy.proxy import is_law
from codesign.accuracy.wrapping import Wrapping
from codesign.design import FloatArray, ModelShape
from codesign.layer_fields import DENSITIES

NO_CACHE = "none"
"""In place of a directory."""

VARIABLE = "CODESIGN_CACHE"
"""Environment variable: the directory, or NO_CACHE."""

WORTH_S = 1e-3
"""Seconds a shape above which an answer is kept. What is faster is sooner asked again than found."""

LIBRARIES = ("numpy", "torch")
"""What decides the last digits of an answer; files of other versions are kept apart."""


def cache_directory(given: str | Path | None = None) -> Path | None:
    """Return where answers are kept: as given, else $CODESIGN_CACHE, else the user's cache; None for "none"."""
    wanted = given if given is not None else os.environ.get(VARIABLE) or _of_user()
    return None if wanted is None or str(wanted) == NO_CACHE else Path(wanted).expanduser().absolute()


def cached(proxy: Proxy, directory: Path | None) -> Proxy:
    """Return a proxy that keeps its answers in a directory; as it is without one, or if it is an equation."""
    return proxy if directory is None or is_law(proxy.name) else Cached(proxy, directory)


def uncached(proxy: Proxy) -> Proxy:
    """Return the proxy that measures: for who times it, or sends it to workers."""
    return proxy.proxy if isinstance(proxy, Cached) else proxy


@dataclass(frozen=True)
class Cached(Wrapping):
    """Another proxy; asked only for what is not on disk, whose answers are then put there. Failures are not kept."""

    directory: Path

    def predict(self, shape: ModelShape) -> Quality:
        """Return what is known and ask for the rest. All is asked at once, so a proxy may work on them together."""
        if self.answers is None or not len(shape):
            return self.proxy.predict(shape)
        keys = keys_of(shape, self.reads)
        known = self.answers.find(keys)
        missing = np.array([row for row, key in enumerate(keys) if key not in known], dtype=np.int64)
        if len(missing):
            start = perf_counter()
            fresh = self.proxy.predict(shape.take(missing))
            found = _answers([keys[row] for row in missing], fresh)
            self._keep(found, perf_counter() - start)
            known |= found
        return _quality([known[key] for key in keys])

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Errors | None = None) -> FloatArray:
        """See `Proxy`; what it takes two measurements to compare is kept like an answer."""
        if self.answers is None or not len(shape):
            return self.proxy.compare(shape, baseline, errors)
        (other,) = keys_of(baseline, self.reads)
        keys = [hashlib.sha256(key + other).digest() for key in keys_of(shape, self.reads)]
        known = self.answers.find(keys)
        missing = np.array([row for row, key in enumerate(keys) if key not in known], dtype=np.int64)
        if len(missing):
            given = None if errors is None else (errors[0][missing], errors[1])
            fresh = self.proxy.compare(shape.take(missing), baseline, given)
            found = {keys[row]: ("", np.nan, error, False) for row, error in zip(missing, fresh.tolist(), strict=True)}
            if self.answers.known:  # so measuring is worth keeping, and this run may have measured these two just now
                self.answers.add(found)
            known |= found
        return np.array([known[key][2] for key in keys], dtype=np.float64)

    def recall(self, shape: ModelShape) -> Quality | None:
        """Return what is known of n shapes, with NaN as the value of those that are not; None if nothing is.

        For those who have shapes measured elsewhere: they ask here first, and `remember` what comes.
        """
        keys = [] if self.answers is None else keys_of(shape, self.reads)
        known = {} if self.answers is None else self.answers.find(keys)
        if not known:
            return None
        nothing = (next(iter(known.values()))[0], np.nan, np.nan, False)
        return _quality([known.get(key, nothing) for key in keys])

    def remember(self, measured: Iterable[tuple[ModelShape, Quality, float]]) -> None:
        """Keep what was measured elsewhere, by this very proxy, in one write; what was fast is left out.

        Args:
            measured: n shapes, their quality, and the seconds that each of them took; any number of times.
        """
        if self.answers is None:
            return
        found: dict[Key, Answer] = {}
        for shape, quality, seconds in measured:
            if seconds > WORTH_S:
                found |= _answers(keys_of(shape, self.reads), quality)
        self.answers.add(found)

    def around(self, proxy: Proxy) -> Cached:
        """See `Wrapping`."""
        return Cached(proxy, self.directory)

    def __reduce__(self) -> tuple[type[Cached], tuple[Proxy, Path]]:
        """A copy in another process reads for itself."""
        return Cached, (self.proxy, self.directory)

    @cached_property
    def answers(self) -> AnswerFile | None:
        """What is kept; None if nobody knows what makes the answers."""
        identity = identity_of(self.proxy)
        if identity is None:
            return None
        versions = {"codesign": __version__} | {name: metadata.version(name) for name in LIBRARIES}
        name = digest(identity, msgspec.json.encode(versions))[:32]
        return AnswerFile(self.directory / f"{name}{SUFFIX}", Header(self.name, identity, versions))

    def _keep(self, found: dict[Key, Answer], seconds: float) -> None:
        if self.answers is not None and seconds > WORTH_S * len(found):
            self.answers.add(found)


def keys_of(shape: ModelShape, reads: frozenset[str]) -> list[Key]:
    """Return the SHA-256 of family and fields of each of n shapes.

    Layers that a shape does not have are left out, so that it is the same in a space of deeper ones.
    """
    columns = {"layers": shape.layers, "hidden": shape.hidden[:, None]} | shape.layer_columns()
    names = sorted(reads & columns.keys())
    start = hashlib.sha256(msgspec.json.encode([shape.family, names, shape.layers.shape[1]]))
    depths = shape.layers.max(axis=1)
    keys = [b""] * len(shape)
    for depth in np.unique(depths):
        rows = np.flatnonzero(depths == depth)
        parts = [_integers(name, columns[name][rows][..., :depth] if columns[name].ndim == 3 else columns[name][rows])
                 for name in names]  # fmt: skip
        table = np.concatenate(parts, axis=1) if parts else np.empty((len(rows), 0), dtype="<i8")
        for row, values in zip(rows.tolist(), np.ascontiguousarray(table), strict=True):
            whole = start.copy()
            whole.update(values.tobytes())
            keys[row] = whole.digest()
    return keys


def _integers(
    name: str, column: np.ndarray[tuple[int, ...], np.dtype[np.generic]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """(n, values) of a column; densities are told apart by their bits."""
    values = np.ascontiguousarray(column, dtype="<f8").view("<i8") if name in DENSITIES else column
    return np.asarray(values, dtype="<i8").reshape(len(column), -1)


def _answers(keys: Sequence[Key], quality: Quality) -> dict[Key, Answer]:
    columns = (quality.value, quality.log_standard_error, quality.extrapolated)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {key: (quality.metric, *row) for key, row in zip(keys, rows, strict=True)}


def _quality(answers: Sequence[Answer]) -> Quality:
    metrics, values, errors, extrapolated = zip(*answers, strict=True)
    return Quality(
        metrics[0],
        np.array(values, dtype=np.float64),
        np.array(errors, dtype=np.float64),
        np.array(extrapolated, dtype=np.bool_),
    )


def _of_user() -> Path | None:
    """Return the directory by the XDG rule; None where there is no home."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "codesign" / "answers"
    try:
        return Path.home() / ".cache" / "codesign" / "answers"
    except RuntimeError:
        return None
