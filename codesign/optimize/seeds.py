"""Several searches that differ in their seed alone, one after the other: a directory with a run for each.

Each is a run like any other. Answers that proxies keep (docs/cache.md) are shared; nothing else is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codesign import run as runs
from codesign.errors import InputError
from codesign.manifest import MANIFEST
from codesign.optimize import loop
from codesign.optimize.steps import Progress, Watcher
from codesign.remote.copies import is_url
from codesign.run import Run

MEMBER = "seed-{:03d}"


def search(
    space: str, cost_model: str, count: int, *, directory: str | Path | None, watch: Watcher, seed: int, **options: Any
) -> list[Run]:
    """Search with the seeds `seed` to `seed + count - 1` and return the runs.

    All runs are begun before the first design is evaluated, so a stopped search can be continued from its directory.

    Args:
        space: as in `loop.search`.
        cost_model: as there.
        count: how many searches.
        directory: new, on this machine; its runs are in seed-000, seed-001, ...
        watch: as there; called for each search.
        seed: of the first.
        options: as there.

    Raises:
        CodesignError: as there.
    """
    if count < 1:
        raise InputError(f"seeds: expected at least 1, got {count}")
    if directory is None or is_url(directory):
        raise InputError("seeds: expected a new directory on this machine for the runs; name it with --run")
    places = [Path(directory) / MEMBER.format(number) for number in range(count)]

    def begin(state: Progress) -> None:
        for number, place in enumerate(places[1:], 1):
            if not place.exists():
                runs.create(place, state.run.manifest.changed(seed=seed + number))
        watch(state)

    first = loop.search(space, cost_model, directory=places[0], watch=begin, seed=seed, **options)
    kept = {name: options[name] for name in ("cache", "where", "notice") if name in options}
    given = options.get("proxy")
    proxy = None if isinstance(given, str) else given
    return [first, *(loop.resume(place, proxy=proxy, watch=watch, **kept) for place in places[1:])]


def members(address: str | Path) -> list[str | Path]:
    """Return the runs of a directory that `search` has made; any other address alone."""
    if is_url(address) or (Path(address) / MANIFEST).exists():
        return [address]
    found = sorted(path.parent for path in Path(address).glob(f"seed-*/{MANIFEST}"))
    return [*found] or [address]


def all_members(addresses: Sequence[str | Path]) -> list[str | Path]:
    """Return the runs of several addresses."""
    return [run for address in addresses for run in members(address)]
