"""Connecting to a Ray cluster: what is wrong is said, and without a wish for a cluster Ray is not imported."""

from __future__ import annotations

import socket
import sys

import pytest

from codesign import cluster
from codesign.cluster import NoClusterError, connected
from codesign.errors import InputError


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package there is no cluster, and the message says how to install it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(NoClusterError, match="the package ray is not installed"), connected("local"):
        pass


@pytest.mark.parametrize("auto", [False, True])
def test_an_address_without_a_cluster_is_told_at_once(auto: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there: no minute of waiting, whether the address was given or is in the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(NoClusterError, match=f"ray: no cluster answers at {address}"):  # noqa: SIM117
        with connected("auto" if auto else address):
            pass


def test_other_versions_are_told() -> None:
    """Ray's own check becomes one message that says what to do; nothing falls back from it."""
    error = RuntimeError("Version mismatch: The cluster was started with: Ray: 2.55.0 Python: 3.12.1")
    found = cluster._refusal("head:6379", error)
    assert isinstance(found, InputError)
    assert not isinstance(found, NoClusterError)
    assert "'head:6379' and this process have different versions of Ray or Python; install the same" in str(found)
    assert "Python: 3.12.1" in str(found)


def test_a_refused_token_is_told() -> None:
    """A cluster that knows us not is no reason to go on without it."""
    from ray.exceptions import AuthenticationError

    found = cluster._refusal("head:6379", AuthenticationError("wrong token"))
    assert not isinstance(found, NoClusterError)
    assert "does not accept this process's token: wrong token" in str(found)
