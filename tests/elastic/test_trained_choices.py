"""What was trained: the values of a space, and which sub-networks lie among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from codesign.elastic.architecture import Architecture
from codesign.elastic.setting import LayerSetting, Setting, settings
from codesign.elastic.trained_choices import Choices, choices_of, is_trained
from codesign.space_file import parse_space, read_space
from tests.training.conftest import SPACE

A = Architecture(vocabulary=11, context=16, hidden=24, layers=3, heads=3, head_width=8, ffn=48)
CHOICES: Choices = {
    "layers": [[1, 3]],
    "hidden": [[8, 16]],
    "heads": [[1, 3], [0, 1, 2], [1, 1]],
    "ffn": [[0, 16, 32]],
    "span": [[4, 16]],
    "attention_density": [[0.5, 0.75]],
    "ffn_density": [[0.5, 1.0]],
    "weight_bits": [[4, 8]],
    "activation_bits": [[8]],
}
LAYER = LayerSetting(1, 16, span=4, attention_density=0.5, ffn_density=0.5, weight_bits=4, activation_bits=8)


def test_choices_of_a_space() -> None:
    """Genes and fixed values of the model alike, once where all layers have the same; the accelerator is none of it."""
    found = choices_of(read_space("sotu_lm").content)
    assert found["layers"] == [[2, 3, 4, 5, 6]]
    assert found["heads"] == [[1, 2, 3, 4, 5]]
    assert found["activation_bits"] == [[8]]
    assert set(found) == set(CHOICES)
    lists = SPACE.replace("ffn = { choices = [0, 32], per_layer = true }", "ffn = [32, 16]").replace(
        "ffn = 32\n", "ffn = [32, 16]\n"
    )
    assert choices_of(parse_space(lists, "small", "small.toml").content) == {
        "layers": [[1, 2]], "hidden": [[8, 16]], "heads": [[1, 2]], "ffn": [[32], [16]]
    }  # fmt: skip


def test_a_span_of_nothing_trains_layers_without_attention() -> None:
    """A span that may be 0 removes heads; it is none that a head has."""
    text = SPACE.replace("ffn = { choices", "span = { choices = [0, 4], per_layer = true }\nffn = { choices")
    found = choices_of(parse_space(text.replace("ffn = 32\n", "ffn = 32\nspan = 4\n"), "small", "small.toml").content)
    assert (found["heads"], found["span"]) == ([[0, 1, 2]], [[4]])


@pytest.mark.parametrize("name", ["sotu_lm", "sotu_sentences", "survey_lm_compressed"])
def test_all_shapes_of_a_space_are_trained(name: str) -> None:
    """Whatever a space draws, its own choices have."""
    space = read_space(name).content
    shape = space.decode(space.sample(np.random.default_rng(0), 100)).shape
    found = choices_of(space)
    assert all(is_trained(one, found, A) for one in settings(shape, space.family.stacks[0]))


@pytest.mark.parametrize(
    "values",
    [
        {"heads": 2},
        {"ffn": 20},
        {"ffn": 0, "ffn_density": 1.0},
        {"heads": 0, "span": 0, "attention_density": 1.0},
        {"span": 8},
        {"span": 0},
        {"span": 40},
        {"attention_density": 0.6},
        {"weight_bits": 6},
    ],
)
def test_values_among_those_trained(values: dict[str, Any]) -> None:
    """Slices, spans, densities and formats between trained ones count as trained, all keys as the longest span."""
    assert is_trained(Setting(12, (LAYER, replace(LAYER, **values))), CHOICES, A)


@pytest.mark.parametrize(
    "values",
    [
        {"heads": 3},
        {"ffn": 8},
        {"ffn": 48},
        {"span": 3},
        {"attention_density": 0.4},
        {"attention_density": 1.0},
        {"ffn_density": 0.4},
        {"weight_bits": 3},
        {"weight_bits": 0},
        {"activation_bits": 0},
        {"activation_bits": 6},
    ],
)
def test_values_beyond_those_trained(values: dict[str, Any]) -> None:
    """Anything smaller, larger, sparser, denser, rounder or finer than in training of the same layer is not trained."""
    assert not is_trained(Setting(12, (LAYER, replace(LAYER, **values))), CHOICES, A)


def test_parts_that_were_never_removed() -> None:
    """Without its attention a layer is trained only where that was removed; the same for whole sizes."""
    bare = replace(LAYER, heads=0, span=0, attention_density=1.0)
    assert is_trained(Setting(12, (LAYER, bare)), CHOICES, A)
    assert not is_trained(Setting(12, (bare, LAYER)), CHOICES, A)
    assert not is_trained(Setting(20, (LAYER,)), CHOICES, A)
    assert not is_trained(Setting(4, (LAYER,)), CHOICES, A)
    assert not is_trained(Setting(12, (LAYER,) * 4), CHOICES, A)


def test_what_a_space_lacks_has_its_default() -> None:
    """Floats that are dense and see all were trained where the space says nothing of them; nothing else was."""
    sizes = {name: CHOICES[name] for name in ("layers", "hidden", "heads", "ffn")}
    plain = LayerSetting(1, 16)
    for same in (plain, replace(plain, span=16), replace(plain, weight_bits=32)):
        assert is_trained(Setting(12, (same,)), sizes, A)
    for other in ({"span": 8}, {"ffn_density": 0.9}, {"activation_bits": 8}):
        assert not is_trained(Setting(12, (replace(plain, **other),)), sizes, A)


def test_nobody_knows_of_old_networks() -> None:
    """Without choices nothing is taken as trained."""
    assert not is_trained(Setting(12, (LAYER,)), {}, A)
