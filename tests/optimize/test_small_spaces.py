"""Small spaces are searched to the last design."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.optimize.loop import Progress
from codesign.space_file import read_space
from tests.optimize.spaces import write_space

# 216 designs: the model of two layers with few choices, on four accelerators.
FEW = {
    "layers = { choices = [1, 2] }": "layers = 2",
    "heads = { choices = [1, 2], per_layer = true }": "heads = 2",
    "ffn = { choices = [128, 192, 256, 512],": "ffn = { choices = [128, 256, 512],",
    'dataflow = { choices = ["weight_stationary", "output_stationary"] }': 'dataflow = "weight_stationary"',
    "scratchpad_kib = { choices = [4, 16] }": "scratchpad_kib = 16",
    "accumulator_kib = { choices = [4, 16] }": "accumulator_kib = 16",
}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_design_is_evaluated_once(tmp_path: Path, seed: int) -> None:
    """With a budget beyond the space, each design is evaluated exactly once, and the end says so."""
    seen: list[Progress] = []
    run = codesign.search(
        str(write_space(tmp_path, FEW)),
        "unit",
        algorithm="nsga2",
        budget=10_000,
        population=30,
        seed=seed,
        directory=tmp_path / "run",
        watch=seen.append,
    )
    assert len(run.evaluations) == run.space.size() == len(np.unique(run.evaluations.genomes, axis=0)) == 216
    assert seen[-1].finished == "all designs of the space are evaluated"


def test_enumeration_holds_every_design_of_tiny() -> None:
    """`enumerate` gives as many canonical genomes as the space has designs; a large space is not enumerated."""
    tiny = read_space("tiny").content
    every = tiny.enumerate()
    assert len(every) == tiny.size() == 13_824
    np.testing.assert_array_equal(every, tiny.canonical(every))
    assert len(read_space("survey_lm").content.enumerate()) == 0
