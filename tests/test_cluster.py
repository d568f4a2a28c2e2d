"""Connecting to a Ray cluster: what is wrong is said, and without a wish for a cluster Ray is not imported."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Any

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
    found = cluster._refusal("head:6379", error, listens=True)
    assert isinstance(found, InputError)
    assert not isinstance(found, NoClusterError)
    assert "'head:6379' and this process have different versions of Ray or Python; install the same" in str(found)
    assert "Python: 3.12.1" in str(found)


def test_a_refused_token_is_told() -> None:
    """A cluster that does not let us in is no reason to go on without it; where nothing listens, there is none."""
    from ray.exceptions import AuthenticationError

    lost = ConnectionError("Failed to connect to Ray cluster at head:6379")
    for error, listens in ((AuthenticationError("wrong token"), False), (lost, True)):
        found = cluster._refusal("head:6379", error, listens=listens)
        assert not isinstance(found, NoClusterError)
        assert "'head:6379' does not let this process in; expected a Ray cluster and its token" in str(found)
    assert isinstance(cluster._refusal("auto", lost, listens=False), NoClusterError)


def test_auto_says_what_it_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no cluster is found nobody is told to say 'auto', which was said; a name in the environment is named."""
    lost = ConnectionError("Could not find any running Ray instance.")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert str(cluster._refusal("auto", lost, listens=False)) == (
        "ray: no cluster runs on this machine, and RAY_ADDRESS names none"
    )
    monkeypatch.setenv("RAY_ADDRESS", "nonsense")
    assert "no cluster runs at RAY_ADDRESS, which is 'nonsense': Could" in str(
        cluster._refusal("auto", lost, listens=False)
    )


CHILD = """
import sys
from codesign.cluster import connected
from codesign.errors import CodesignError

try:
    with connected(sys.argv[1]):
        print("connected")
except CodesignError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.long
def test_a_real_cluster_wants_its_token() -> None:
    """Another process gets in by its address or by the environment, with the token, and only with it."""
    start = "import ray.cluster_utils as u; c = u.Cluster(True); print(c.address, flush=True); input(); c.shutdown()"
    ours = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}

    def told(address: str, **changes: str) -> str:
        command = [sys.executable, "-c", CHILD, address]
        return subprocess.run(
            command, env=ours | changes, capture_output=True, text=True, timeout=120, check=True
        ).stdout

    with subprocess.Popen([sys.executable, "-c", start], env=ours, **pipes) as head:
        assert head.stdout
        address = next(line.strip() for line in head.stdout if ":" in line)
        assert told(address) == "connected\n"
        assert told("auto", RAY_ADDRESS=address) == "connected\n"
        assert told(address, RAY_AUTH_TOKEN="b" * 64).startswith("InputError ray: what listens at")
        head.communicate("\n", timeout=60)
