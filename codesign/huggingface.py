"""Read the `config.json` of a Hugging Face model as a model shape, without importing torch or transformers.

What a `Family` cannot express (sliding windows, cross-attention in a single stack, a decoder of BERT kind, several
groups of shared layers, overrides of single layers) is refused by its key.

What is counted: BERT, ALBERT and DistilBERT are their bare model (BERT and ALBERT with the pooler) whatever task head
`architectures` names; GPT-2, T5 and the Llama relatives have their LM head unless `architectures` names a class
without one, in which case it is the body alone. T5 with `tie_word_embeddings = false` has an output projection of its
own, as its published weights do (transformers 5 ties it in a model built from the config alone).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from codesign import huggingface_configs as configs
from codesign import huggingface_kinds as kinds
from codesign.checks import check_shape
from codesign.design import ModelShape
from codesign.errors import InputError, unknown_name
from codesign.files import convert, read_text


@dataclass(frozen=True)
class Kind:
    """How one `model_type` is read."""

    struct: type[Any]
    shape: Callable[[Any], ModelShape]
    """Checked struct -> shape; a ValueError is a combination of sizes that makes no network."""
    only: Mapping[str, tuple[object, object]] = field(default_factory=dict)
    """Key -> (the one value that a Family can express, the default where the key is missing)."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Standardised key -> the key of this kind (transformers' `attribute_map`)."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Key -> default, where it differs from the struct's."""


def read_config(path: Path) -> ModelShape:
    """Read one shape (n = 1) from a `config.json`.

    Raises:
        InputError: unreadable, empty or malformed file, unknown `model_type`, wrong type, inexpressible network.
    """
    try:
        raw = msgspec.json.decode(read_text(path))
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path}: expected a JSON object with a model_type, got {type(raw).__name__}")
    return config_shape(raw, str(path))


def config_shape(raw: Mapping[str, Any], origin: str) -> ModelShape:
    """Return the shape (n = 1) that a config describes; `origin` names it in messages."""
    name = raw.get("model_type")
    if not isinstance(name, str):
        raise InputError(f"{origin}: model_type: expected one of {', '.join(sorted(KINDS))}, got {name!r}")
    if name not in KINDS:
        raise InputError(f"{origin}: {unknown_name('model_type', name, KINDS)}")
    kind = KINDS[name]
    for key, (only, default) in {**_EVERY_KIND, **kind.only}.items():
        if (got := raw.get(key, default)) != only:
            why = "" if key in raw else " (the default of a missing key)"
            raise InputError(f"{origin}: {key}: expected {only!r}, the only value that can be costed, got {got!r}{why}")
    config = convert({**kind.defaults, **_without_aliases(raw, kind.aliases, origin)}, origin, kind.struct)
    try:
        shape = kind.shape(config)
        check_shape(shape)
    except ValueError as error:
        raise InputError(f"{origin}: {error}") from None
    return shape


def _without_aliases(raw: Mapping[str, Any], aliases: Mapping[str, str], origin: str) -> dict[str, Any]:
    renamed = dict(raw)
    for alias, key in aliases.items():
        if alias not in raw:
            continue
        if raw.get(key, raw[alias]) != raw[alias]:
            both = f"{raw[alias]!r} and {raw[key]!r}"
            raise InputError(f"{origin}: {alias} and {key}: expected one value, they are the same setting, got {both}")
        renamed[key] = renamed.pop(alias)
    return renamed


# Keys of any kind that would add weights or operations; the second value is what a missing key means.
_EVERY_KIND: Mapping[str, tuple[object, object]] = {
    "add_cross_attention": (False, False),
    "per_layer_config": (None, None),
    "pruned_heads": ({}, {}),
}
_ENCODER = {"is_decoder": (False, False), "position_embedding_type": ("absolute", "absolute")}

KINDS: dict[str, Kind] = {
    "bert": Kind(configs.Bert, kinds.bert, only=_ENCODER),
    "albert": Kind(
        configs.Albert, kinds.albert, only={**_ENCODER, "num_hidden_groups": (1, 1), "inner_group_num": (1, 1)}
    ),
    "distilbert": Kind(
        configs.DistilBert,
        kinds.distilbert,
        aliases={"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"},
    ),
    "gpt2": Kind(
        configs.Gpt2,
        kinds.gpt2,
        aliases={
            "hidden_size": "n_embd",
            "max_position_embeddings": "n_positions",
            "num_attention_heads": "n_head",
            "num_hidden_layers": "n_layer",
        },
    ),
    "t5": Kind(
        configs.T5,
        kinds.t5,
        aliases={
            "hidden_size": "d_model",
            "num_attention_heads": "num_heads",
            "num_hidden_layers": "num_layers",
            "head_dim": "d_kv",
        },
    ),
    "llama": Kind(configs.Llama, kinds.llama),
    "mistral": Kind(
        configs.Llama,
        kinds.llama,
        # MistralConfig windows the attention by default and has no biases.
        only={"sliding_window": (None, 4096), "attention_bias": (False, False), "mlp_bias": (False, False)},
        defaults={"intermediate_size": 14336, "num_key_value_heads": 8},
    ),
    "codesign": Kind(configs.Codesign, kinds.codesign),
}
