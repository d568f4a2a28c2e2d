"""What surgery does to a network, law by law."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from codesign.design import Stack
from codesign.errors import InputError
from codesign.parameters import total_parameters
from codesign.pretrained.cutting import keep_heads, keep_units
from codesign.pretrained.model import Checkpoint, parameter_count, shape_of
from codesign.pretrained.operating import operate
from codesign.pretrained.surgery import StackSurgery, Surgery
from tests.pretrained.networks import FFN, HEADS, LENGTH, WIDTH, output, publish


def cut(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    """Return a checkpoint after one surgery of its first stack, by magnitude."""
    return operate(checkpoint, surgery(checkpoint, **changes))


def surgery(checkpoint: Checkpoint, **changes: Any) -> Surgery:
    """Return a surgery of the first stack by magnitude."""
    return Surgery(importance="magnitude", **{first(checkpoint): StackSurgery(**changes)})  # type: ignore[arg-type]


def first(checkpoint: Checkpoint) -> Stack:
    """Return the first stack."""
    return checkpoint.base.family.stacks[0]


@pytest.mark.parametrize("kind", ["albert", "bert", "distilbert", "gpt2", "t5"])
def test_no_surgery_changes_nothing(kind: str, tmp_path: Path, checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """A checkpoint in our form gives what transformers computes, and so does one after an empty surgery."""
    theirs = output(publish(kind, tmp_path / kind))
    ours = checkpoints[kind][1]
    for body in (ours.body, operate(ours, Surgery()).body):
        torch.testing.assert_close(output(body), theirs, rtol=1e-5, atol=1e-5)


def test_pruned_head_is_a_head_of_zeros(checkpoint: Checkpoint) -> None:
    """Cutting heads gives what zeros in their columns of the output matrix give."""
    zeroed, pruned = copy.deepcopy(checkpoint), copy.deepcopy(checkpoint)
    for made in (zeroed, pruned):
        for layer in set(made.layers(first(checkpoint))):
            assert layer.attention is not None
            if made is pruned:
                keep_heads(layer.attention, (0, 2))
            else:
                columns = layer.attention.output.weight.data
                columns[:, WIDTH : 2 * WIDTH] = columns[:, 3 * WIDTH :] = 0
    torch.testing.assert_close(output(pruned.body), output(zeroed.body), rtol=1e-5, atol=1e-5)


def test_pruned_unit_is_a_unit_of_zeros(checkpoint: Checkpoint) -> None:
    """Cutting FFN units gives what zeros in their columns of the second matrix give."""
    zeroed, pruned = copy.deepcopy(checkpoint), copy.deepcopy(checkpoint)
    for made in (zeroed, pruned):
        for layer in set(made.layers(first(checkpoint))):
            assert layer.ffn is not None
            if made is pruned:
                keep_units(layer, range(0, FFN, 2))
            else:
                layer.ffn.down.weight.data[:, 1::2] = 0
    torch.testing.assert_close(output(pruned.body), output(zeroed.body), rtol=1e-5, atol=1e-5)


def test_removed_ffn_takes_norm_and_residual_with_it(checkpoint: Checkpoint) -> None:
    """Without its FFN a layer gives what comes out of its attention: as an FFN of zeros whose norm does nothing."""
    zeroed = copy.deepcopy(checkpoint)
    for layer in set(zeroed.layers(first(checkpoint))):
        assert layer.ffn is not None
        layer.ffn.down.weight.data.zero_()
        if layer.ffn.down.bias is not None:
            layer.ffn.down.bias.data.zero_()
        if layer.post_norm:
            layer.ffn_norm = torch.nn.Identity()
    torch.testing.assert_close(output(cut(checkpoint, ffn=0).body), output(zeroed.body), rtol=1e-5, atol=1e-5)


def test_span_of_the_whole_context_changes_nothing_and_shorter_ones_do(checkpoint: Checkpoint) -> None:
    """A span hides what lies farther away, and hides nothing where it covers the sequence."""
    whole = output(checkpoint.body)
    torch.testing.assert_close(output(cut(checkpoint, span=64).body), whole)
    assert (output(cut(checkpoint, span=3).body) - whole).abs().max() > 1e-3


def test_span_of_one_sees_only_the_token_itself(checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """With a span of 1 in all layers, a later token of a decoder is not moved by an earlier one."""
    made = cut(checkpoints["gpt2"][1], span=1)
    tokens = torch.arange(1, 9)[None]
    other = tokens.clone()
    other[0, 3] = 40
    with torch.no_grad():
        moved = (made.body(input_ids=tokens).logits - made.body(input_ids=other).logits).abs().amax(dim=-1)[0]
    assert (moved > 1e-4).tolist() == [i == 3 for i in range(8)]


def test_decoder_is_causal_without_a_mask(checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """A layer of a decoder hides what comes later even where it is given no mask."""
    layer = checkpoints["gpt2"][1].layers("decoder")[0]
    x = torch.randn(1, 6, 24, generator=torch.Generator().manual_seed(0))
    other = x.clone()
    other[0, 4, 0] += 3
    with torch.no_grad():
        moved = (layer(x, None, None) - layer(other, None, None)).abs().amax(dim=-1)[0]
    assert (moved > 1e-5).tolist() == [False] * 4 + [True] * 2


def test_dropped_layers_are_those_not_named(checkpoint: Checkpoint) -> None:
    """Keeping layers by their places is leaving out the others."""
    stack = first(checkpoint)
    made = cut(checkpoint, layers=(0, 2))
    weights = [layer.ffn.up.weight for layer in made.layers(stack) if layer.ffn is not None]
    kept = [layer.ffn.up.weight for layer in checkpoint.layers(stack) if layer.ffn is not None]
    assert len(weights) == 2
    assert all(torch.equal(ours, kept[place]) for ours, place in zip(weights, (0, 2), strict=True))
    assert output(made.body).isfinite().all()


def test_biases_by_distance_outlive_the_layer_that_holds_them(
    checkpoints: dict[str, tuple[Path, Checkpoint]],
) -> None:
    """T5 without its first layer still adds the published biases to the scores of all others."""
    checkpoint = checkpoints["t5"][1]
    published, left = checkpoint.layers("encoder")[0].relative, cut(checkpoint, layers=(1, 2)).layers("encoder")
    assert published is not None
    assert left[0].relative is not None
    assert left[1].relative is None
    torch.testing.assert_close(left[0].relative(LENGTH), published(LENGTH))


def test_shared_layers_use_the_weights_of_the_first_named(checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """A group is stored once, and computes what copies of its first layer compute."""
    checkpoint = checkpoints["bert"][1]
    made = cut(checkpoint, shared=((2, 0),))
    layers = made.layers("encoder")
    assert layers[0] is layers[2]
    assert layers[0] is not layers[1]
    one = sum(parameter.numel() for parameter in layers[0].parameters())
    assert parameter_count(made) == parameter_count(checkpoint) - one


SIZES: list[dict[str, Any]] = [
    {}, {"ffn": 8}, {"ffn": 0}, {"layers": (0, 2)}, {"heads": 2}, {"heads": 0, "layers": (1, 2)},
    {"attention_density": 0.5, "ffn_density": 0.25}, {"weight_bits": 4, "activation_bits": 8}, {"span": 4},
]  # fmt: skip


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_parameters_are_those_counted_of_the_shape(checkpoint: Checkpoint, sizes: dict[str, Any]) -> None:
    """What is left has as many parameters as `codesign.parameters` counts, but for T5's table of biases.

    That table keeps a column for each published head, because layers keep different ones.
    """
    made = cut(checkpoint, **sizes)
    shape = shape_of(made)
    counted = int(total_parameters(shape)[0])
    if shape.family.positions == "relative":
        counted += shape.family.position_count * (HEADS - int(shape.heads[0, 0].max()))
    assert parameter_count(made) == counted


def test_density_leaves_so_many_weights(checkpoint: Checkpoint) -> None:
    """Each matrix keeps round(density x elements) weights, the largest, and biases stay."""
    made = cut(checkpoint, attention_density=0.3, ffn_density=0.6)
    for layer in made.layers(first(checkpoint)):
        for part, maps in layer.matrices().items():
            for map_ in maps:
                share = {"attention": 0.3, "ffn": 0.6}[part]
                assert int((map_.used() != 0).sum()) == round(share * map_.weight.numel())


def test_bits_leave_so_many_values(checkpoint: Checkpoint) -> None:
    """A row of a matrix of b bits has at most 2^b - 1 different weights."""
    made = cut(checkpoint, weight_bits=3)
    for layer in made.layers(first(checkpoint)):
        for maps in layer.matrices().values():
            assert max(len(row.unique()) for map_ in maps for row in map_.used()) <= 7


def test_activation_bits_change_the_output_a_little(checkpoint: Checkpoint) -> None:
    """Activations of 16 bits are nearly floats, those of 3 bits are not."""
    whole = output(checkpoint.body)
    fine, coarse = (output(cut(checkpoint, activation_bits=bits).body) - whole for bits in (16, 3))
    assert fine.abs().max() < 1e-2
    assert coarse.abs().max() > 10 * fine.abs().max()


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"layers": (0, 3)}, "places 0..2"),
    ({"layers": (2, 0)}, "in order"),
    ({"heads": 5}, "at most 4"),
    ({"ffn": (8, 8)}, "one for each of 3 kept layers, got 2"),
    ({"layers": (0, 1), "shared": ((0, 2),)}, r"groups of kept layers \[0, 1\]"),
    ({"shared": ((0, 1), (1, 2))}, "none in two"),
    ({"shared": ((0, 1),), "ffn": (8, 16, 8)}, "shares its weights"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_mistakes_are_named(
    changes: dict[str, Any], message: str, checkpoints: dict[str, tuple[Path, Checkpoint]]
) -> None:
    """A surgery that does not fit says what was expected and what came."""
    with pytest.raises(InputError, match=message):
        cut(checkpoints["bert"][1], **changes)


def test_stack_that_is_not_there_is_refused(checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """A surgery of the decoder of an encoder is a mistake, not nothing."""
    with pytest.raises(InputError, match="has no decoder"):
        operate(checkpoints["bert"][1], Surgery(decoder=StackSurgery(ffn=0)))


def test_layers_that_are_published_as_one_stay_alike(checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """ALBERT's layers cannot become different ones."""
    with pytest.raises(InputError, match="shares its weights"):
        cut(checkpoints["albert"][1], ffn=(8, 8, 0))


