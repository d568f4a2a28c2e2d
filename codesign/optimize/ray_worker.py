"""What runs in a worker process of a Ray cluster: it finds the proxy once and then measures what it is sent."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from dataclasses import dataclass

from codesign import __version__
from codesign.accuracy.proxy import Proxy, resolve
from codesign.design import ModelShape
from codesign.errors import InputError, ProxyError
from codesign.optimize.pool import Answer, attempt, explained, row_of


@dataclass(frozen=True)
class Greeting:
    """What a worker says when it has started."""

    node: str
    """Ray's name of its machine."""
    process: int
    """Id of its process there."""
    versions: dict[str, str]
    failure: str
    """Why it cannot find the proxy; empty if it can."""

    def check(self) -> None:
        """Refuse a worker that would measure something else than this process, or nothing.

        Raises:
            InputError: it has other versions.
            ProxyError: it cannot find the proxy.
        """
        different = [
            f"{name} {self.versions[name]} instead of {ours}"
            for name, ours in versions().items()
            if self.versions[name] != ours
        ]
        if different:
            raise InputError(f"ray: a worker has {', '.join(different)}; install the same on every machine")
        if self.failure:
            raise ProxyError(f"a worker cannot find the proxy that this process found:\n{self.failure}")


@dataclass(frozen=True)
class Report:
    """What a worker says of the shapes that it was sent."""

    answers: list[Answer]
    seconds: float
    """That measuring took."""


class Worker:
    """One process that measures shapes, one portion after the other."""

    def __init__(self, proxy: str | Proxy, directory: str) -> None:
        """Take what is measured with.

        Args:
            proxy: its name, by which it is found here, or the proxy.
            directory: where the search was started; names of files are relative to it, if it is there.
        """
        os.environ["OMP_NUM_THREADS"] = "1"  # a worker has one core; torch reads it when it is imported
        with suppress(OSError):  # Ray has unpacked a job's own directory elsewhere, and started the worker in it
            os.chdir(directory)
        self._wanted = proxy
        self._proxy: Proxy | None = None

    def greet(self) -> Greeting:
        """Find the proxy, and say who and where this is."""
        import ray

        failure = ""
        try:
            self._proxy = resolve(self._wanted) if isinstance(self._wanted, str) else self._wanted
        except Exception as error:  # a user's module may raise anything while it is imported
            failure = explained(error)
        return Greeting(ray.get_runtime_context().get_node_id(), os.getpid(), versions(), failure)

    def measure(self, pieces: list[ModelShape]) -> Report:
        """Measure shapes, piece by piece; what fails in a piece is measured alone. Nothing is tried twice."""
        assert self._proxy is not None
        start, answers = time.perf_counter(), list[Answer]()
        for shape in pieces:
            found = attempt(self._proxy, shape)
            if len(shape) > 1 and found[0].failure:
                found = [attempt(self._proxy, row_of(shape, row))[0] for row in range(len(shape))]
            answers += found
        return Report(answers, time.perf_counter() - start)


def versions() -> dict[str, str]:
    """Return what has to be the same wherever a search measures."""
    import ray

    return {"codesign": __version__, "Python": platform.python_version(), "ray": ray.__version__}
