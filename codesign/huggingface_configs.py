"""The keys of a Hugging Face `config.json` that decide sizes, one struct a kind, with the documented defaults.

A saved config leaves default values out, so each struct lists the default of its transformers class (5.x). Keys that
change no size (dropout, initialisation, token ids, rotary base) are not read.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from codesign.design import Family

Size = Annotated[int, msgspec.Meta(ge=1, le=2**24)]
Depth = Annotated[int, msgspec.Meta(ge=1, le=2**16)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**24)]
Architectures = tuple[str, ...] | None
"""Names of transformers classes; the first suffices to see whether there is an LM head."""


class Bert(msgspec.Struct, frozen=True, kw_only=True):
    """BertConfig."""

    vocab_size: Size = 30522
    hidden_size: Size = 768
    num_hidden_layers: Depth = 12
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    hidden_act: str = "gelu"
    max_position_embeddings: Size = 512
    type_vocab_size: Count = 2


class Albert(msgspec.Struct, frozen=True, kw_only=True):
    """AlbertConfig (the defaults are those of ALBERT-xxlarge)."""

    vocab_size: Size = 30000
    embedding_size: Size = 128
    hidden_size: Size = 4096
    num_hidden_layers: Depth = 12
    num_attention_heads: Size = 64
    intermediate_size: Size = 16384
    hidden_act: str = "gelu_new"
    max_position_embeddings: Size = 512
    type_vocab_size: Count = 2


class DistilBert(msgspec.Struct, frozen=True, kw_only=True):
    """DistilBertConfig."""

    vocab_size: Size = 30522
    dim: Size = 768
    n_layers: Depth = 6
    n_heads: Size = 12
    hidden_dim: Size = 3072
    activation: str = "gelu"
    max_position_embeddings: Size = 512


class Gpt2(msgspec.Struct, frozen=True, kw_only=True):
    """GPT2Config; `n_inner` null means 4 x `n_embd`."""

    vocab_size: Size = 50257
    n_positions: Size = 1024
    n_embd: Size = 768
    n_layer: Depth = 12
    n_head: Size = 12
    n_inner: Size | None = None
    activation_function: str = "gelu_new"
    tie_word_embeddings: bool = True
    architectures: Architectures = None


class T5(msgspec.Struct, frozen=True, kw_only=True):
    """T5Config; `num_decoder_layers` null means as many as the encoder has."""

    vocab_size: Size = 32128
    d_model: Size = 512
    d_kv: Size = 64
    d_ff: Size = 2048
    num_layers: Depth = 6
    num_decoder_layers: Depth | None = None
    num_heads: Size = 8
    relative_attention_num_buckets: Size = 32
    feed_forward_proj: str = "relu"
    tie_word_embeddings: bool = True
    architectures: Architectures = None


class Llama(msgspec.Struct, frozen=True, kw_only=True):
    """LlamaConfig; `num_key_value_heads` null means no grouping, `head_dim` null the hidden size / heads."""

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Depth = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    hidden_act: str = "silu"
    attention_bias: bool = False
    mlp_bias: bool = False
    tie_word_embeddings: bool = False
    architectures: Architectures = None


class Codesign(msgspec.Struct, frozen=True, kw_only=True):
    """The project's own kind, written by `codesign.export`: the words of a design file, one list entry a layer."""

    family: Family
    layers: Size
    hidden: Size
    heads: tuple[Count, ...]
    kv_heads: tuple[Count, ...]
    head_width: tuple[Count, ...]
    value_width: tuple[Count, ...]
    ffn: tuple[Count, ...]
