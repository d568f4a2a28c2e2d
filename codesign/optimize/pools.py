"""Which pool a search measures with: in this process, or on the workers of a Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from codesign.accuracy.cache import Cached, uncached
from codesign.accuracy.protocol import Proxy
from codesign.cluster import NoClusterError, connected
from codesign.design import ModelShape
from codesign.errors import InputError
from codesign.evaluation import Evaluator
from codesign.optimize.cached_pool import CachedPool
from codesign.optimize.pool import InProcess, Pool

FASTER_HERE = 0.001
"""Seconds an evaluation below which it is measured in this process: sending it and recording it take as long."""

PROBES = 32
"""Shapes at once by which a fast proxy is timed."""

PROBED_IN = 0.05
"""Seconds of one evaluation above which it is not timed in a batch."""


@dataclass(frozen=True)
class Where:
    """Where a search measures."""

    ray: str | None = None
    """None = in this process, unless `workers` are asked for; "local", an address, or "auto" (see `cluster`), which
    falls back to this process where there is no cluster, or where that is faster."""
    workers: int | None = None
    """Of the cluster; None = one a core."""
    gpus: float = 0.0
    """Share of a GPU that each worker has."""
    patience: float = 600.0
    """Seconds without any worker after which the search gives up."""

    def __post_init__(self) -> None:
        if self.ray is not None and not self.ray.strip():
            raise InputError(f"ray: expected 'local', 'auto' or the address of a running cluster, got {self.ray!r}")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"workers: expected at least 1, got {self.workers}")
        if not 0 <= self.gpus < np.inf:
            raise InputError(f"gpus: expected a share of a GPU for each worker, such as 0.25, got {self.gpus}")
        if self.gpus and not self.address:
            raise InputError("gpus: expected with ray or workers; in this process the proxy takes what it finds")

    @property
    def address(self) -> str | None:
        """Of the cluster; workers without an address are started here."""
        return self.ray or ("local" if self.workers else None)


HERE = Where()
"""Quality is measured in this process."""

Notice = Callable[[str], None]
"""Told in a sentence what a user wants to know."""


def quiet(_: str) -> None:
    """Say nothing."""


@contextmanager
def opened(
    where: Where,
    proxy: Proxy,
    name: str | None,
    shape: ModelShape,
    notice: Notice = quiet,
) -> Iterator[Pool]:
    """Open a pool for the time of a search.

    Args:
        where: what the user asked for.
        proxy: what measures in this process; not one that remembers.
        name: what a worker finds it by; None = it was given as an object, which is sent.
        shape: one shape, such as the baseline; with "auto", it is measured to see how long that takes.
        notice: told in a sentence what a user wants to know.

    Raises:
        NoClusterError: no cluster there, unless "auto" was asked for.
        InputError: the cluster refuses us, or has no worker for us.
        ProxyError: the proxy cannot be sent, or a worker cannot find it.
    """
    if where.address is None:
        yield InProcess(proxy)
        return
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(connected(where.address, where.workers))
        except NoClusterError as error:
            if where.address != "auto":
                raise
            notice(f"measuring in this process: {error}")
            yield InProcess(proxy)
            return
        if where.address == "auto" and (each := seconds_each(proxy, shape)) < FASTER_HERE:
            notice(f"measuring in this process: an evaluation takes {1e3 * each:.2g} ms, workers would be no faster")
            yield InProcess(proxy)
            return
        # Here and not above: without a cluster, nothing needs the package.
        from codesign.optimize.ray_pool import RayPool, RaySettings

        settings = RaySettings(where.workers, where.gpus, where.patience)
        pool = RayPool(proxy if name is None else name, settings, notice)
        stack.callback(pool.close)
        notice(f"measuring on the Ray cluster at {cluster}, workers: {pool.size}")
        yield pool


@contextmanager
def pool_of(where: Where, evaluator: Evaluator, name: str | None, notice: Notice) -> Iterator[Pool]:
    """Open what measures for a search, behind the cache of answers if there is one; see `opened`."""
    proxy = evaluator.proxy.proxy
    quality = evaluator.proxy.metric[0]
    with opened(where, uncached(proxy), name, evaluator.space.baseline.shape, notice) as pool:
        yield CachedPool(pool, proxy, quality) if isinstance(proxy, Cached) else pool


def seconds_each(proxy: Proxy, shape: ModelShape) -> float:
    """Return what measuring a shape takes here: alone, or if that is short in a batch of PROBES."""
    start = time.perf_counter()
    proxy.predict(shape)
    alone = time.perf_counter() - start
    if alone > PROBED_IN:
        return alone
    start = time.perf_counter()
    proxy.predict(shape.take(np.zeros(PROBES, dtype=np.int64)))
    return (time.perf_counter() - start) / PROBES
