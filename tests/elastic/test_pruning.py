"""Masks: exact densities in every structure, what is kept is what matters most, and their gradients."""

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.elastic.architecture import MOVEMENT_SCORES, Architecture, largest
from codesign.elastic.pruning import MovementScores, kept, masked, masks
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.shapes import shape_of
from codesign.elastic.transformer import Elastic
from codesign.elastic.weights import weights_of
from codesign.parameters import stored_bits, total_parameters
from tests.elastic.drawn import CONTEXT, model_of, tokens_of

GATED = Architecture(vocabulary=11, context=CONTEXT, hidden=6, layers=2, heads=3, head_width=4, ffn=9, gated_ffn=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.data())
def test_kept_are_the_highest_and_exactly_as_many(scores: list[int], data: st.DataObject) -> None:
    """As many as asked are kept even among equal scores, and no dropped one is higher than a kept one."""
    count = data.draw(st.integers(0, len(scores)))
    values = torch.tensor([scores, scores[::-1]], dtype=torch.float32)
    mask = kept(values, count)
    assert mask.sum(dim=1).tolist() == [count, count]
    for row, chosen in zip(values, mask, strict=True):
        assert row[chosen].sum() == row.sort(descending=True).values[:count].sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 9), st.floats(0.05, 1), st.floats(0.05, 1), st.booleans())
def test_densities_are_exact_to_rounding(
    hidden: int, heads: int, ffn: int, attention: float, feed: float, rows: bool
) -> None:
    """In each matrix round(density x elements) weights, or round(density x inputs) rows, are not zero."""
    a = msgspec.structs.replace(GATED, removal="rows" if rows else "unstructured")
    setting = LayerSetting(heads, ffn, attention_density=attention, ffn_density=feed)
    layer = weights_of(model_of(a), Setting(hidden, (setting,))).layers[0]
    assert layer.qkv is not None
    stacked = layer.qkv.weight.view(heads, 3, 4, hidden).transpose(0, 1).flatten(1, 2)
    matrices = [(stacked[i], attention) for i in range(3)] + [(layer.output.weight, attention)]
    matrices += [(map_.weight, feed) for map_ in (layer.gate, layer.up, layer.down)]
    for weight, density in matrices:
        outputs, inputs = weight.shape
        expected = round(density * inputs) * outputs if rows else round(density * inputs * outputs)
        assert int((weight != 0).sum()) == expected
        if rows:
            assert int((weight != 0).any(dim=0).sum()) == round(density * inputs)


def test_zeros_are_those_that_the_storage_counts() -> None:
    """`parameters.stored_bits` is what the kept weights with bit masks, or dense matrices, and all else take."""
    setting = Setting(5, (LayerSetting(2, 7, 0, 0.5, 0.3), LayerSetting(3, 0, 0, 0.7), LayerSetting(0, 4, 0, 1.0, 0.9)))
    model = model_of(msgspec.structs.replace(GATED, layers=3))
    shape = shape_of(model.architecture, setting)
    bits, inside = 0, 0
    for layer in weights_of(model, setting).layers:
        whole = [map_.weight for map_ in (layer.output, layer.gate, layer.up, layer.down) if map_ is not None]
        apart = [] if layer.qkv is None else list(layer.qkv.weight.view(-1, 3, 4, 5).unbind(1))
        for weight in whole + apart:
            inside += weight.numel()
            bits += min(weight.numel() * 8, int((weight != 0).sum()) * 8 + weight.numel())
    assert [(int(total_parameters(shape)[0]) - inside) * 8 + bits] == stored_bits(shape, 8).tolist()


@pytest.mark.parametrize("density", [0.0, 0.34, 0.5, 1.0])
def test_whole_heads_and_units_go_in_all_their_matrices(density: float) -> None:
    """Removed heads and units are zero at both ends, and are those whose weights are smallest together."""
    a = msgspec.structs.replace(GATED, removal="heads")
    setting = LayerSetting(3, 9, attention_density=density or 0.01, ffn_density=density or 0.01)
    model = model_of(a)
    dense = weights_of(model, Setting(6, (LayerSetting(3, 9),))).layers[0]
    thin = weights_of(model, Setting(6, (setting,))).layers[0]
    heads = [thin.qkv.weight.view(3, -1).abs().sum(1) > 0, thin.output.weight.view(6, 3, 4).abs().sum((0, 2)) > 0]
    units = [thin.gate.weight.any(1), thin.up.weight.any(1), thin.down.weight.any(0)]
    for ends, count in ((heads, round(3 * density)), (units, round(9 * density))):
        assert all(torch.equal(end, ends[0]) for end in ends)
        assert int(ends[0].sum()) == count
    size = dense.qkv.weight.view(3, -1).abs().sum(1) + dense.output.weight.view(6, 3, 4).abs().sum((0, 2))
    assert size[heads[0]].sum() == size.sort(descending=True).values[: round(3 * density)].sum()


