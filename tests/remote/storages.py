"""A storage in memory that fails as told, several machines, and searches whose evaluations are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from codesign import record
from codesign.remote.copies import directory_of, fetched
from codesign.run import Run, create, open_run

OPERATIONS = ("cat_file", "pipe_file", "rm_file", "ls")


class KilledError(BaseException):
    """The process is gone: nothing that it would do afterwards happens."""


def failing(monkeypatch: pytest.MonkeyPatch, when: Callable[[int], BaseException | None]) -> list[int]:
    """Have each operation of the storage raise what `when` says of its number; returns the count so far.

    What fails while writing may have written the first half.
    """
    count = [0]

    def wrapped(name: str) -> Callable[..., Any]:
        original = getattr(MemoryFileSystem, name)

        def operation(self: MemoryFileSystem, path: str, *rest: Any, **options: Any) -> Any:
            count[0] += 1
            if error := when(count[0]):
                if name == "pipe_file" and count[0] % 2 and options.get("mode") != "create":
                    original(self, path, rest[0][: len(rest[0]) // 2])
                raise error
            return original(self, path, *rest, **options)

        return operation

    for name in OPERATIONS:
        monkeypatch.setattr(MemoryFileSystem, name, wrapped(name))
    return count


def objects(url: str) -> dict[str, bytes]:
    """What a storage holds under a URL in memory."""
    root = url.removeprefix("memory:/") + "/"
    return {
        name.removeprefix(root): file.getvalue()
        for name, file in MemoryFileSystem.store.items()
        if name.startswith(root)
    }


def machine(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Go on, as another machine would, with other working copies."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))


def search_again(url: str, known: Run, portion: int) -> Run:
    """Begin or continue a search at a URL that finds what a known run has found, in portions."""
    directory = directory_of(url)
    if not (directory / "run.json").exists():
        try:
            fetched(url)
        except ValueError:
            create(directory, known.manifest)
    with record.writing(directory):
        run = open_run(directory)
        for start in range(len(run.evaluations), len(known.evaluations), portion):
            rows = slice(start, min(start + portion, len(known.evaluations)))
            run = run.extend(known.evaluations.take(rows), known.asks.take(rows))
    return run


def chance(seed: int, share: float) -> Callable[[int], BaseException | None]:
    """Fail at random."""
    rng = np.random.default_rng(seed)
    return lambda _: OSError("the connection was lost") if rng.random() < share else None
