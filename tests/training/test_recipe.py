"""Recipe files."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign import files
from codesign.errors import InputError
from codesign.training.recipe import read_recipe


@pytest.mark.parametrize("name", files.shipped("recipe"))
def test_shipped_recipes_are_whole(name: str) -> None:
    """Every shipped recipe can be read."""
    assert read_recipe(name).content.format == 1


def test_seed_and_steps_can_be_given() -> None:
    """They replace those of the file; a value that is none is refused."""
    recipe = read_recipe("sotu_smoke", seed=7, steps=100).content
    assert (recipe.seed, recipe.steps) == (7, 100)
    with pytest.raises(InputError, match=r"--seed, --steps: steps: .*>= 1"):
        read_recipe("sotu_smoke", steps=0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("clip = 1.0", "", "optimiser: missing required field clip"),
        ("clip = 1.0", "clip = 0.0", "optimiser.clip: Expected float > 0"),
        ("clip = 1.0", "clip = 1.0\nclap = 2", "unknown field clap"),
        ("warmup_steps = 10", "warmup_steps = 40", "warmup_steps: expected less than the 40 steps, got 40"),
        ("ramp_steps = 10", "ramp_steps = 21", r"start_step \+ ramp_steps within the 40 steps, got 20 \+ 21"),
        ('precision = "float32"', 'precision = "float8"', "one of bfloat16, float32, got 'float8'"),
        ("vocabulary = 2048", "vocabulary = 256", "text.vocabulary: Expected int >= 257"),
        ("[evaluation]", "[compression]\nremoval = 'heads'\n[evaluation]", "compression: missing required field"),
        ("[evaluation]", "[compression]\nremoval = 'layers'\n[evaluation]", "removal: .*family, heads, got 'layers'"),
    ],
)
def test_bad_recipes_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    """The message names the key, what was expected and what came."""
    text = files.shipped("recipe")["sotu_smoke"].read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_recipe(path)
