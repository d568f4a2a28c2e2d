"""What a Ray cluster has, and what is said when it cannot do what is wanted."""

from __future__ import annotations

from typing import Any

import ray
from ray.exceptions import RayError

from codesign import __version__
from codesign.accuracy.protocol import Proxy
from codesign.errors import InputError, ProxyError


def resources() -> dict[str, float]:
    """Return what the machines that are there have together, by Ray's names."""
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return found


def resources_told() -> str:
    """Return that in words."""
    found = resources()
    return f"{found.get('CPU', 0):g} CPU and {found.get('GPU', 0):g} GPU"


def living_nodes() -> set[str]:
    """Return Ray's names of the machines that are there."""
    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]


def sent(proxy: Proxy) -> Any:
    """Send a proxy to the cluster, once for all workers, and return the reference to it.

    Raises:
        ProxyError: it cannot be pickled.
    """
    try:
        return ray.put(proxy)
    except Exception as error:  # pickling calls a user's code
        reason = error.__cause__ or error  # Ray wraps it in pages of advice
        raise ProxyError(
            f"proxy {proxy.name!r}: cannot be sent to other processes ({type(reason).__name__}: {reason}); "
            "name it as module:function, and each finds it itself"
        ) from error


def cannot_start(error: RayError) -> InputError:
    """Return what is told when a worker fails before it can measure."""
    return InputError(f"ray: a worker cannot start; is codesign {__version__} installed on every machine?\n{error}")
