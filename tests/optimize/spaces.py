"""Search spaces made from the shipped `tiny` one, and stand-ins for what a search evaluates."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from codesign.design import FloatArray, IntArray
from codesign.shipped import shipped_text
from codesign.space import SearchSpace
from codesign.space_file import parse_space

ONE_DESIGN = {
    "layers = { choices = [1, 2] }": "layers = 2",
    "hidden = { choices = [64, 96, 128] }": "hidden = 128",
    "heads = { choices = [1, 2], per_layer = true }": "heads = 2",
    "ffn = { choices = [128, 192, 256, 512], per_layer = true }": "ffn = 512",
    "pe_rows = { choices = [4, 8] }": "pe_rows = 8",
    "pe_cols = { choices = [4, 8] }": "pe_cols = 8",
    'dataflow = { choices = ["weight_stationary", "output_stationary"] }': 'dataflow = "weight_stationary"',
    "scratchpad_kib = { choices = [4, 16] }": "scratchpad_kib = 16",
    "accumulator_kib = { choices = [4, 16] }": "accumulator_kib = 16",
    "dram_bytes_per_cycle = { choices = [2, 4] }": "dram_bytes_per_cycle = 4",
}
"""Fixes every gene of `tiny` at its baseline."""

NOTHING_FEASIBLE = {"[baseline.model]": "[limits]\nperplexity = { max = 2.0 }\n\n[baseline.model]"}
"""A limit that no design of `tiny` meets, and that only the evaluations can show."""


def tiny_text(*changes: dict[str, str]) -> str:
    """The text of the shipped space `tiny` with pieces replaced; later changes win."""
    text = shipped_text("tiny")
    for old, new in {old: new for change in changes for old, new in change.items()}.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def space_of(text: str, name: str = "test") -> SearchSpace:
    """The search space that a text describes."""
    return parse_space(text, name, "test").content


@cache
def tiny() -> SearchSpace:
    """The shipped space `tiny`: 13,824 designs."""
    return space_of(tiny_text(), "tiny")


def very_small(*free: str) -> SearchSpace:
    """`tiny` with all genes fixed except those whose key is named."""
    fixed = {old: new for old, new in ONE_DESIGN.items() if old.split(" ")[0] not in free}
    return space_of(tiny_text(fixed))


def write_space(directory: Path, *changes: dict[str, str], name: str = "mine") -> Path:
    """Write a changed `tiny` as a file and return its path."""
    path = directory / f"{name}.toml"
    path.write_text(tiny_text(*changes))
    return path


def conflicting(genomes: IntArray, space: SearchSpace) -> FloatArray:
    """(n, 2) objectives of which each is best where the other is worst."""
    share = genomes / np.maximum(space.sizes - 1, 1)
    return np.stack([1.0 + share.sum(axis=1), 1.0 + (1.0 - share).sum(axis=1)], axis=1)
