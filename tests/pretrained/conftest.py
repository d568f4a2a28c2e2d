"""Fixtures of checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign.pretrained.model import Checkpoint
from tests.pretrained.networks import KINDS, published


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Checkpoint]]:
    """One checkpoint of every kind, read back from where transformers wrote it. Not to be changed."""
    folder = tmp_path_factory.mktemp("published")
    return {kind: (folder / kind, published(kind, folder / kind)) for kind in KINDS}


@pytest.fixture(params=KINDS)
def checkpoint(request: pytest.FixtureRequest, checkpoints: dict[str, tuple[Path, Checkpoint]]) -> Checkpoint:
    """Return a checkpoint of each kind in turn."""
    return checkpoints[request.param][1]
