"""Laws of the elastic model: slicing, causality, spans, removal, sharing, exits, and what it refuses."""

from dataclasses import replace

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.elastic.architecture import Architecture, largest
from codesign.elastic.parts import Layer
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.sublayers import band
from codesign.elastic.transformer import Elastic
from codesign.elastic.weights import weights_of
from codesign.errors import InputError
from tests.elastic.drawn import CONTEXT, architectures, model_of, settings_of, tokens_of

DECODER = Architecture(vocabulary=11, context=CONTEXT, hidden=6, layers=3, heads=2, head_width=4, ffn=9)


def logits_of(model: Elastic, tokens: torch.Tensor, setting: Setting) -> torch.Tensor:
    """The outputs of a model without exits."""
    logits = model(tokens, setting)
    assert isinstance(logits, torch.Tensor)
    return logits


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_later_token_never_changes_earlier_logits(data: st.DataObject) -> None:
    """Whatever the spans, densities, formats and padding, a decoder's logits depend on no later token."""
    a = data.draw(architectures(stack="decoder", task="language_model", classes=0, exits=False, pooler=False))
    setting, place = data.draw(settings_of(a)), data.draw(st.integers(1, CONTEXT - 1))
    model, tokens = model_of(a), tokens_of(a)
    changed = tokens.clone()
    changed[:, place:] = (changed[:, place:] + 1) % a.vocabulary
    real = (torch.arange(CONTEXT) < 6).expand(2, -1) if data.draw(st.booleans()) else None
    first, second = (model(words, setting, real=real) for words in (tokens, changed))
    torch.testing.assert_close(first[:, :place], second[:, :place], rtol=0, atol=1e-6)


@pytest.mark.parametrize("stack", ["decoder", "encoder"])
@pytest.mark.parametrize("span", range(1, CONTEXT))
def test_a_key_farther_than_the_span_never_matters(stack: str, span: int) -> None:
    """One layer: exactly the tokens within the span change a query's logits when they change."""
    a = Architecture(**{**msgspec.structs.asdict(DECODER), "stack": stack})
    model, tokens = model_of(a), tokens_of(a)
    setting = Setting(6, (LayerSetting(2, 9, span=span),))
    before = logits_of(model, tokens, setting)
    seen = band(CONTEXT, span, a.causal, tokens.device)
    for key in range(CONTEXT):
        changed = tokens.clone()
        changed[:, key] = (changed[:, key] + 1) % a.vocabulary
        matters = (logits_of(model, changed, setting) - before).abs().amax(dim=(0, 2)) > 1e-6
        assert torch.equal(matters, seen[:, key])
    whole = CONTEXT // 2  # a query in the middle sees a whole span where the sequence is long enough
    if span <= whole:
        assert int(seen[whole].sum()) == span


@pytest.mark.parametrize("stack", ["decoder", "encoder"])
def test_a_span_of_the_context_is_no_span(stack: str) -> None:
    """0, the context and more than it are the same, in an encoder too, where half of it would reach to one side."""
    a = Architecture(**{**msgspec.structs.asdict(DECODER), "stack": stack})
    model, tokens = model_of(a), tokens_of(a)
    free = logits_of(model, tokens, largest(a))
    for span in (CONTEXT, CONTEXT + 5):
        spanned = Setting(6, (LayerSetting(2, 9, span=span),) * 3)
        torch.testing.assert_close(logits_of(model, tokens, spanned), free)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_sub_network_is_the_whole_model_of_its_own_size(data: st.DataObject) -> None:
    """A model as large as a setting, filled with the first rows and columns, gives its outputs as its largest."""
    a = data.draw(architectures(exits=False, ffn_reparametrised=False))
    model, tokens = model_of(a), tokens_of(a)
    heads, ffn = data.draw(st.integers(1, a.heads)), data.draw(st.integers(1, a.ffn))
    depth, hidden = data.draw(st.integers(1, a.layers)), data.draw(st.integers(1, a.hidden))
    small = Elastic(msgspec.structs.replace(a, hidden=hidden, layers=depth, heads=heads, ffn=ffn))
    whole = model.state_dict()
    small.load_state_dict({
        name: whole[name][tuple(slice(size) for size in value.shape)] for name, value in small.state_dict().items()
    })  # fmt: skip
    expected = logits_of(small, tokens, largest(small.architecture))
    got = logits_of(model, tokens, Setting(hidden, (LayerSetting(heads, ffn),) * depth))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("post_norm", [False, True])
