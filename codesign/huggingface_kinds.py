"""What the keys of each Hugging Face kind say about the shape: one function a kind, checked struct -> `ModelShape`.

A ValueError is a combination of sizes that makes no network; the caller adds the name of the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from codesign import huggingface_configs as configs
from codesign.design import LAYER_FIELDS, Family, IntArray, ModelShape, Stack, grouped

# Classes of transformers whose name ends like this project their output to the vocabulary.
_LM_HEADS = ("LMHeadModel", "ForCausalLM", "ForConditionalGeneration")


def bert(config: configs.Bert) -> ModelShape:
    """BertModel, with its pooler: post-norm, so no final norm."""
    family = Family(
        stacks=("encoder",),
        vocabulary=config.vocab_size,
        embedding_norm=True,
        activation=config.hidden_act,
        position_count=config.max_position_embeddings,
        token_types=config.type_vocab_size,
        pooler=True,
    )
    heads = config.num_attention_heads
    return _uniform(family, (config.num_hidden_layers,), config.hidden_size, heads, ffn=config.intermediate_size)


def albert(config: configs.Albert) -> ModelShape:
    """AlbertModel, with its pooler: one set of weights for all layers, factorised embedding."""
    family = Family(
        stacks=("encoder",),
        vocabulary=config.vocab_size,
        embedding_norm=True,
        activation=config.hidden_act,
        position_count=config.max_position_embeddings,
        token_types=config.type_vocab_size,
        embedding_width=config.embedding_size,
        shared_layers=True,
        pooler=True,
    )
    heads = config.num_attention_heads
    return _uniform(family, (config.num_hidden_layers,), config.hidden_size, heads, ffn=config.intermediate_size)


def distilbert(config: configs.DistilBert) -> ModelShape:
    """DistilBertModel: BERT without segments and pooler."""
    family = Family(
        stacks=("encoder",),
        vocabulary=config.vocab_size,
        embedding_norm=True,
        activation=config.activation,
        position_count=config.max_position_embeddings,
    )
    return _uniform(family, (config.n_layers,), config.dim, config.n_heads, ffn=config.hidden_dim)


def gpt2(config: configs.Gpt2) -> ModelShape:
    """GPT2LMHeadModel, or GPT2Model where `architectures` says so."""
    family = Family(
        stacks=("decoder",),
        vocabulary=config.vocab_size,
        final_norm=True,
        activation=config.activation_function,
        position_count=config.n_positions,
        lm_head=_has_lm_head(config.architectures),
        tied_embeddings=config.tie_word_embeddings,
    )
    ffn = 4 * config.n_embd if config.n_inner is None else config.n_inner
    return _uniform(family, (config.n_layer,), config.n_embd, config.n_head, ffn=ffn)


def t5(config: configs.T5) -> ModelShape:
    """T5ForConditionalGeneration, or T5Model or T5EncoderModel where `architectures` says so."""
    *gated, activation = config.feed_forward_proj.split("-")
    if gated not in ([], ["gated"]):
        got = repr(config.feed_forward_proj)
        raise ValueError(f"feed_forward_proj: expected an activation such as 'relu' or 'gated-gelu', got {got}")
    encoder_only = _class_name(config.architectures).endswith("EncoderModel")
    stacks: tuple[Stack, ...] = ("encoder",) if encoder_only else ("encoder", "decoder")
    family = Family(
        stacks=stacks,
        vocabulary=config.vocab_size,
        norm="rmsnorm",
        final_norm=True,
        attention_bias=False,
        ffn_bias=False,
        gated_ffn=bool(gated),
        # T5Config reads "gated-gelu" as the tanh approximation.
        activation="gelu_new" if config.feed_forward_proj == "gated-gelu" else activation,
        positions="relative",
        position_count=config.relative_attention_num_buckets,
        lm_head=_has_lm_head(config.architectures),
        tied_embeddings=config.tie_word_embeddings,
    )
    decoder_layers = config.num_layers if config.num_decoder_layers is None else config.num_decoder_layers
    layers = (config.num_layers, decoder_layers)[: len(stacks)]
    return _uniform(family, layers, config.d_model, config.num_heads, ffn=config.d_ff, head_width=config.d_kv)


def llama(config: configs.Llama) -> ModelShape:
    """LlamaForCausalLM or MistralForCausalLM, or their body where `architectures` says so."""
    family = Family(
        stacks=("decoder",),
        vocabulary=config.vocab_size,
        norm="rmsnorm",
        final_norm=True,
        attention_bias=config.attention_bias,
        ffn_bias=config.mlp_bias,
        gated_ffn=True,
        activation=config.hidden_act,
        positions="rotary",
        lm_head=_has_lm_head(config.architectures),
        tied_embeddings=config.tie_word_embeddings,
    )
    heads = config.num_attention_heads
    kv_heads = heads if config.num_key_value_heads is None else config.num_key_value_heads
    if config.hidden_size % heads:
        # transformers refuses it too, even where head_dim is given.
        raise ValueError(f"hidden_size: expected a multiple of num_attention_heads = {heads}, got {config.hidden_size}")
    if heads % kv_heads:
        raise ValueError(f"num_key_value_heads: expected a divisor of num_attention_heads = {heads}, got {kv_heads}")
    return _uniform(
        family,
        (config.num_hidden_layers,),
        config.hidden_size,
        heads,
        kv_heads=kv_heads,
        head_width=config.head_dim,
        ffn=config.intermediate_size,
    )


def codesign(config: configs.Codesign) -> ModelShape:
    """The project's own kind: one stack whose layers differ."""
    if len(config.family.stacks) != 1:
        raise ValueError(f"family.stacks: expected one stack, got {', '.join(config.family.stacks)}")
    columns = {name: getattr(config, name) for name in LAYER_FIELDS}
    for name, column in columns.items():
        if len(column) != config.layers:
            raise ValueError(f"{name}: expected one entry for each of {config.layers} layers, got {len(column)}")
    return _shape(config.family, config.hidden, [columns])


def _has_lm_head(architectures: configs.Architectures) -> bool:
    return not architectures or _class_name(architectures).endswith(_LM_HEADS)


def _class_name(architectures: configs.Architectures) -> str:
    return architectures[0] if architectures else ""


def _uniform(
    family: Family,
    layers: Sequence[int],
    hidden: int,
    heads: int,
    *,
    ffn: int,
    kv_heads: int | None = None,
    head_width: int | None = None,
) -> ModelShape:
    """Return the shape whose layers are all alike; widths left out are those of multi-head attention."""
    if head_width is None and hidden % heads:
        raise ValueError(f"hidden size: expected a multiple of the number of heads {heads}, got {hidden}")
    width = hidden // heads if head_width is None else head_width
    sizes = (heads, heads if kv_heads is None else kv_heads, width, width, ffn)
    return _shape(
        family, hidden, [dict(zip(LAYER_FIELDS, ([size] * n for size in sizes), strict=True)) for n in layers]
    )


def _shape(family: Family, hidden: int, stacks: Sequence[Mapping[str, Sequence[int]]]) -> ModelShape:
    """Return one shape (n = 1) from the layer columns of each stack, padded with zeros to the deepest stack."""
    layers = [len(stack["heads"]) for stack in stacks]

    def column(name: str) -> IntArray:
        padded = [[*stack[name], *[0] * (max(layers) - n)] for stack, n in zip(stacks, layers, strict=True)]
        return np.array([padded], dtype=np.int64)  # (1, S, L)

    columns = {name: column(name) for name in LAYER_FIELDS}
    return ModelShape(
        family, np.array([layers], dtype=np.int64), np.array([hidden], dtype=np.int64), **grouped(columns)
    )
