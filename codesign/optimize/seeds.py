"""Several searches that differ in their seed alone, some of them at once: a directory with a run for each.

Each is a run like any other. Answers that proxies keep (docs/cache.md) are shared; nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from codesign import run as runs
from codesign.errors import InputError, RunError
from codesign.members import MEMBER
from codesign.occupied import held
from codesign.optimize import beside, loop, resuming, steps
from codesign.optimize.given import whole
from codesign.optimize.pools import HERE, Where, quiet
from codesign.optimize.steps import Progress, Watcher
from codesign.remote.copies import is_url
from codesign.run import Run, open_run


def search(
    space: str,
    cost_model: str,
    count: int,
    *,
    directory: str | Path | None,
    watch: Watcher,
    seed: int,
    at_once: int = 1,
    **options: Any,
) -> list[Run]:
    """Search with the seeds `seed` to `seed + count - 1` and return the runs.

    All runs are begun before the first design is evaluated, so a stopped search can be continued from its directory.

    Args:
        space: as in `loop.search`.
        cost_model: as there.
        count: how many searches.
        directory: new, on this machine; its runs are in seed-000, seed-001, ...
        watch: as there; called for the searches of this process.
        seed: of the first.
        at_once: how many searches run at the same time; the first in this process, others in ones of their own.
        options: as there.

    Raises:
        CodesignError: as there; or the directory holds something.
    """
    count = whole("seeds", count, 1)
    if directory is None or is_url(directory):
        raise InputError("seeds: expected a new directory on this machine for the runs; name it with --run")
    given = options.get("proxy")
    at_once = whole("at once", at_once, 1)
    if at_once > 1 and not isinstance(given, str | None):
        raise InputError("at once: expected a proxy by name; another process does not know the object")
    places = [Path(directory) / MEMBER.format(number) for number in range(count)]
    _refuse_taken(Path(directory), places)

    def first(watch: Watcher, where: Where) -> Run:
        return loop.search(space, cost_model, directory=places[0], watch=watch, seed=seed, **options | {"where": where})

    def begin(state: Progress) -> None:
        for number, place in enumerate(places[1:], 1):
            if not (place / runs.MANIFEST).exists():
                runs.create(place, state.run.manifest.changed(seed=state.run.manifest.seed + number))

    kept: dict[str, Any] = {name: options[name] for name in ("cache", "where", "notice") if name in options}
    kept["proxy"] = None if isinstance(given, str) else given
    return _together(places, at_once, first, begin, watch, kept)


def _refuse_taken(directory: Path, places: list[Path]) -> None:
    """Refuse a directory that holds more than what a start leaves that was stopped before it had begun.

    Raises:
        RunError: names what it holds, and how to go on with it.
    """
    try:
        for path in sorted(directory.iterdir()) if directory.is_dir() else []:
            if path not in places or not path.is_dir() or held(path):
                raise RunError(
                    f"{directory}: expected a new or empty directory for the runs; it holds {path.name}; give another "
                    f"one with --run, or go on with the searches there: codesign resume {directory}"
                )
    except OSError as error:
        raise RunError(f"{directory}: cannot be read: {error.strerror}") from error


def resume(places: Sequence[str | Path], *, watch: Watcher, at_once: int = 1, **options: Any) -> list[Run]:
    """Go on with runs, and return them.

    Args:
        places: directories or URLs of the runs.
        watch: as in `resuming.resume`; called for the searches of this process.
        at_once: as in `search`.
        options: as in `resuming.resume`.

    Raises:
        CodesignError: as there.
    """

    def first(watch: Watcher, where: Where) -> Run:
        return resuming.resume(places[0], watch=watch, **options | {"where": where})

    return _together(places, at_once, first, steps.nobody, watch, options)


def _together(
    places: Sequence[str | Path],
    at_once: int,
    first: Callable[[Watcher, Where], Run],
    begin: Watcher,
    watch: Watcher,
    options: dict[str, Any],
) -> list[Run]:
    """Do the first search here; the others afterwards, or in other processes from the moment when it has begun."""
    at_once = min(whole("at once", at_once, 1), len(places))
    notice = options.get("notice", quiet)
    with beside.divided(options.get("where", HERE), at_once) as where, beside.Others(at_once, notice) as others:

        def begun(state: Progress) -> None:
            begin(state)
            if at_once > 1:
                others.start(places[1:], _as_flags(options | {"where": where}))
            watch(state)

        found = first(begun, where)
        if at_once == 1:
            return [found, *(resuming.resume(place, watch=watch, **options) for place in places[1:])]
        others.wait()
    return [found, *(open_run(place) for place in places[1:])]


def _as_flags(options: dict[str, Any]) -> dict[str, object]:
    """Return options of `resuming.resume` as those of `codesign resume`."""
    where = options["where"]
    names = ("budget", "patience", "plateau", "cache")
    workers = {"ray": where.ray, "workers": where.workers, "gpus": where.gpus or None}
    return {name: options.get(name) for name in names} | workers
