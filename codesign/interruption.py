"""Ctrl-C during a search: stop between two batches, say what is kept, and leave with the shell's code for it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from codesign.optimize.loop import Progress, Watcher
from codesign.remote.copies import shown
from codesign.run import Run

INTERRUPTED = 130
"""Exit code of a process that Ctrl-C ended: 128 + SIGINT."""


Found = TypeVar("Found")


def interruptible(start: Callable[[Callable[[Watcher], Watcher]], Found], several: str | None = None) -> Found:
    """Run a search and return what it returns.

    A Ctrl-C that falls into foreign code which swallows it, as compilers do, counts after the batch. Where the parent
    process ignores it for its children (a script's background job), so do we.

    Args:
        start: called with a function that wraps the search's watcher; starts the search.
        several: where the run is one of several, the directory that resumes them all.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return start(lambda watch: watch)
    last: list[Run] = []
    pressed: list[int] = []

    def keep(watch: Watcher) -> Watcher:
        def watcher(state: Progress) -> None:
            last[:] = [state.run]
            watch(state)
            if pressed:
                raise KeyboardInterrupt

        return watcher

    def press(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, press)
    try:
        return start(keep)
    except KeyboardInterrupt:
        kept = "stopped before anything was evaluated"
        if last:
            done, directory = len(last[0].evaluations), shown(last[0].directory)
            counted = f"{done} evaluations are kept" if several is None else "all evaluations are kept"
            kept = f"stopped; {counted}; continue with: codesign resume {several or directory}"
        sys.stderr.write(kept + "\n")
        raise SystemExit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGINT, before)
