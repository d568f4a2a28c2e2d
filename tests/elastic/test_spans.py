"""Learned spans: the ramp by hand, what it hides, what it costs, and the hard span that it becomes."""

from pathlib import Path

import msgspec
import pytest
import torch

from codesign.elastic.architecture import Architecture, check_setting, largest
from codesign.elastic.extract import extract, read_network, save_network
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.spans import SoftSpans
from codesign.errors import InputError
from tests.elastic.drawn import CONTEXT, model_of, tokens_of

DECODER = Architecture(vocabulary=11, context=CONTEXT, hidden=6, layers=2, heads=2, head_width=3, ffn=5)


def spans_of(a: Architecture, ramp: int, fractions: list[list[float]]) -> SoftSpans:
    """Spans of given fractions, (layers, heads)."""
    spans = SoftSpans(a, ramp, 0.0)
    with torch.no_grad():
        spans.fractions.copy_(torch.tensor(fractions))
    return spans


def test_ramp_by_hand() -> None:
    """R = 2, z S = 0.25 x 8 = 2: distances 0, 1, 2 count whole, 3 half, 4 and more nothing."""
    spans = spans_of(DECODER, 2, [[0.25, 0.0], [0.0, 0.0]])
    assert spans.mask(0, 2, 6)[0, 5].tolist() == [0.0, 0.0, 0.5, 1.0, 1.0, 1.0]
    assert spans.mask(0, 2, 6)[1, 5].tolist() == [0.0, 0.0, 0.0, 0.0, 0.5, 1.0]
    assert spans.mask(0, 2, 6)[0, 2].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    encoder = spans_of(msgspec.structs.replace(DECODER, stack="encoder"), 2, [[0.25, 0.0], [0.0, 0.0]])
    assert encoder.mask(0, 2, 6)[0, 1].tolist() == [1.0, 1.0, 1.0, 1.0, 0.5, 0.0]


def test_bias_is_the_masked_and_renormalised_softmax() -> None:
    """softmax(scores + ln m) = softmax(scores) m / sum, as in the paper."""
    spans = spans_of(DECODER, 3, [[0.2, 0.5], [0.0, 0.0]])
    scores = torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(0))
    weighted = scores.softmax(-1) * spans.mask(0, 2, 6)
    expected = weighted / weighted.sum(-1, keepdim=True)
    torch.testing.assert_close((scores + spans.bias(0, 2, 6)).softmax(-1), expected)


def test_soft_spans_of_the_context_change_nothing() -> None:
    """With z = 1 a model computes what it does without spans; with z = 0 and R = 1 a token sees only itself."""
    model, tokens, setting = model_of(DECODER), tokens_of(DECODER), largest(DECODER)
    whole = model(tokens, setting, spans=SoftSpans(DECODER, 1, 1.0))
    torch.testing.assert_close(whole, model(tokens, setting))
    alone = model(tokens, setting, spans=SoftSpans(DECODER, 1, 0.0))
    hard = Setting(6, (LayerSetting(2, 5, span=1),) * 2)
    torch.testing.assert_close(alone, model(tokens, hard))


@pytest.mark.parametrize("stack", ["decoder", "encoder"])
def test_hard_span_hides_what_the_ramp_hides(stack: str) -> None:
    """Keys behind the hard span have m = 0 for all heads, those within m > 0 for one at least."""
    a = msgspec.structs.replace(DECODER, stack=stack)
    spans = spans_of(a, 2, [[0.2, 0.125], [0.0, 1.0]])
    hard = spans.hard(largest(a))
    assert [layer.span for layer in hard.layers] == ([4, 0] if a.causal else [7, 0])
    one = Setting(6, hard.layers[:1])
    model, tokens = model_of(a), tokens_of(a)
    changed = tokens.clone()
    changed[:, 0] = (changed[:, 0] + 1) % a.vocabulary
    for kwargs in ({"setting": one}, {"setting": Setting(6, largest(a).layers[:1]), "spans": spans}):
        moved = (model(tokens, **kwargs) - model(changed, **kwargs)).abs().amax(dim=(0, 2)) > 1e-6
        assert moved.tolist() == [True] * 4 + [False] * 4


