"""A cluster of two nodes on this machine, a search on it in a process of its own, and what may befall them.

Only processes that were started here are killed: workers are found among the children of our nodes.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from codesign.lines import whole_length
from codesign.record import EVALUATIONS
from codesign.run import MANIFEST

from .searches import ROOT, command

KILLS = ("worker", "driver", "node")

DECK = ["worker"] * 15 + ["driver"] * 4 + ["node"] * 3 + ["full disk"] * 3
"""What befalls a search, in an order that is drawn; then again. So none is missing by chance."""

FULL = f"cannot be written: {os.strerror(errno.EFBIG)}"
"""What the driver says of a disk without room."""

LEAST_FILE = 50_000
"""Bytes that other files of the driver may need."""

HASTE = 0.3
"""How often something happens whether or not there was anything recorded since, also while a driver starts."""

PACE = 0.75
"""Share of the search by which there should have been enough: what cannot be done just now is not made up for."""

TORN = 0.5
"""How often a torn line is left after a driver."""

PATIENCE = 300.0
"""Seconds that a driver may take to its end when nothing disturbs it any more."""


@dataclass
class Nodes:
    """A head, which nobody kills, and a second node, which comes and goes."""

    cluster: Any
    second: Any

    @property
    def address(self) -> str:
        """Of the head."""
        return str(self.cluster.address)

    def workers(self) -> list[int]:
        """Processes that measure, or that start to."""
        raylets = [node.all_processes["raylet"][0].process.pid for node in self.cluster.list_all_nodes()]
        return [child for raylet in raylets for child in children(raylet) if named(child, "ray::Worker")]

    def kill_second(self) -> None:
        """Lose a machine with all that runs there."""
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = None

    def complete(self) -> None:
        """Start the second node if it is not there."""
        self.second = self.second or self.cluster.add_node(num_cpus=2)


@contextmanager
def nodes() -> Iterator[Nodes]:
    """Start the cluster; this process is not connected to it."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        yield Nodes(cluster, cluster.add_node(num_cpus=2))
    finally:
        cluster.shutdown()


def children(parent: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it may have ended by now
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def named(process: int, start: str) -> bool:
    """Whether a process has a command line that starts so."""
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().startswith(start.encode())
    return False


@dataclass
class Chaos:
    """A search that is disturbed at random, and started again whenever it has ended before its end."""

    nodes: Nodes
    directory: Path
    search: tuple[str, ...]
    """Arguments of the command that begins it, but for the directory."""
    budget: int
    kills: int
    """Of workers, drivers and nodes together, spread over the budget."""
    rng: np.random.Generator
    happened: Counter[str] = field(default_factory=Counter)
    _deck: list[str] = field(default_factory=list)
    _kept: bytes = b""
    """Whole lines of the record when a driver had ended."""
    _filled: bool = False
    """Whether there is no room, and the driver has not noticed yet."""
    _awaited: int = 0
    """Events until the second node comes back."""

    def run(self) -> None:
        """Search until a driver ends by itself."""
        ended = False
        while not ended:
            with self._said.open("wb") as file:
                driver = subprocess.Popen(self._command(), cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
            try:
                self._disturb(driver)
                ended = self._ended(driver.wait(timeout=PATIENCE))
            finally:
                driver.kill()
                driver.wait()

    @property
    def _said(self) -> Path:
        """What the last driver printed."""
        return self.directory.with_suffix(".said")

    @property
    def _record(self) -> Path:
        return self.directory / EVALUATIONS

    def _command(self) -> list[str]:
        """Go on as the messages say: resume where there is a run, else search again in the same place."""
        begun = (self.directory / MANIFEST).exists()
        what = ("resume", self.directory) if begun else (*self.search, "--run", self.directory)
        return command(*what, "--ray", self.nodes.address, "--workers", "3")

    def _whole(self) -> bytes:
        """The whole lines of the record."""
        data = self._record.read_bytes() if self._record.exists() else b""
        return data[: whole_length(data)]

    def _disturb(self, driver: subprocess.Popen[bytes]) -> None:
        """Let one thing after the other happen until the driver has ended, or there were enough."""
        while (left := self.kills - sum(self.happened[kind] for kind in KILLS)) > 0:
            self._wait(driver, left)
            if driver.poll() is not None:
                return
            self._awaited -= 1
            if self._awaited <= 0:
                self.nodes.complete()
            self._deck = self._deck or self.rng.permutation(DECK).tolist()
            self._let(self._deck.pop(), driver)

    def _wait(self, driver: subprocess.Popen[bytes], left: int) -> None:
        """Wait until some more designs are recorded, or at times for a while; at most until the driver has ended."""
        done = self._whole().count(b"\n")
        least = done + self.rng.integers(1, 2 + 2 * max(int(PACE * self.budget) - done, 0) // left)
        deadline = time.monotonic() + (self.rng.uniform(0.0, 6.0) if self.rng.random() < HASTE else PATIENCE)
        while driver.poll() is None and time.monotonic() < deadline and self._whole().count(b"\n") < least:
            time.sleep(0.01)

    def _let(self, kind: str, driver: subprocess.Popen[bytes]) -> None:
        """Let something happen, if it can just now."""
        if kind == "worker":
            workers = self.nodes.workers()
            if not workers:
                return
            with suppress(ProcessLookupError):
                os.kill(int(self.rng.choice(workers)), signal.SIGKILL)
        elif kind == "node":
            if self.nodes.second is None:
                return
            self.nodes.kill_second()
            self._awaited = int(self.rng.integers(1, 4))
        elif kind == "driver":
            driver.send_signal(signal.SIGKILL)
            if driver.wait() == 0:
                return
        else:
            room = max(len(self._whole()), LEAST_FILE) + int(self.rng.integers(0, 3000))
            with suppress(ProcessLookupError):
                resource.prlimit(driver.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
            self._filled = True
            return  # counted when the driver has noticed
        self.happened[kind] += 1

    def _ended(self, code: int) -> bool:
        """Whether the search is at its end; otherwise see what is left of its record, and tear its end at times."""
        said = self._said.read_text(errors="replace")
        if code == 2 and FULL in said:
            how = f"evaluations are kept; make room, then: codesign resume {self.directory}\n"
            assert "/report.html: " in said or (f"/{EVALUATIONS}: {FULL}; " in said and how in said), said
            self.happened["full disk"] += 1
            self._filled = False
        else:
            assert code in (0, -signal.SIGKILL), f"{code}: {said}"
        if self._filled:  # it was killed before it noticed: once more
            self._filled = False
            self._deck.append("full disk")
        whole = self._whole()
        assert whole.startswith(self._kept), "lines that were recorded are gone"
        self._kept = whole
        if code != 0 and self._record.exists() and self.rng.random() < TORN:
            self._tear(whole.rpartition(b"\n")[0].rpartition(b"\n")[2] or b"{")
        return code == 0

    def _tear(self, line: bytes) -> None:
        """Leave a part of a line at the end of the record, as when the machine had stopped: of text, or of nothing."""
        part = line[: self.rng.integers(1, len(line) + 1)]
        with self._record.open("ab") as file:
            file.write(part if self.rng.random() < 0.7 else bytes(len(part)))
        self.happened["torn line"] += 1
