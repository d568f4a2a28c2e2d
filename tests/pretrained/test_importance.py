"""Which heads and units are said to matter."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor

from codesign.pretrained.cutting import keep_heads
from codesign.pretrained.importance import best, magnitude, taylor
from codesign.pretrained.layer import Layer
from codesign.pretrained.model import Checkpoint
from codesign.pretrained.operating import operate
from codesign.pretrained.surgery import StackSurgery, Surgery
from tests.pretrained.networks import FFN, HEADS, LENGTH, VOCABULARY, WIDTH


def example_losses(checkpoint: Checkpoint, batch: int, examples: int = 2) -> Tensor:
    """(examples,) any smooth losses of sequences."""
    draw = torch.Generator().manual_seed(batch)
    tokens = torch.randint(1, VOCABULARY, (examples, LENGTH), generator=draw)
    states = checkpoint.states(tokens, torch.ones_like(tokens, dtype=torch.bool))
    return states[:, :, 0].square().mean(dim=1)


def layers_of(checkpoint: Checkpoint) -> list[Layer]:
    """Return the layers of the first stack, each once."""
    return list(dict.fromkeys(checkpoint.layers(checkpoint.base.family.stacks[0])))


def test_taylor_is_weight_times_gradient(checkpoint: Checkpoint) -> None:
    """For one example, importance is |sum of weight x gradient| over the columns that a head or unit owns."""
    made = copy.deepcopy(checkpoint)
    layers = layers_of(made)

    def one(_batch: int) -> Tensor:
        return example_losses(made, 0, 1)

    found = taylor(made.body, layers, one, 1)
    one(0).sum().backward()  # type: ignore[no-untyped-call]
    for layer in layers:
        assert layer.attention is not None
        assert layer.ffn is not None
        output, down = layer.attention.output.weight, layer.ffn.down.weight
        assert output.grad is not None
        assert down.grad is not None
        heads = (output * output.grad).sum(dim=0).view(HEADS, WIDTH).sum(dim=1).abs()
        torch.testing.assert_close(found[layer].heads, heads.detach(), rtol=1e-3, atol=1e-5)
        units = (down * down.grad).sum(dim=0).abs()
        torch.testing.assert_close(found[layer].units, units.detach(), rtol=1e-3, atol=1e-5)


def test_taylor_is_a_mean_over_examples_and_leaves_no_gradient(checkpoint: Checkpoint) -> None:
    """Batches of one example each give the mean of what they give alone."""
    made = copy.deepcopy(checkpoint)
    layers = layers_of(made)
    both, first, second = (
        taylor(made.body, layers, lambda batch, of=of: example_losses(made, of[batch], 1), len(of))
        for of in ([0, 1], [0], [1])
    )
    for layer in layers:
        alone = (first[layer].units, second[layer].units)
        assert alone[0] is not None
        assert alone[1] is not None
        torch.testing.assert_close(both[layer].units, (alone[0] + alone[1]) / 2)
    assert all(parameter.grad is None for parameter in made.body.parameters())


def test_head_without_effect_is_cut_first(checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """A head and units whose output goes nowhere are the ones that a surgery removes, by either importance."""
    made = copy.deepcopy(checkpoints["bert"][1])
    for layer in made.layers("encoder"):
        assert layer.attention is not None
        assert layer.ffn is not None
        layer.attention.output.weight.data[:, WIDTH : 2 * WIDTH] = 0
        layer.ffn.down.weight.data[:, 5:9] = 0
    surgery = Surgery(encoder=StackSurgery(heads=HEADS - 1, ffn=FFN - 4))
    left = operate(made, surgery, example_losses)
    assert all(layer.attention and layer.attention.heads == (0, 2, 3) for layer in left.layers("encoder"))


def test_magnitude_sums_a_heads_weights(checkpoint: Checkpoint) -> None:
    """The importances of the heads that are kept are those they had among all."""
    layer = copy.deepcopy(layers_of(checkpoint)[0])
    before = magnitude(layer).heads
    assert before is not None
    assert layer.attention is not None
    keep_heads(layer.attention, (1, 3))
    torch.testing.assert_close(magnitude(layer).heads, before[[1, 3]])


def test_best_keeps_the_first_of_equals() -> None:
    """Of equal scores the first stay, and places come in order."""
    assert best(torch.tensor([1.0, 3.0, 1.0, 3.0, 1.0]), 3) == [0, 1, 3]
