"""Fixtures that several test modules use."""

import os
import signal
from pathlib import Path

import pytest

# A test measures what it says; those of the cache name a directory. Commands that tests start inherit it.
os.environ["CODESIGN_CACHE"] = "none"

_SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_SHARED_PEERS = _SHARED_DATA.parent / "peers"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of measured data beside the checkout; tests that need it are skipped where it is absent."""
    if not _SHARED_DATA.is_dir():
        pytest.skip("the measured data of the project (../shared/data) is not on this machine")
    return _SHARED_DATA


@pytest.fixture(scope="session")
def shared_peers() -> Path:
    """Return the folder of other tools' results beside the checkout; tests that need it are skipped without it."""
    if not _SHARED_PEERS.is_dir():
        pytest.skip("the results of other tools (../shared/peers) are not on this machine")
    return _SHARED_PEERS


@pytest.fixture(scope="session", autouse=True)
def _listen_to_control_c() -> None:
    """Undo what a shell does to its background jobs: tests send Ctrl-C to themselves and to their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
