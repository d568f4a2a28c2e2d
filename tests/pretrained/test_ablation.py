"""The T5-Mini case: shares by counting, FFNs without activation, and the benchmark's own text."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from codesign.bench.t5 import T5_MINI, counted
from codesign.pretrained.ablation import (
    ABLATIONS,
    BOTH,
    SENTINELS,
    SMALL,
    VOCABULARY,
    WINDOW,
    ablations,
    merged,
    text_task,
    without_activation,
    without_ffns,
)
from codesign.pretrained.building import built
from codesign.pretrained.model import Checkpoint, parameter_count
from tests.pretrained.networks import output


def test_shares_are_those_of_the_published_sizes() -> None:
    """FFNs are 3/4 of an encoder layer, 60 % of a decoder layer and 2/3 of all layers; merging a stack saves 29 %."""
    rows = counted()
    shares = rows[0]
    assert shares["encoder_layer"] == 0.75
    assert shares["decoder_layer"] == pytest.approx(0.6)
    assert shares["without_embeddings"] == pytest.approx(2 / 3)
    saved = {(row["figure"], row["stacks"]): row["parameters_saved"] for row in rows if "stacks" in row}
    assert saved["merged", "decoder"] == pytest.approx(0.2917, abs=1e-4)
    assert saved["removed", "encoder and decoder"] == pytest.approx(2 / 3)


def test_counted_sizes_are_those_of_the_network() -> None:
    """The config of T5-Mini builds a network whose FFNs have the parameters that the shares speak of."""
    made = built({**T5_MINI, "vocab_size": 100})
    ffn = sum(map_.weight.numel() for stack in BOTH for layer in made.layers(stack) for map_ in layer.matrices()["ffn"])
    inside = sum(
        map_.weight.numel() for stack in BOTH for layer in made.layers(stack)
        for maps in layer.matrices().values() for map_ in maps
    )  # fmt: skip
    assert ffn == 8 * 2 * 384 * 1536
    assert ffn / inside == pytest.approx(2 / 3)


def test_merged_ffn_computes_the_same(checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """Two matrices without an activation between them are one."""
    start = built({**SMALL, "vocab_size": 50})
    for parameter in start.body.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    linear = without_activation(start, BOTH)
    one = merged(linear, BOTH)
    torch.testing.assert_close(output(one), output(linear.body), rtol=1e-4, atol=1e-5)
    saved = parameter_count(start) - sum(weights.numel() for weights in one.parameters())
    assert saved == 4 * (2 * 96 * 384 - 96 * 96)
    assert (output(start.body) - output(linear.body)).abs().max() > 1e-2


def test_removed_ffns_are_those_of_the_stacks_named() -> None:
    """Removing a decoder's FFNs leaves the encoder's, and the start as it was."""
    start = built(SMALL)
    before = copy.deepcopy(start.body.state_dict())
    left = without_ffns(start, ("decoder",))
    assert all(layer.ffn is None for layer in left.layers("decoder"))
    assert all(layer.ffn is not None for layer in left.layers("encoder"))
    assert all(torch.equal(before[name], value) for name, value in start.body.state_dict().items())


def test_the_task_is_text_of_the_vocabulary() -> None:
    """The benchmark's network can read the benchmark's text: as many spans as sentinels at most."""
    objective = text_task(seed=0)
    assert objective.measure == "perplexity"
    assert SMALL["vocab_size"] == VOCABULARY + SENTINELS
    assert round(0.15 * WINDOW / 3) <= SENTINELS


def test_each_training_is_compared_with_its_own_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row a seed and ablation; as published differs from itself by nothing, seeds differ, savings are counted."""
    monkeypatch.setattr("codesign.pretrained.ablation.STEPS", 1)
    monkeypatch.setattr("codesign.pretrained.ablation.MEASURED", 8)
    rows = {(row["seed"], row["ffns"]): row for row in ablations()}
    assert len(rows) == 2 * len(ABLATIONS)
    assert rows[0, "as published"]["difference_nats"] == rows[1, "as published"]["difference_nats"] == 0.0
    assert rows[0, "as published"]["perplexity"] != rows[1, "as published"]["perplexity"]
    sizes = [rows[0, name]["parameters"] for name in ABLATIONS]
    assert sizes[0] > sizes[3] > sizes[1] > sizes[4] > sizes[2]