@pytest.mark.parametrize("stack", ["decoder", "encoder"])
@pytest.mark.parametrize("reach", range(1, CONTEXT + 1))
def test_hard_spans_compute_what_a_ramp_of_ones_and_zeros_does(stack: str, reach: int, tmp_path: Path) -> None:
    """Where no key counts in part, soft and hard spans are one network, which is extracted and stored as such.

    An encoder's reach beyond half the context shows more keys than the context has, and still hides some.
    """
    a = msgspec.structs.replace(DECODER, stack=stack)
    spans = spans_of(a, 1, [[(reach - 1) / CONTEXT] * 2, [0.0, 0.0]])
    hard, model, tokens = spans.hard(largest(a)), model_of(a), tokens_of(a)
    expected = model(tokens, largest(a), spans=spans)
    torch.testing.assert_close(model(tokens, hard), expected)
    save_network(extract(model, hard), tmp_path / "net")
    torch.testing.assert_close(read_network(tmp_path / "net")(tokens), expected)


def test_a_span_of_the_context_is_all() -> None:
    """As in a shape: an encoder whose span is the context sees both ends from both ends."""
    a = msgspec.structs.replace(DECODER, stack="encoder")
    model, tokens = model_of(a), tokens_of(a)
    for span in (CONTEXT, CONTEXT + 1, 3 * CONTEXT):
        given = Setting(6, (LayerSetting(2, 5, span=span),) * 2)
        torch.testing.assert_close(model(tokens, given), model(tokens, largest(a)), rtol=0, atol=0)


def test_a_reach_of_another_depth_is_refused() -> None:
    """It has a number for each layer, none beyond the context."""
    layers = largest(DECODER).layers
    with pytest.raises(InputError, match="reach: expected one number for each of 2 layers"):
        check_setting(DECODER, Setting(6, layers, reach=(3,)))
    with pytest.raises(InputError, match=r"reach: expected 0\.\.8, got 9 \(layer 1\)"):
        check_setting(DECODER, Setting(6, layers, reach=(3, 9)))


@pytest.mark.parametrize("stack", ["decoder", "encoder"])
def test_the_narrower_of_two_spans_counts(stack: str) -> None:
    """What the setting hides stays hidden where a head has learned to see farther, as in training, where both hide."""
    spans = spans_of(msgspec.structs.replace(DECODER, stack=stack), 2, [[0.0, 0.125], [0.0, 0.0]])
    assert spans.reach() == ((2, 3), (2, 2))
    asked = Setting(6, (LayerSetting(2, 5, span=2), LayerSetting(1, 5, span=8)))
    assert [layer.span for layer in spans.hard(asked).layers] == [2, 2 if stack == "decoder" else 3]


def test_layers_that_share_weights_learn_spans_of_their_own() -> None:
    """Spans are no weights: layers that are equal but for them are a sub-network."""
    a = msgspec.structs.replace(DECODER, shared_layers=True)
    hard = spans_of(a, 1, [[0.1, 0.1], [0.5, 0.5]]).hard(largest(a))
    assert [layer.span for layer in hard.layers] == [2, 5]
    check_setting(a, hard)


def test_spans_learn_and_shrink() -> None:
    """Gradients are finite and reach the heads in use; the mean span's gradient is the same for each of them."""
    spans, model = SoftSpans(DECODER, 2, 0.3), model_of(DECODER)
    setting = Setting(4, (LayerSetting(1, 5), LayerSetting(0, 5)))
    model(tokens_of(DECODER), setting, spans=spans).square().sum().backward()
    gradient = spans.fractions.grad
    assert gradient is not None
    assert bool(gradient.isfinite().all())
    assert (gradient != 0).tolist() == [[True, False], [False, False]]
    spans.fractions.grad = None
    span = spans.mean_span(largest(DECODER))
    assert float(span.detach()) == pytest.approx(0.3 * CONTEXT)
    span.backward()
    assert spans.fractions.grad is not None
    torch.testing.assert_close(spans.fractions.grad, torch.full((2, 2), CONTEXT / 4))


def test_fractions_are_brought_back() -> None:
    """After `clamp`, fractions are in 0..1; removed attention gets no span."""
    spans = spans_of(DECODER, 2, [[-0.3, 0.4], [1.7, 0.0]])
    spans.clamp()
    torch.testing.assert_close(spans.fractions.detach(), torch.tensor([[0.0, 0.4], [1.0, 0.0]]))
    assert spans.hard(Setting(6, (LayerSetting(0, 5),))) == Setting(6, (LayerSetting(0, 5),))


def test_impossible_spans_are_refused() -> None:
    """A ramp below one key, a start outside 0..1, and a mean over no head name what is wrong."""
    with pytest.raises(InputError, match="ramp: expected at least 1 key, got 0"):
        SoftSpans(DECODER, 0, 0.1)
    with pytest.raises(InputError, match=r"start: .* got 1\.5"):
        SoftSpans(DECODER, 2, 1.5)
    with pytest.raises(InputError, match="expected a sub-network with attention"):
        SoftSpans(DECODER, 2, 0.1).mean_span(Setting(6, (LayerSetting(0, 5),)))