def test_a_removed_sublayer_is_the_identity(post_norm: bool) -> None:
    """A layer without attention and FFN changes nothing, wherever the norms stand."""
    encoder = {"stack": "encoder", "embedding_norm": True, "final_norm": False} if post_norm else {}
    a = Architecture(**{**msgspec.structs.asdict(DECODER), **encoder})
    model, tokens, layer, none = model_of(a), tokens_of(a), LayerSetting(1, 5), LayerSetting(0, 0)
    alone = logits_of(model, tokens, Setting(5, (layer,)))
    assert torch.equal(logits_of(model, tokens, Setting(5, (layer, none, none))), alone)


@pytest.mark.parametrize(("matrix", "rest"), [("down", LayerSetting(2, 0)), ("output", LayerSetting(0, 9))])
def test_a_removed_sublayer_is_one_that_adds_nothing(matrix: str, rest: LayerSetting) -> None:
    """Before the residual addition, removal is the same as a sublayer whose last matrix and bias are 0."""
    model, tokens = model_of(DECODER), tokens_of(DECODER)
    removed = logits_of(model, tokens, Setting(5, (rest,)))
    with torch.no_grad():
        for parameter in getattr(model.layer_at(0), matrix).parameters():
            parameter.zero_()
    torch.testing.assert_close(logits_of(model, tokens, Setting(5, (LayerSetting(2, 9),))), removed)