def test_magnitude_keeps_the_largest_and_only_they_get_gradients() -> None:
    """By hand: half of [1, -4, 2, 3] are -4 and 3; the others get no gradient."""
    weight = torch.tensor([[[1.0, -4.0], [2.0, 3.0]]], requires_grad=True)
    setting = LayerSetting(0, 2, ffn_density=0.5)
    mask = masks({"up": weight.abs()}, setting, GATED)["up"]
    pruned = masked(weight, mask, None)
    assert pruned.tolist() == [[[0.0, -4.0], [0.0, 3.0]]]
    (pruned * torch.tensor([[[5.0, 6.0], [7.0, 8.0]]])).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [[[0.0, 6.0], [0.0, 8.0]]]


def test_movement_scores_get_the_gradient_of_a_mask() -> None:
    """By hand: dL/dS = dL/d(masked W) x W for every weight, and dL/dW only where it is kept (Sanh 2020, eq. 3)."""
    weight = torch.tensor([[[1.0, -4.0]]], requires_grad=True)
    score = torch.tensor([[[0.5, 0.1]]], requires_grad=True)
    mask = masks({"up": score}, LayerSetting(0, 1, ffn_density=0.5), GATED)["up"]
    pruned = masked(weight, mask, score)
    assert pruned.tolist() == [[[1.0, 0.0]]]
    (pruned * torch.tensor([[[5.0, 6.0]]])).sum().backward()
    assert weight.grad is not None
    assert score.grad is not None
    assert weight.grad.tolist() == [[[5.0, 0.0]]]
    assert score.grad.tolist() == [[[5.0, -24.0]]]


@pytest.mark.parametrize("removal", ["unstructured", "rows", "heads"])
def test_movement_scores_of_a_model_learn(removal: str) -> None:
    """One step moves the scores of the slice in use, and no others; the next masks follow them."""
    a = msgspec.structs.replace(GATED, removal=removal, ffn_reparametrised=True, kept_by="movement")
    model, scores = moving(a)
    setting = Setting(4, (LayerSetting(2, 5, attention_density=0.5, ffn_density=0.5),))
    optimiser = torch.optim.SGD(scores.parameters(), lr=1.0)
    before = model(tokens_of(a), setting)
    before.square().mean().backward()
    optimiser.step()
    used = scores.of(0, "qkv", 24, 4)
    assert bool((used != 0).any())
    whole = scores.of(0, "qkv", 36, 6)
    assert not bool(whole[24:].any() | whole[:, 4:].any() | scores.of(1, "up", 9, 6).any())
    after = model(tokens_of(a), setting)
    assert not torch.equal(after, before)


def moving(a: Architecture) -> tuple[Elastic, MovementScores]:
    """A model that is pruned by movement, of which no weight has moved yet, and its scores."""
    model = model_of(a)
    assert model.scores is not None
    with torch.no_grad():
        for parameter in model.scores.parameters():
            parameter.zero_()
    return model, model.scores


def test_scores_of_dense_layers_learn() -> None:
    """Before anything is removed scores get dL/dW x W, so that the first removal has something to go by."""
    model, scores = moving(msgspec.structs.replace(GATED, kept_by="movement"))
    model(tokens_of(GATED), largest(GATED)).square().mean().backward()
    layer, learned = model.layer_at(1), dict(scores.named_parameters())
    for name in ("qkv", "output", "gate", "up", "down"):
        weight = getattr(layer, name).weight
        assert weight.grad is not None
        torch.testing.assert_close(learned[f"layers.1.{name}.weight"].grad, weight.grad * weight.detach())


def test_scores_change_no_weight_and_no_dense_output() -> None:
    """Equal seeds give equal weights with and without scores, and dense sub-networks compute the same bits."""
    plain, moved = Elastic(GATED, 3), Elastic(msgspec.structs.replace(GATED, kept_by="movement"), 3)
    own = moved.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in plain.state_dict().items())
    others = {name: value for name, value in own.items() if name not in plain.state_dict()}
    assert others
    assert all(name.startswith(MOVEMENT_SCORES) and not value.any() for name, value in others.items())
    assert torch.equal(plain(tokens_of(GATED), largest(GATED)), moved(tokens_of(GATED), largest(GATED)))


def test_rows_go_by_the_sum_of_their_scores() -> None:
    """By hand: of two inputs with scores -5, -5 and 1, -2 the second is kept, in every copy by itself."""
    a = msgspec.structs.replace(GATED, removal="rows")
    score = torch.tensor([[[-5.0, 1.0], [-5.0, -2.0]], [[3.0, 1.0], [-1.0, 0.0]]])
    mask = masks({"qkv": score}, LayerSetting(1, 0, attention_density=0.5), a)["qkv"]
    assert mask.tolist() == [[[False, True]], [[True, False]]]


def test_each_layer_has_its_own_scores() -> None:
    """A layer keeps the weights that its own scores put first."""
    model = model_of(msgspec.structs.replace(GATED, kept_by="movement"))
    scores = model.scores
    assert scores is not None
    setting = Setting(6, (LayerSetting(0, 9, ffn_density=0.25),) * 2)
    for place, layer in enumerate(weights_of(model, setting).layers):
        assert layer.up is not None
        own = scores.of(place, "up", 9, 6).detach()
        assert own[layer.up.weight != 0].min() > own[layer.up.weight == 0].max()
