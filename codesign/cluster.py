"""Being connected to a Ray cluster; Ray is imported only where a connection is wanted.

An address is "local" (a cluster is started here, and ends with the connection), "auto" (the one that RAY_ADDRESS names
or that runs on this machine, as under `ray job submit` and `ray symmetric-run`), or HOST:PORT.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from codesign.errors import InputError

ANSWERS_WITHIN = 10.0
"""Seconds in which the port of a cluster has to take a connection. Ray itself would wait for a minute and then end the
process, past every handler of errors."""


class NoClusterError(InputError):
    """Ray is not installed, or no cluster runs at an address."""


@contextmanager
def connected(address: str, cpus: int | None = None) -> Iterator[str]:
    """Be connected to a Ray cluster, and yield its HOST:PORT; a connection that is there already is used and left.

    Args:
        address: see above.
        cpus: cores that a cluster started here may use; all of the machine if None.

    Raises:
        NoClusterError: the package is not installed, or no cluster runs there.
        InputError: the cluster refuses the connection, or runs other versions.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise NoClusterError('the package ray is not installed; python -m pip install "ray[train]"') from None
    if ray.is_initialized():
        yield ray.get_runtime_context().gcs_address
        return
    listens = _check_listening(os.environ.get("RAY_ADDRESS", "") if address == "auto" else address)
    _keep_quiet()
    here: dict[str, Any] = {"num_cpus": cpus, "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **here)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise _refusal(address, error, listens) from None
    try:
        yield ray.get_runtime_context().gcs_address
    finally:
        ray.shutdown()


def _check_listening(address: str) -> bool:
    """Refuse HOST:PORT where nothing listens; return whether it was one."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "://" in address:
        return False
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise NoClusterError(f"ray: no cluster answers at {address}: {error}") from None
    return True


def _keep_quiet() -> None:
    """Keep Ray from printing a paragraph for each dead worker: to standard output, amid what `--json` prints."""
    from ray._private import worker

    with suppress(AttributeError):  # another version of Ray
        worker.print_to_stdstream = lambda *_, **__: None


def _refusal(address: str, error: Exception, listens: bool) -> InputError:
    """Return what is told of an error of Ray; `listens`: something took a connection at the address."""
    if "Version mismatch" in str(error):
        return InputError(
            f"ray: the cluster at {address!r} and this process have different versions of Ray or Python; install the "
            f"same on all machines: {error}"
        )
    # Ray says no more than that it failed to connect where a token is missing or wrong.
    if type(error).__name__ == "AuthenticationError" or (listens and isinstance(error, ConnectionError)):
        return InputError(
            f"ray: what listens at {address!r} does not let this process in; expected a Ray cluster and its token "
            f"(RAY_AUTH_MODE, RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, the same everywhere): {error}"
        )
    if address == "auto":
        named = os.environ.get("RAY_ADDRESS")
        where = (
            f"at RAY_ADDRESS, which is {named!r}: {error}" if named else "on this machine, and RAY_ADDRESS names none"
        )
        return NoClusterError(f"ray: no cluster runs {where}")
    expected = "'local', 'auto' or the address of a running cluster"
    return NoClusterError(f"ray: expected {expected}, got {address!r}: {error}")
