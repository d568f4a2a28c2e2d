"""A pool of long-lived workers on a Ray cluster; it survives the death of workers and of machines.

Each worker is an actor with one core that has one portion of shapes at a time. A worker that dies is replaced by a new
one, which Ray starts wherever there is room, now or later. What it had is measured again, each shape alone. A shape
that was alone when its worker died has failed one attempt, unless the machine was lost: that is nobody's fault. So a
shape that kills its worker is found out, and those that were sent with it are not blamed.

Workers are replaced here, rather than restarted by Ray: it would fail calls to a worker that is being restarted, and a
new one says by its greeting when it can measure.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, NodeDiedError, RayActorError, RayError, RayTaskError

from codesign.accuracy.protocol import Proxy
from codesign.design import ModelShape
from codesign.errors import InputError
from codesign.optimize.pool import ATTEMPTS, Answer, failed
from codesign.optimize.portions import Item, Portions, pieces
from codesign.optimize.ray_cluster import cannot_start, living_nodes, resources, resources_told, sent
from codesign.optimize.ray_worker import Greeting, Report, Worker

LOOK_EVERY = 1.0
"""Seconds between looks at the clock while nothing comes."""

TELL_AFTER = 15.0
"""Seconds without any worker after which that is said."""

KILLED = (
    f"The process that measured it died {ATTEMPTS} times: it ran out of memory, or ended itself; nothing was raised."
)


@dataclass(frozen=True)
class RaySettings:
    """Which workers a pool has."""

    workers: int | None = None
    """How many; None = one for each core that the cluster has when the search begins."""
    gpus: float = 0.0
    """Share of a GPU that each has."""
    patience: float = 600.0
    """Seconds without any worker after which the search gives up."""


@dataclass(frozen=True)
class _Worker:
    actor: Any
    node: str = ""


class RayPool:
    """Measures on the workers of the cluster that this process is connected to, see `cluster.connected`."""

    def __init__(
        self, proxy: str | Proxy, settings: RaySettings | None = None, notice: Callable[[str], None] = lambda _: None
    ) -> None:
        """Start the workers; nobody waits for them here.

        Args:
            proxy: name by which each worker finds it, or the proxy, which is sent to the cluster once.
            settings: which workers.
            notice: told in a sentence when there are no workers, and when there are again.

        Raises:
            InputError: the cluster has no core.
            ProxyError: a proxy that cannot be sent.
        """
        settings = settings or RaySettings()
        self._settings, self._notice = settings, notice
        self._look_every = min(LOOK_EVERY, settings.patience / 4)
        self.size = settings.workers or int(resources().get("CPU", 0))
        if self.size < 1:
            raise InputError("workers: the cluster has no core; start a node, or say --workers")
        self._proxy = proxy if isinstance(proxy, str) else sent(proxy)
        # Once: each call of `ray.remote` sends the class to the cluster again.
        self._kind: Any = ray.remote(num_cpus=1, num_gpus=settings.gpus, scheduling_strategy="SPREAD")(Worker)
        self._portions = Portions()
        self._starting: dict[Any, _Worker] = {}
        self._idle: list[_Worker] = []
        self._flights: dict[Any, tuple[_Worker, list[Item]]] = {}
        self._tickets = self._open = self._deaths = 0
        self._lonely_since, self._told = time.monotonic(), False
        for _ in range(self.size):
            self._start()

    @property
    def seconds_each(self) -> float:
        """Mean time that a worker takes for a shape; NaN before anything was measured."""
        return self._portions.seconds_each

    def submit(self, shape: ModelShape) -> list[int]:
        """See `Pool.submit`."""
        tickets = list(range(self._tickets, self._tickets + len(shape)))
        self._tickets += len(shape)
        self._open += len(shape)
        self._portions.add(Item(ticket, shape, row) for row, ticket in enumerate(tickets))
        self._feed()
        return tickets

    def answers(self, block: bool = True) -> list[tuple[int, Answer]]:
        """See `Pool.answers`.

        Raises:
            InputError: a worker has other versions, or cannot start; there was none for longer than the patience.
            ProxyError: a worker cannot find the proxy.
        """
        found: list[tuple[int, Answer]] = []
        while self._open:
            for ref in self._arrived(self._look_every if block else 0.0):
                found += self._land(ref) if ref in self._flights else self._meet(ref)
            self._feed()
            if found or not block:
                break
            self._check_patience()
        self._open -= len(found)
        return found

    def close(self) -> None:
        """See `Pool.close`; the workers end."""
        for worker in [*self._starting.values(), *self._idle, *(worker for worker, _ in self._flights.values())]:
            ray.kill(worker.actor)
        self._portions.clear()
        self._starting, self._idle, self._flights, self._open = {}, [], {}, 0

    def _start(self) -> None:
        """Ask Ray for one more worker."""
        actor = self._kind.remote(self._proxy, os.getcwd())
        self._starting[actor.greet.remote()] = _Worker(actor)

    def _arrived(self, timeout: float) -> list[Any]:
        """Return the calls that are done: all of them, or the first that is within the timeout."""
        calls = [*self._flights, *self._starting]
        done, rest = ray.wait(calls, num_returns=len(calls), timeout=0)
        if not done and timeout:
            done, _ = ray.wait(rest, num_returns=1, timeout=timeout)
        return list(done)

    def _feed(self) -> None:
        """Give every idle worker a portion."""
        ready = len(self._idle) + len(self._flights)
        while self._idle and (items := self._portions.next(ready)):
            worker = self._idle.pop()
            self._flights[worker.actor.measure.remote(pieces(items))] = (worker, items)

    def _meet(self, ref: Any) -> list[tuple[int, Answer]]:
        """Take in a worker that has started, or replace it."""
        worker = self._starting.pop(ref)
        try:
            greeting: Greeting = ray.get(ref)
        except RayTaskError as error:
            raise cannot_start(error) from None
        except RayError as error:
            if isinstance(error, RayActorError) and error.actor_init_failed:
                raise cannot_start(error) from None
            self._replace(worker)
            return []
        greeting.check()
        self._idle.append(_Worker(worker.actor, greeting.node))
        if self._told:
            self._notice("workers are there again; the search goes on")
        self._told = False
        return []

    def _land(self, ref: Any) -> list[tuple[int, Answer]]:
        """Take the answers of a portion; what failed and has attempts left is measured again."""
        worker, items = self._flights.pop(ref)
        try:
            report: Report = ray.get(ref)
        except RayTaskError as error:  # not raised by the proxy, that is an answer: what was sent cannot be read
            self._idle.append(worker)
            return self._tried([(item, failed(str(error))) for item in items])
        except RayError as error:
            blamed = len(items) == 1 and not self._blameless(error, worker)
            self._replace(worker)
            if blamed:
                return self._tried([(items[0], failed(KILLED))])
            self._portions.suspect(items)
            return []
        self._portions.took(report.seconds, len(items))
        self._idle.append(worker)
        return self._tried(list(zip(items, report.answers, strict=True)))

    def _tried(self, found: list[tuple[Item, Answer]]) -> list[tuple[int, Answer]]:
        """Return the answers that stand; a failure stands after the last attempt."""
        final: list[tuple[int, Answer]] = []
        for item, answer in found:
            item.attempts += bool(answer.failure)
            if answer.failure and item.attempts < ATTEMPTS:
                self._portions.suspect([item])
            else:
                final.append((item.ticket, answer))
        return final

    def _blameless(self, error: RayError, worker: _Worker) -> bool:
        """Whether a worker died with its machine, or only cannot be reached."""
        if isinstance(error, ActorUnavailableError | NodeDiedError) or getattr(error, "preempted", False):
            return True
        return worker.node not in living_nodes()

    def _replace(self, worker: _Worker) -> None:
        ray.kill(worker.actor)  # it may live on where it cannot be reached
        self._deaths += 1
        if not self._deaths & (self._deaths - 1):  # the 1st, 2nd, 4th, 8th, ...
            self._notice(f"workers died: {self._deaths} so far; what they had is measured again")
        if not self._idle and not self._flights:
            self._lonely_since = time.monotonic()
        self._start()

    def _check_patience(self) -> None:
        """Say so if there has been no worker for a while, and give up after the patience."""
        if self._idle or self._flights:
            self._lonely_since = time.monotonic()
            return
        lonely, patience = time.monotonic() - self._lonely_since, self._settings.patience
        if lonely > patience:
            raise InputError(
                f"ray: no worker for {patience:g} s; the cluster has {resources_told()}, a worker needs 1 CPU and "
                f"{self._settings.gpus:g} GPU; what was measured is kept"
            )
        if lonely > min(TELL_AFTER, patience / 2) and not self._told:
            self._told = True
            self._notice(
                f"no worker is there; waiting {patience:g} s for new ones (the cluster has {resources_told()})"
            )
