"""Small searches whose reports are looked at from several sides; each is made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codesign.design import ModelShape
from codesign.optimize.loop import search
from codesign.run import Run

TINY = Path(__file__).resolve().parents[2] / "search_spaces" / "tiny.toml"


def size_error(shape: ModelShape) -> dict[str, np.ndarray]:
    """A user's proxy without error estimates: the larger the FFNs, the smaller the error."""
    return {"error": 1.0 / np.sqrt(shape.ffn.sum(axis=(1, 2)))}


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search with the shipped surrogate."""
    directory = tmp_path_factory.mktemp("report") / "tiny-run"
    return search("tiny", "gemmini_40nm", algorithm="nsga2", directory=directory, budget=300, population=50)


@pytest.fixture(scope="session")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same space from another seed."""
    directory = tmp_path_factory.mktemp("report") / "other-run"
    return search("tiny", "gemmini_40nm", algorithm="nsga2", directory=directory, budget=200, population=50, seed=7)


@pytest.fixture(scope="session")
def error_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search with a user's proxy: metric "error", no standard errors."""
    directory = tmp_path_factory.mktemp("report")
    space = directory / "sized.toml"
    space.write_text(TINY.read_text().replace('"perplexity"', '"error"'))
    return search(str(space), "unit", proxy=size_error, directory=directory / "run", budget=150, population=50)


@pytest.fixture(scope="session")
def hopeless_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A search in which nothing is feasible, of a space whose description would end a script element."""
    directory = tmp_path_factory.mktemp("report")
    space = directory / "hopeless.toml"
    text = TINY.read_text().replace("Decoders of", "</script><b>Decoders</b> & {{data}} of")
    space.write_text(text.replace("[scenario]", "[limits]\nperplexity = { max = 1.5 }\n\n[scenario]"))
    return search(str(space), "unit", directory=directory / "<i>run", budget=60, population=30)
