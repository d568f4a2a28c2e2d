"""The torch model of the project's own kind: its counts against ours, and what a transformer must do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from codesign.describe import describe_model
from codesign.design import Family, ModelShape, Scenario
from codesign.errors import InputError
from codesign.export.transformer import CodesignForCausalLM, CodesignModel
from codesign.export.transformer_config import CodesignConfig
from codesign.huggingface import config_shape, read_config
from codesign.parameters import total_parameters
from codesign.workload import macs, workload
from tests.strategies import LONGEST, families, model_shapes

DECODER: dict[str, Any] = {
    "model_type": "codesign",
    "family": {
        "stacks": ["decoder"],
        "vocabulary": 50,
        "lm_head": True,
        "norm": "rmsnorm",
        "final_norm": True,
        "gated_ffn": True,
        "activation": "silu",
        "positions": "rotary",
    },
    "layers": 3,
    "hidden": 12,
    "heads": [4, 0, 2],
    "kv_heads": [2, 0, 1],
    "head_width": [4, 0, 6],
    "value_width": [5, 0, 3],
    "ffn": [16, 7, 0],
}


def decoder(**parts: Any) -> dict[str, Any]:
    """Return the keys of DECODER with other parts in its family."""
    return DECODER | {"family": DECODER["family"] | parts}


def build(config: dict[str, Any], **extra: Any) -> Any:
    """Build the model that a config of our kind describes, in evaluation mode and with fixed weights."""
    torch.manual_seed(0)
    own = CodesignConfig(**config, **extra)
    model = CodesignForCausalLM(own) if own.parts.lm_head else CodesignModel(own)
    with torch.no_grad():  # norms and biases start at one and zero, which would hide a misplaced one
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def expressible(family: Family) -> bool:
    """Tell whether our kind can say a family of one stack."""
    return family.positions != "relative" and not (family.lm_head and family.stacks == ("encoder",))


FAMILIES = families([("encoder",), ("decoder",)]).filter(expressible)
SHAPES = FAMILIES.flatmap(lambda family: model_shapes(family, max_designs=1))


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES)
def test_parameters_equal_ours(shape: ModelShape) -> None:
    """Whatever its layers, the torch model holds as many parameters as the shape counts."""
    model = build(describe_model(shape))
    assert sum(parameter.numel() for parameter in model.parameters()) == total_parameters(shape)[0]


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, batch=st.integers(1, 3), length=st.integers(1, LONGEST))
def test_flops_are_twice_our_macs(shape: ModelShape, batch: int, length: int) -> None:
    """The FLOP counter of torch sees two operations for each multiply-accumulate of the workload."""
    model = build(describe_model(shape))
    # The math kernel consists of plain matrix products, so torch counts the value width as it is.
    with sdpa_kernel(SDPBackend.MATH), torch.no_grad(), FlopCounterMode(display=False) as counter:
        output = model(torch.zeros(batch, length, dtype=torch.long))
    assert all(value.isfinite().all() for value in output.values())
    ours = macs(workload(shape, Scenario(sequence_length=length, batch=batch)))[0]
    assert counter.get_total_flops() == 2 * ours


def test_a_later_token_changes_no_earlier_logits() -> None:
    """A decoder is causal."""
    model, tokens = build(DECODER), torch.arange(9)[None]
    changed = tokens.clone()
    changed[0, 6] = 49
    before, after = model(tokens).logits, model(changed).logits
    torch.testing.assert_close(before[:, :6], after[:, :6])
    assert (before[:, 6:] != after[:, 6:]).any(dim=-1).all()


def test_an_encoder_looks_both_ways() -> None:
    """In an encoder a later token changes earlier states."""
    model, tokens = build(decoder(stacks=["encoder"], lm_head=False)), torch.arange(9)[None]
    changed = tokens.clone()
    changed[0, 6] = 49
    assert (model(tokens).last_hidden_state != model(changed).last_hidden_state).any(dim=-1).all()


@pytest.mark.parametrize("positions", ["rotary", "learned"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(positions: str, side: str) -> None:
    """Logits of real tokens do not depend on padding, on either side."""
    rows = 16 if positions == "learned" else 0
    model, tokens = build(decoder(positions=positions, position_count=rows)), torch.arange(1, 6)[None]
    padding = (3, 0) if side == "left" else (0, 3)
    padded = torch.nn.functional.pad(tokens, padding, value=7)
    mask = torch.nn.functional.pad(torch.ones_like(tokens), padding)
    torch.testing.assert_close(model(tokens).logits, model(padded, attention_mask=mask).logits[mask.bool()][None])


def test_loss_is_that_of_the_next_token() -> None:
    """The loss is the mean cross-entropy of each next token; -100 has none."""
    model, tokens = build(DECODER), torch.arange(9)[None]
    labels = tokens.clone()
    labels[0, 5:] = -100
    output = model(tokens, labels=labels)
    expected = torch.nn.functional.cross_entropy(output.logits[0, :4], tokens[0, 1:5])
    torch.testing.assert_close(output.loss, expected)


def test_generate_continues_greedily() -> None:
    """`generate` works without a cache: it appends the most likely token each time."""
    model, tokens = build(DECODER), torch.arange(4)[None]
    generated = model.generate(tokens, max_new_tokens=3, do_sample=False)
    for _ in range(3):
        tokens = torch.cat([tokens, model(tokens).logits[:, -1:].argmax(-1)], dim=1)
    assert generated.tolist() == tokens.tolist()


@pytest.mark.parametrize("tied", [True, False])
def test_saved_model_comes_back(tied: bool, tmp_path: Path) -> None:
    """After save and load the logits, the tie and the shape are the same."""
    config = decoder(tied_embeddings=tied)
    model, tokens = build(config), torch.arange(9)[None]
    model.save_pretrained(tmp_path)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(model(tokens).logits, again(tokens).logits)
    assert (again.lm_head.weight is again.model.embeddings.tokens.weight) == tied
    assert describe_model(read_config(tmp_path / "config.json")) == describe_model(config_shape(config, "test"))


def test_auto_classes_know_the_kind(tmp_path: Path) -> None:
    """Importing the module suffices for the auto classes to build the model from its config."""
    build(DECODER).config.save_pretrained(tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    assert isinstance(config, CodesignConfig)
    assert isinstance(transformers.AutoModel.from_config(config), CodesignModel)
    assert isinstance(transformers.AutoModelForCausalLM.from_config(config), CodesignForCausalLM)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head_width": [3, 0, 6]}, "head_width: expected even widths for rotary positions, got 3"),
        (decoder(positions="relative"), "positions: expected learned, rotary or none"),
        ({"heads": [4, 0]}, "heads: expected one entry for each of 3 layers, got 2"),
    ],
)
def test_configs_that_make_no_network_are_refused(change: dict[str, Any], message: str) -> None:
    """A configuration of our kind is checked when it is made."""
    with pytest.raises(InputError, match=message):
        CodesignConfig(**DECODER | change)


def test_only_decoders_have_an_lm_head() -> None:
    """An encoder is refused as a causal language model."""
    config = CodesignConfig(**decoder(stacks=["encoder"]))
    with pytest.raises(InputError, match="expected a decoder, got encoder"):
        CodesignForCausalLM(config)
