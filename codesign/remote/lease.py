"""Who writes to a run on another storage: one process, which says so in an object and again while it lives.

Storages have no locks. Two processes that start in the same second are told apart as well as the storage can; the one
that loses stops before its next portion. The ages of leases need clocks that agree within seconds.
"""

from __future__ import annotations

import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from codesign.errors import RunError
from codesign.remote.store import Store

LEASE = "writer.json"

LEASE_S = 120.0
"""Seconds without a sign of life after which another process may write."""

RENEW_S = 20.0
"""Seconds between two signs of life."""


def awake_or_not() -> float:
    """Return seconds of a clock that also counts while the machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Holder(msgspec.Struct, frozen=True):
    """The content of the object."""

    host: str
    pid: int
    token: str
    """Random: of this process and lease."""
    copy: str
    """Of the working copy; who has the lock of that is the only one who uses it."""
    time: float
    """Of the last sign of life, seconds since 1970."""


class Lease:
    """The right to write to a run."""

    def __init__(self, store: Store, copy: str) -> None:
        self._store = store
        self._own = Holder(socket.gethostname(), os.getpid(), secrets.token_hex(8), copy, time.time())
        self._renewed = -math.inf
        self._lost: Holder | None = None
        self._ended = threading.Event()
        self._turn = threading.Lock()

    def check(self) -> None:
        """Make sure that the right still holds; asks the storage where that is long ago.

        Raises:
            RunError: another process has taken it, or the storage cannot be reached.
        """
        if self._lost is None and awake_or_not() - self._renewed > LEASE_S / 2:
            self.renew()
        if self._lost is not None:
            raise RunError(
                f"{self._store.url}: process {self._lost.pid} on {self._lost.host} has taken over this run, as nothing "
                f"was heard from here for {LEASE_S:g} s; leave it to that one"
            )

    def renew(self) -> None:
        """Give a sign of life, unless another process has taken over.

        Raises:
            RunError: the storage cannot be reached.
        """
        with self._turn:
            holder = _holder(self._store)
            if holder is not None and holder.token != self._own.token:
                self._lost = holder
                return
            self._write()

    def take(self) -> None:
        """Take the right.

        Raises:
            RunError: another process has it, or the storage cannot be reached.
        """
        if self._store.create(LEASE, self._text()):
            self._renewed = awake_or_not()
        else:
            self._refuse(_holder(self._store))
            self._write()
        if (holder := _holder(self._store)) is None or holder.token != self._own.token:
            self._refuse(holder)

    def give_back(self) -> None:
        """Let the next writer in at once; where the storage cannot be reached, it has to wait."""
        with suppress(RunError), self._turn:
            holder = _holder(self._store)
            if holder is not None and holder.token == self._own.token:
                self._store.remove(LEASE)

    def _refuse(self, holder: Holder | None) -> None:
        """Refuse if this holder is alive, as far as one can know."""
        if holder is None or holder.copy == self._own.copy:  # it had the lock of the copy that we have now
            return
        left = LEASE_S - (time.time() - holder.time)
        if left > 0:
            raise RunError(
                f"{self._store.url}: process {holder.pid} on {holder.host} is writing to this run; wait for it or stop "
                f"it; if it is gone, another may write {left:.0f} s from now"
            )

    def _write(self) -> None:
        self._store.write(LEASE, self._text())
        self._renewed = awake_or_not()

    def _text(self) -> bytes:
        return msgspec.json.encode(msgspec.structs.replace(self._own, time=time.time()))

    def keep_alive(self) -> None:
        """Give signs of life until the end. What cannot be reached is tried again; `check` tells who writes."""
        while not self._ended.wait(RENEW_S):
            with suppress(RunError):
                self.renew()

    def end(self) -> None:
        """Give no more signs of life."""
        self._ended.set()


def _holder(store: Store) -> Holder | None:
    """Return who has the right; None for nobody, or where the object is torn."""
    text = store.read(LEASE)
    with suppress(msgspec.DecodeError):
        return None if text is None else msgspec.json.decode(text, type=Holder)
    return None


@contextmanager
def leased(store: Store, copy: str) -> Iterator[Lease]:
    """Have the right to write to a run.

    Raises:
        RunError: another process has it, or the storage cannot be reached.
    """
    lease = Lease(store, copy)
    lease.take()
    thread = threading.Thread(target=lease.keep_alive, name="codesign-lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        lease.end()
        thread.join(timeout=1.0)
        lease.give_back()