def test_equal_seeds_give_equal_weights() -> None:
    """Weights depend on the seed alone, not on torch's global state, which stays as it was."""
    state = torch.get_rng_state()
    first, second, other = Elastic(DECODER, 1), Elastic(DECODER, 1), Elastic(DECODER, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.tokens, other.tokens)
    layer = Elastic(msgspec.structs.replace(DECODER, hidden=64, ffn=256), 0).layer_at(0)
    assert float(layer.up.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert float(layer.down.weight.detach().std()) == pytest.approx(0.02 / 6**0.5, rel=0.05)


def test_gradients_reach_exactly_the_slice() -> None:
    """Weights outside a sub-network get no gradient, those inside do; the slices are views."""
    model = model_of(DECODER)
    setting = Setting(4, (LayerSetting(1, 5), LayerSetting(1, 0)))
    ready = weights_of(model, setting)
    qkv = ready.layers[0].qkv
    assert qkv is not None
    assert qkv.weight.data_ptr() == model.layer_at(0).qkv.weight.data_ptr()
    logits_of(model, tokens_of(DECODER), setting).square().sum().backward()
    gradient = model.layer_at(0).qkv.weight.grad
    assert gradient is not None
    assert bool((gradient[:12, :4] != 0).any())
    assert not bool(gradient[12:].any() | gradient[:, 4:].any())
    assert model.layer_at(1).up.weight.grad is None
    assert model.layer_at(2).qkv.weight.grad is None


def test_shared_layers_are_one_set_that_all_places_train() -> None:
    """With sharing, one layer is stored, and its gradient is the sum over the places that use it."""
    a = msgspec.structs.replace(DECODER, shared_layers=True)
    shared, apart = model_of(a), model_of(DECODER)
    assert len(shared.layers) == 1
    with torch.no_grad():
        for name, value in apart.named_parameters():
            first = ".".join(["layers", "0", *name.split(".")[2:]]) if name.startswith("layers.") else name
            value.copy_(shared.get_parameter(first))
    for model in (shared, apart):
        logits_of(model, tokens_of(a), largest(a)).square().sum().backward()
    for name, value in shared.layer_at(0).named_parameters():
        total = sum(apart.layer_at(i).get_parameter(name).grad for i in range(3))
        torch.testing.assert_close(value.grad, total, rtol=1e-4, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_ready_weights_give_the_same_outputs(data: st.DataObject) -> None:
    """Weights made once serve many windows, with the outputs of weights made anew."""
    a = data.draw(architectures(exits=False))
    setting, model = data.draw(settings_of(a)), model_of(a)
    with torch.inference_mode():
        ready = weights_of(model, setting)
        for seed in range(2):
            tokens = tokens_of(a, seed)
            assert torch.equal(model(tokens, setting, ready), model(tokens, setting))
    logits_of(model, tokens_of(a), setting).sum().backward()  # what an evaluation cached is good for training


def test_padding_changes_nothing() -> None:
    """The classes of a text are those of the text with padding behind it, whatever the pooling."""
    for pooling in ("first", "mean"):
        a = Architecture(**{**msgspec.structs.asdict(DECODER), "stack": "encoder", "task": "classification",
                            "classes": 3, "pooling": pooling, "exits": True})  # fmt: skip
        model, tokens = model_of(a), tokens_of(a)
        setting = Setting(6, (LayerSetting(2, 9, span=5),) * 3)
        real = (torch.arange(CONTEXT) < 5).expand(2, -1)
        for padded, alone in zip(model(tokens, setting, real=real), model(tokens[:, :5], setting), strict=True):
            torch.testing.assert_close(padded, alone, rtol=0, atol=1e-5)


def test_each_exit_is_the_classifier_that_ends_there() -> None:
    """The classes at exit i are those of a model of the first i layers with that exit's pooler and head."""
    a = Architecture(**{**msgspec.structs.asdict(DECODER), "stack": "encoder", "task": "classification",
                        "classes": 3, "exits": True, "pooler": True})  # fmt: skip
    model, tokens, whole = model_of(a), tokens_of(a), largest(a)
    plain = Elastic(msgspec.structs.replace(a, exits=False))
    for depth, classes in enumerate(model(tokens, whole), start=1):
        plain.load_state_dict(model.state_dict(), strict=False)
        plain.heads[0].load_state_dict(model.heads[depth - 1].state_dict())
        plain.poolers[0].load_state_dict(model.poolers[depth - 1].state_dict())
        shallow = replace(whole, layers=whole.layers[:depth])
        assert torch.equal(logits_of(plain, tokens, shallow), classes)
        assert torch.equal(model(tokens, shallow)[-1], classes)


def test_merged_linear_branch_equals_the_two_matrices() -> None:
    """FFN(x) + B (A x) with A and B apart is what the merged branch gives, with an FFN and where it is removed."""
    a = msgspec.structs.replace(DECODER, ffn_reparametrised=True)
    model = model_of(a)
    layer = model.layer_at(0)
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    for ffn in (0, 7):
        merged = weights_of(model, Setting(4, (LayerSetting(1, ffn),))).layers[0]
        assert merged.linear is not None
        assert merged.linear.weight.shape == (4, 4)
        apart = apart_of(layer, x)
        torch.testing.assert_close(torch.nn.functional.linear(x, *merged.linear), apart)
        assert (merged.up is None) == (ffn == 0)
    logits_of(model, tokens_of(a), Setting(4, (LayerSetting(1, 0),))).sum().backward()
    assert layer.branch_up is not None
    assert layer.branch_up.weight.grad is not None


def apart_of(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    """The branch before merging: two matrices of 4 channels, one after the other."""
    assert layer.branch_up is not None
    assert layer.branch_down is not None
    inner = x @ layer.branch_up.weight[:, :4].T
    return inner @ layer.branch_down.weight[:4].T + layer.branch_down.bias[:4]


def test_wrong_settings_and_inputs_are_refused() -> None:
    """Each refusal names the field, the range, what came and the layer."""
    model, tokens = Elastic(DECODER), tokens_of(DECODER)
    good = LayerSetting(2, 9)
    cases = {
        r"hidden: expected 1\.\.6, got 7": Setting(7, (good,)),
        r"layers: expected 1\.\.3, got 4": Setting(6, (good,) * 4),
        r"heads: expected 0\.\.2, got 3 \(layer 1\)": Setting(6, (good, LayerSetting(3, 9))),
        r"ffn: expected 0\.\.9, got 10": Setting(6, (LayerSetting(2, 10),)),
        r"ffn_density: expected above 0, at most 1, got 0\.0": Setting(6, (replace(good, ffn_density=0.0),)),
        r"weight_bits: expected 2\.\.32, got 1": Setting(6, (replace(good, weight_bits=1),)),
    }
    for message, setting in cases.items():
        with pytest.raises(InputError, match=message):
            model(tokens, setting)
    with pytest.raises(InputError, match="expected at most 8 a sequence"):
        model(tokens_of(DECODER, length=9), largest(DECODER))
    with pytest.raises(InputError, match="unknown activation 'swish'; known: gelu, gelu_new, relu, silu"):
        Elastic(msgspec.structs.replace(DECODER, activation="swish"))
    with pytest.raises(InputError, match="layers: expected equal ones"):
        Elastic(msgspec.structs.replace(DECODER, shared_layers=True))(tokens, Setting(6, (good, LayerSetting(1, 9))))
