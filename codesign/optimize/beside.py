"""Runs that are resumed at the same time, each by a `codesign resume` of its own, while this process does another.

So each is exactly the search that it is alone: nothing is shared but the cluster that measures and the kept answers,
and one that fails or is killed takes no other with it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from codesign.cluster import NoClusterError, connected
from codesign.errors import RunError
from codesign.optimize.pools import Where


@contextmanager
def divided(where: Where, at_once: int) -> Iterator[Where]:
    """Connect to the cluster, or start it, for the time of several searches; yield where each of them measures.

    Each has the same share of the workers, at least one.

    Raises:
        InputError: as `cluster.connected`.
    """
    if where.address is None or at_once == 1:
        yield where
        return
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(connected(where.address, where.workers))
        except NoClusterError:
            if where.address != "auto":
                raise
            yield where  # each search falls back by itself, and says so
            return
        from codesign.optimize.ray_cluster import resources

        workers = where.workers or int(resources().get("CPU", 1))
        address = cluster if where.address == "local" else where.address
        yield replace(where, ray=address, workers=max(1, workers // at_once))


class Others:
    """Runs resumed in other processes while this one does a search; at most `at_once` in all.

    A context: what ends it early stops them as Ctrl-C does, and waits until they have stopped.
    """

    def __init__(self, at_once: int, notice: Callable[[str], None]) -> None:
        self._notice = notice
        self._here, self._stopped = Event(), Event()
        self._running: set[subprocess.Popen[str]] = set()
        self._pool = ThreadPoolExecutor(at_once)
        self._futures: list[Future[Any]] = [self._pool.submit(self._here.wait)]  # the place of this process's search

    def start(self, places: Sequence[str | Path], options: dict[str, object]) -> None:
        """Start runs, if none was started yet; `options` are those of `codesign resume`, None for absent ones."""
        flags = [f"--{name}={value}" for name, value in options.items() if value is not None]
        if len(self._futures) == 1:
            self._futures += [self._pool.submit(self._resume, str(place), flags) for place in places]

    def wait(self) -> None:
        """Wait until all have ended; the search of this process has.

        Raises:
            RunError: what the first one said that failed; the others have ended too.
        """
        self._here.set()
        wait(self._futures)
        for future in self._futures:
            future.result()

    def __enter__(self) -> Others:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._stopped.set()
            for process in list(self._running):
                process.send_signal(signal.SIGINT)
        self._here.set()
        self._pool.shutdown(cancel_futures=True)

    def _resume(self, place: str, flags: list[str]) -> None:
        command = [sys.executable, "-m", "codesign", "resume", place, *flags]
        # In a session of its own: Ctrl-C in the terminal reaches it once, through us.
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            self._running.add(process)
            if self._stopped.is_set():
                process.send_signal(signal.SIGINT)
            said = process.communicate()[1].strip().splitlines()
            self._running.discard(process)
        if not process.returncode:
            self._notice(f"{place}: finished")
        elif not self._stopped.is_set():
            raise RunError(f"{place}: {said[-1] if said else f'its process ended with {process.returncode}'}")
