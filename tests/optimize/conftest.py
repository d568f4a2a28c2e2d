"""Fixtures of the tests of searches."""

from __future__ import annotations

import time

import pytest

from .pools import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that says what measuring took; it stands still but for what a test adds."""
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock
