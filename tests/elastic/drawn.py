"""Random small architectures and settings of them, and models whose every parameter matters."""

from typing import Any

import torch
from hypothesis import strategies as st

from codesign.elastic.architecture import Architecture
from codesign.elastic.setting import LayerSetting, Setting
from codesign.elastic.transformer import Elastic

CONTEXT = 8
BATCH = 2


@st.composite
def architectures(draw: st.DrawFn, **fixed: Any) -> Architecture:
    """Draw any architecture whose parts can be joined; heads x head width is no function of the hidden size."""
    task = fixed.get("task", draw(st.sampled_from(["language_model", "classification", "span_answers"])))
    embedding_width = draw(st.sampled_from([0, 3]))
    stack = fixed.get("stack", draw(st.sampled_from(["encoder", "decoder"])))
    exponent_bits = draw(st.sampled_from([0, 2, 3]))
    drawn = {
        "stack": stack,
        "vocabulary": draw(st.integers(2, 12)),
        "context": CONTEXT,
        "hidden": draw(st.integers(3, 10)),
        "layers": draw(st.integers(1, 3)),
        "heads": draw(st.integers(1, 3)),
        "head_width": draw(st.integers(1, 4)),
        "ffn": draw(st.integers(1, 9)),
        "norm": draw(st.sampled_from(["layernorm", "rmsnorm"])),
        "learned_positions": draw(st.booleans()),
        "token_types": draw(st.sampled_from([0, 2])),
        "activation": draw(st.sampled_from(["gelu", "relu", "silu"])),
        "embedding_width": embedding_width,
        "task": task,
        "tied_embeddings": embedding_width == 0 and draw(st.booleans()),
        "classes": 3 if task == "classification" else 0,
        "exits": task == "classification" and draw(st.booleans()),
        "pooling": "mean" if stack == "decoder" else draw(st.sampled_from(["first", "mean"])),
        "removal": draw(st.sampled_from(["unstructured", "rows", "heads"])),
        "kept_by": draw(st.sampled_from(["magnitude", "movement"])),
        "number_format": "adaptivfloat" if exponent_bits else "integer",
        "exponent_bits": exponent_bits,
    }
    flags = ("final_norm", "embedding_norm", "attention_bias", "ffn_bias", "gated_ffn", "shared_layers",
             "ffn_reparametrised")  # fmt: skip
    drawn |= {name: draw(st.booleans()) for name in flags}
    drawn["pooler"] = drawn["stack"] == "encoder" and task == "classification" and draw(st.booleans())
    return Architecture(**(drawn | fixed))


@st.composite
def settings_of(draw: st.DrawFn, a: Architecture, plain: bool = False) -> Setting:
    """Draw a sub-network; a plain one is dense, in floats, and sees the whole context."""
    depth = draw(st.integers(1, a.layers))
    layers = [draw(_layers(a, plain)) for _ in range(depth)]
    return Setting(draw(st.integers(1, a.hidden)), tuple(layers[:1] * depth if a.shared_layers else layers))


@st.composite
def _layers(draw: st.DrawFn, a: Architecture, plain: bool) -> LayerSetting:
    heads, ffn = draw(st.integers(0, a.heads)), draw(st.integers(0, a.ffn))
    if plain:
        return LayerSetting(heads, ffn)
    bits = st.sampled_from([0, 4, 8])
    return LayerSetting(
        heads=heads,
        ffn=ffn,
        span=draw(st.integers(0, CONTEXT + 1)) if heads else 0,
        attention_density=draw(st.sampled_from([0.3, 0.5, 1.0])) if heads else 1.0,
        ffn_density=draw(st.sampled_from([0.3, 0.5, 1.0])) if ffn else 1.0,
        weight_bits=draw(bits) if heads or ffn else 0,
        activation_bits=draw(bits) if heads or ffn else 0,
    )


def model_of(a: Architecture, seed: int = 0) -> Elastic:
    """Build a model in which no bias is 0, no scale 1, and no weight too small to be noticed."""
    model = Elastic(a, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


def tokens_of(a: Architecture, seed: int = 0, length: int = CONTEXT) -> torch.Tensor:
    """Draw (BATCH, length) tokens."""
    return torch.randint(0, a.vocabulary, (BATCH, length), generator=torch.Generator().manual_seed(seed))
