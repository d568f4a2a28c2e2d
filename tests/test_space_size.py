"""How many designs a space holds, multiplied out by hand; enumeration is in tests/test_space.py."""

from __future__ import annotations

from typing import Any

import pytest

from codesign.space_file import read_space
from tests.spaces import built
from tests.test_space_file import tiny_tables

CHIPS = 2**6
"""Accelerators of `tiny`."""


def size_of(**model: Any) -> int:
    """Return the size of `tiny` with other choices; the baseline takes the last of each."""
    tables = tiny_tables()
    tables["model"] |= {"layers": 2, "hidden": 128, "heads": 2, "ffn": 512} | model
    for name, value in tables["model"].items():
        tables["baseline"]["model"][name] = value["choices"][-1] if isinstance(value, dict) else value
    return built(tables).size() // CHIPS


def per_layer(*choices: float) -> dict[str, Any]:
    """Return a gene of each layer."""
    return {"choices": list(choices), "per_layer": True}


def shared(*choices: float) -> dict[str, Any]:
    """Return a gene of all layers."""
    return {"choices": list(choices)}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({}, 1),
        ({"span": per_layer(0, 8, 16)}, 9),  # two layers of three ways
        ({"span": per_layer(0, 8), "heads": per_layer(0, 2, 4)}, 9),  # removed either way, or 2 or 4 heads
        ({"span": shared(0, 8), "heads": per_layer(1, 2)}, 1 + 4),
        ({"span": per_layer(0, 8), "heads": shared(1, 2)}, 1 + 2 * 3),  # heads are read where some layer attends
        ({"span": 8, "attention_density": per_layer(0.5, 1), "ffn_density": 1, "heads": per_layer(0, 2)}, 9),
        ({"ffn": per_layer(0, 512), "ffn_density": shared(0.25, 1.0), "attention_density": 1.0}, 1 + 3 * 2),
        ({"weight_bits": per_layer(4, 8), "activation_bits": 8, "ffn": per_layer(0, 512)}, 16),
        ({"weight_bits": per_layer(4, 8), "activation_bits": 8, "ffn": per_layer(0, 512), "heads": 0}, (1 + 2) ** 2),
        ({"weight_bits": shared(4, 8), "activation_bits": 8, "ffn": per_layer(0, 512), "heads": 0}, 1 + 3 * 2),
        ({"layers": shared(1, 2), "span": per_layer(4, 8)}, 2 + 4),
    ],
)
def test_designs_are_counted_once(model: dict[str, Any], expected: int) -> None:
    """Genes that no equation reads multiply nothing, and a removed attention is one design however it is said."""
    assert size_of(**model) == expected


def test_the_compressed_space_by_hand() -> None:
    """5 hidden sizes, 3000 accelerators, and 5 x 19 x 2 x 4 x 4 x 4 ways to be in each of 3 to 6 layers."""
    space = read_space("survey_lm_compressed").content
    assert space.size() == 3000 * 5 * sum((5 * 19 * 2 * 4 * 4 * 4) ** depth for depth in range(3, 7))
