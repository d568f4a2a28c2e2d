"""Tiny published networks of every kind, with weights that all matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from codesign.pretrained.building import base_of, class_of
from codesign.pretrained.checkpoint import read_checkpoint
from codesign.pretrained.model import Checkpoint

VOCABULARY, LENGTH, HEADS, WIDTH, FFN = 50, 11, 4, 6, 32

CONFIGS: dict[str, dict[str, Any]] = {
    "bert": {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": HEADS, "intermediate_size": FFN,
             "max_position_embeddings": 16},
    "albert": {"embedding_size": 8, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": HEADS,
               "intermediate_size": FFN, "max_position_embeddings": 16},
    "distilbert": {"dim": 24, "n_layers": 3, "n_heads": HEADS, "hidden_dim": FFN, "max_position_embeddings": 16},
    "gpt2": {"n_embd": 24, "n_layer": 3, "n_head": HEADS, "n_inner": FFN, "n_positions": 16, "bos_token_id": 0,
             "eos_token_id": 0},
    "t5": {"d_model": 24, "d_kv": WIDTH, "num_layers": 3, "num_decoder_layers": 2, "num_heads": HEADS, "d_ff": FFN,
           "feed_forward_proj": "gated-gelu", "decoder_start_token_id": 0},
}  # fmt: skip
"""`model_type` -> what differs from the defaults of its config."""

KINDS = sorted(CONFIGS)


def publish(kind: str, directory: Path) -> Any:
    """Write a network of a kind with random weights as transformers does, and return it."""
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, vocab_size=VOCABULARY, **CONFIGS[kind])
    body = class_of(base_of(config.to_dict(), kind)).from_config(config)
    for parameter in body.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    body.save_pretrained(directory)
    return body.eval()


def published(kind: str, directory: Path) -> Checkpoint:
    """Return such a network as a checkpoint."""
    publish(kind, directory)
    return read_checkpoint(directory)


@torch.no_grad()
def output(body: Any) -> Tensor:
    """Return what a network computes from three fixed sequences, one of them padded."""
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randint(1, VOCABULARY, (3, LENGTH), generator=draw)
    real = torch.ones_like(tokens)
    real[1, 7:] = 0
    inputs = {"input_ids": tokens, "attention_mask": real}
    if body.config.model_type == "t5":
        inputs["decoder_input_ids"] = torch.randint(1, VOCABULARY, (3, 5), generator=draw)
    states: Tensor = body(**inputs)[0]
    return states if body.config.model_type in ("gpt2", "t5") else states * real[:, :, None]
