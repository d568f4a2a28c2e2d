"""The model shape as a Hugging Face `config.json`: of a standard kind where one has exactly this shape, else our own.

Whether a standard kind fits is decided by reading its config back: the shape must come out unchanged. Our own kind
(`model_type = "codesign"`) carries the words of a design file; `import codesign.export.transformer` makes transformers
know it. The model is instantiated once without memory (torch's meta device) and its parameters are counted.

Only a T5 can be exported with two stacks: our own kind has one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from codesign.describe import describe_model
from codesign.design import Design, Family, ModelShape, Scenario
from codesign.errors import CodesignError, InputError, unknown_name
from codesign.export.context import ExportContext, Files
from codesign.huggingface import config_shape
from codesign.layer_fields import GROUPED
from codesign.parameters import total_parameters

Config = dict[str, Any]


@dataclass(frozen=True)
class _Sizes:
    """One shape as a standard kind sees it: all layers like the first one."""

    family: Family
    layers: list[int]  # a stack
    hidden: int
    heads: int
    kv_heads: int
    head_width: int
    ffn: int
    sequence_length: int


def render(design: Design, context: ExportContext) -> Files:
    """A transformers config of a standard kind or our own, parameter count checked: `huggingface/config.json`."""
    shape = design.shape
    _refuse_groups(shape)
    config = _standard(shape, context.scenario) or _own(shape)
    found, expected = _count_parameters(config), int(total_parameters(shape)[0])
    if found != expected:
        name = config["architectures"][0]
        raise CodesignError(f"huggingface: {name}: expected {expected} parameters as the shape has, got {found}")
    return {"huggingface/config.json": msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n"}


def _refuse_groups(shape: ModelShape) -> None:
    """Refuse what is a property of weights that do not exist yet, or of an attention that our kind does not have."""
    stated = [name for name in GROUPED if name in shape.layer_columns()]
    if stated:
        raise InputError(
            f"huggingface: {', '.join(stated)}: a config has no words for them yet, and the model that it makes would "
            "be another one (dense, of one precision, attending to everything); use --format json"
        )


def _standard(shape: ModelShape, scenario: Scenario) -> Config | None:
    """Return the config of the first standard kind that means exactly this shape."""
    sizes = _Sizes(
        family=shape.family,
        layers=shape.layers[0].tolist(),
        hidden=int(shape.hidden[0]),
        heads=int(shape.heads[0, 0, 0]),
        kv_heads=int(shape.kv_heads[0, 0, 0]),
        head_width=int(shape.head_width[0, 0, 0]),
        ffn=int(shape.ffn[0, 0, 0]),
        sequence_length=scenario.sequence_length,
    )
    for build in _BUILDERS:
        config = build(sizes)
        try:
            if describe_model(config_shape(config, "config.json")) == describe_model(shape):
                return config
        except InputError:
            continue  # this kind refuses these sizes
    return None


def _own(shape: ModelShape) -> Config:
    family = shape.family
    if len(family.stacks) == 2:
        raise InputError("huggingface: an encoder with a decoder can be exported only where it is exactly a T5 (all "
                         "layers alike, rmsnorm, relative positions, tied embeddings); this shape is not")  # fmt: skip
    if family.lm_head and family.stacks == ("encoder",):
        raise InputError("huggingface: an encoder with an LM head cannot be exported; set lm_head = false")
    name = "CodesignForCausalLM" if family.lm_head else "CodesignModel"
    return {"model_type": "codesign", "architectures": [name], **describe_model(shape)}


def _count_parameters(config: Config) -> int:
    """Build the model that the config describes on the meta device and count its parameters."""
    import torch
    import transformers
    from transformers.activations import ACT2FN

    from codesign.export import transformer

    activation = config_shape(config, "config.json").family.activation
    if activation not in ACT2FN:
        raise unknown_name("activation", activation, ACT2FN)
    classes = transformer if config["model_type"] == "codesign" else transformers
    model_class = getattr(classes, config["architectures"][0])
    with torch.device("meta"):
        model = model_class(model_class.config_class.from_dict(config))
    return sum(parameter.numel() for parameter in model.parameters())


def _bert(sizes: _Sizes) -> Config:
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": sizes.family.vocabulary,
        "hidden_size": sizes.hidden,
        "num_hidden_layers": sizes.layers[0],
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.ffn,
        "hidden_act": sizes.family.activation,
        "max_position_embeddings": sizes.family.position_count,
        "type_vocab_size": sizes.family.token_types,
    }


def _albert(sizes: _Sizes) -> Config:
    shared = {"num_hidden_groups": 1, "inner_group_num": 1, "bos_token_id": None, "eos_token_id": None}
    kind = {"model_type": "albert", "architectures": ["AlbertModel"], "embedding_size": sizes.family.embedding_width}
    return _bert(sizes) | kind | shared


def _distilbert(sizes: _Sizes) -> Config:
    return {
        "model_type": "distilbert",
        "architectures": ["DistilBertModel"],
        "vocab_size": sizes.family.vocabulary,
        "dim": sizes.hidden,
        "n_layers": sizes.layers[0],
        "n_heads": sizes.heads,
        "hidden_dim": sizes.ffn,
        "activation": sizes.family.activation,
        "max_position_embeddings": sizes.family.position_count,
    }


def _gpt2(sizes: _Sizes) -> Config:
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel" if sizes.family.lm_head else "GPT2Model"],
        "vocab_size": sizes.family.vocabulary,
        "n_embd": sizes.hidden,
        "n_layer": sizes.layers[0],
        "n_head": sizes.heads,
        "n_inner": sizes.ffn,
        "activation_function": sizes.family.activation,
        "n_positions": sizes.family.position_count,
        "tie_word_embeddings": sizes.family.tied_embeddings,
        **_NO_TOKENS,
    }


def _llama(sizes: _Sizes) -> Config:
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM" if sizes.family.lm_head else "LlamaModel"],
        "vocab_size": sizes.family.vocabulary,
        "hidden_size": sizes.hidden,
        "num_hidden_layers": sizes.layers[0],
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.head_width,
        "intermediate_size": sizes.ffn,
        "hidden_act": sizes.family.activation,
        "attention_bias": sizes.family.attention_bias,
        "mlp_bias": sizes.family.ffn_bias,
        # Rotary positions have no table; the longest sequence is the one that the design was chosen for.
        "max_position_embeddings": sizes.sequence_length,
        "tie_word_embeddings": sizes.family.tied_embeddings,
        **_NO_TOKENS,
    }


def _t5(sizes: _Sizes) -> Config:
    family = sizes.family
    two_stacks = {1: "T5EncoderModel", 2: "T5ForConditionalGeneration" if family.lm_head else "T5Model"}
    feed_forward = f"gated-{family.activation}" if family.gated_ffn else family.activation
    return {
        "model_type": "t5",
        "architectures": [two_stacks[len(sizes.layers)]],
        "vocab_size": family.vocabulary,
        "d_model": sizes.hidden,
        "d_kv": sizes.head_width,
        "d_ff": sizes.ffn,
        "num_layers": sizes.layers[0],
        "num_decoder_layers": sizes.layers[-1],
        "num_heads": sizes.heads,
        "relative_attention_num_buckets": family.position_count,
        # transformers 5 always ties T5's output projection, whatever the config says.
        "feed_forward_proj": "gated-gelu" if feed_forward == "gated-gelu_new" else feed_forward,
        "tie_word_embeddings": True,
    }


# A shape knows no tokenizer, and the defaults of these kinds may lie beyond its vocabulary.
_NO_TOKENS = {"bos_token_id": None, "eos_token_id": None}

_BUILDERS: tuple[Callable[[_Sizes], Config], ...] = (_bert, _albert, _distilbert, _gpt2, _llama, _t5)
