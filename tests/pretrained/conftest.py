"""Fixtures of checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from codesign.pretrained.model import Checkpoint
from tests.pretrained.networks import KINDS, published
from tests.pretrained.sentences import write_tokenizer, write_tsv


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Checkpoint]]:
    """One checkpoint of every kind, read back from where transformers wrote it. Not to be changed."""
    folder = tmp_path_factory.mktemp("published")
    return {kind: (folder / kind, published(kind, folder / kind)) for kind in KINDS}


@pytest.fixture(params=KINDS)
def checkpoint(request: pytest.FixtureRequest, checkpoints: dict[str, tuple[Path, Checkpoint]]) -> Checkpoint:
    """Return a checkpoint of each kind in turn."""
    return checkpoints[request.param][1]


@pytest.fixture
def user_files(checkpoints: dict[str, tuple[Path, Checkpoint]], tmp_path: Path) -> Path:
    """Return a folder with a checkpoint and its tokenizer, a TSV and a surgery."""
    shutil.copytree(checkpoints["bert"][0], tmp_path / "model")
    write_tokenizer(tmp_path / "model")
    write_tsv(tmp_path / "task.tsv")
    (tmp_path / "half.toml").write_text("format = 1\n[encoder]\nlayers = [0, 2]\nheads = 2\nffn = [16, 0]\n")
    return tmp_path
