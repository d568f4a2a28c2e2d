"""How fast the sandwich of the shipped recipe trains, against a plain model of its sub-networks' average size."""

from __future__ import annotations

from typing import Any

from codesign.space_file import read_space
from codesign.training.data import training_text
from codesign.training.process import keep_freed_memory
from codesign.training.recipe import read_recipe
from codesign.training.throughput import throughput

SPACE, RECIPE = "sotu_lm", "sotu_one_core"
STEPS = 12
"""Timed steps of each kind."""


def run() -> list[dict[str, Any]]:
    """Return one row for sub-networks as they are drawn, and one for the same sizes without pruning and rounding."""
    space, recipe = read_space(SPACE).content, read_recipe(RECIPE).content
    keep_freed_memory()
    text = training_text(recipe.text)
    rows = []
    for name, dense in (("as drawn", False), ("dense", True)):
        found = throughput(space, recipe, text, STEPS, dense=dense)
        rows.append(
            {
                "sub_networks": name,
                "tokens_per_s": found.sandwich,
                "plain_tokens_per_s": found.plain,
                "ratio": found.ratio,
                "average_weights": found.average_size,
                "plain_weights": found.plain_size,
            }
        )
    return rows
