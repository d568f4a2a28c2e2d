"""Settings of the whole process that make training on a CPU faster and change no number."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # malloc.h
_LARGEST = 2**31 - 1


def yield_waiting_threads() -> None:
    """Let threads that wait sleep instead of spin; to be called before torch is imported, which reads it once.

    On cores that other processes use too, spinning made two threads nine times slower than this.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def one_thread_an_operation() -> None:
    """Let torch work with one thread; to be called before torch is imported, which reads it once.

    For work that is shared out among cores by the piece. `torch.set_num_threads` is not enough: it leaves the linear
    algebra library's threads, which wait for each other, and on busy cores that was twenty times slower.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def keep_freed_memory() -> None:
    """Keep freed memory in the process.

    Steps allocate tensors of megabytes again and again. The C library returns each to the system and takes it back
    page by page; told to keep them, language-model steps are up to 1.5 times faster. Nothing is done where the C
    library is not glibc. Work on tensors of ever other sizes needs `FREED.bound` besides.
    """
    with suppress(OSError, AttributeError):  # another C library
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, _LARGEST)


KEPT_AT_MOST = 256 * 2**20
"""Bytes by which a process that measures may grow before freed memory goes back to the system."""


@dataclass
class FreedMemory:
    """Returns freed memory to the system once the process has grown by so much.

    A thousand sub-networks in a row, each of other sizes, left a process that used 120 MB with 1.5 GB and growing: the
    C library does not fit the next one's aligned tensors into the holes of the last one's. Returning the holes' pages
    now and then is free; returning them each time makes a third of the time page faults.
    """

    after: int = 0
    """Bytes of the process in memory when it last returned some, or fewer."""

    def bound(self) -> None:
        """Return freed memory if there may be much. Nothing is done where there is neither glibc nor /proc."""
        with suppress(OSError, AttributeError):  # another system or C library
            now = _resident()
            if now > self.after + KEPT_AT_MOST:
                ctypes.CDLL(None).malloc_trim(0)
                now = self.after = _resident()
            self.after = min(self.after, now)


FREED = FreedMemory()
"""Of this process."""


def _resident() -> int:
    """Return the bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