def test_taylor_needs_a_task(checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """Without examples the choice of heads by Taylor expansion is refused, and the data-free one is named."""
    with pytest.raises(InputError, match=r"give --task.*magnitude"):
        operate(checkpoints["bert"][1], Surgery(encoder=StackSurgery(heads=2)))


def test_cache_is_refused(checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """A key/value cache would be read as if it had been filled."""
    with pytest.raises(InputError, match="cache"):
        checkpoints["gpt2"][1].body(input_ids=torch.ones(1, 3, dtype=torch.long), use_cache=True)


def test_decoder_generates(checkpoints: dict[str, tuple[Path, Checkpoint]]) -> None:
    """Greedy generation of a cut decoder gives the tokens that its logits say."""
    body = cut(checkpoints["gpt2"][1], heads=2, ffn=8).body
    start = torch.tensor([[5, 6]])
    made = body.generate(start, max_new_tokens=4, do_sample=False, eos_token_id=None, pad_token_id=0)
    with torch.no_grad():
        wanted = body(input_ids=made[:, :-1]).logits.argmax(dim=-1)
    np.testing.assert_array_equal(made[0, 2:], wanted[0, 1:])


def test_surgery_twice_is_surgery_once(checkpoint: Checkpoint) -> None:
    """Cutting what is left a second time the same way changes nothing."""
    once = cut(checkpoint, ffn_density=0.5, weight_bits=4)
    twice = operate(once, Surgery())
    torch.testing.assert_close(output(twice.body), output(once.body), rtol=1e-5, atol=1e-5)
