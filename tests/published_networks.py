"""Tiny networks of the transformers library, each beside the shape that describes it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from codesign.design import Family, ModelShape, Scenario
from tests.strategies import uniform_shape

# Attention written out as two products, which is what torch's counter sees through.
_EAGER = {"attn_implementation": "eager"}


class Network(NamedTuple):
    """A shape, and how to build its twin with random weights."""

    shape: ModelShape
    build: Callable[[], nn.Module]


def _bert() -> nn.Module:
    from transformers import BertConfig, BertModel

    config = BertConfig(vocab_size=31, hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=40,
                        max_position_embeddings=16, type_vocab_size=2, **_EAGER)  # fmt: skip
    return BertModel(config)


def _albert() -> nn.Module:
    from transformers import AlbertConfig, AlbertModel

    config = AlbertConfig(vocab_size=31, hidden_size=24, num_hidden_layers=3, num_attention_heads=4, embedding_size=10,
                          intermediate_size=40, max_position_embeddings=16, type_vocab_size=2, **_EAGER)  # fmt: skip
    return AlbertModel(config)


def _gpt2(name: str) -> nn.Module:
    import transformers

    config = transformers.GPT2Config(vocab_size=31, n_embd=24, n_layer=3, n_head=4, n_inner=40, n_positions=16,
                                     bos_token_id=0, eos_token_id=0, **_EAGER)  # fmt: skip
    return getattr(transformers, name)(config)


def _t5(feed_forward: str, tied: bool) -> nn.Module:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=31, d_model=24, d_kv=5, d_ff=40, num_layers=2, num_decoder_layers=3, num_heads=4,
                      relative_attention_num_buckets=8, feed_forward_proj=feed_forward, **_EAGER)  # fmt: skip
    config.tie_word_embeddings = tied  # the constructor of transformers 5 ignores the argument
    network = T5ForConditionalGeneration(config)
    # Untying the head unties both stacks from the one embedding too; the published v1.1 weights have one for both.
    network.set_input_embeddings(network.shared)
    return network


def _llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=31, hidden_size=24, num_hidden_layers=3, num_attention_heads=6, head_dim=8,
                         num_key_value_heads=2, intermediate_size=40, **_EAGER)  # fmt: skip
    return LlamaForCausalLM(config)


_FOUR_HEADS: dict[str, Any] = {"layers": (3,), "hidden": 24, "heads": 4, "head_width": 6, "ffn": 40}
_T5_SIZES: dict[str, Any] = {"layers": (2, 3), "hidden": 24, "heads": 4, "head_width": 5, "ffn": 40}
_LLAMA_SIZES: dict[str, Any] = {"layers": (3,), "hidden": 24, "heads": 6, "kv_heads": 2, "head_width": 8, "ffn": 40}

_BERT = Family(stacks=("encoder",), vocabulary=31, embedding_norm=True, position_count=16, token_types=2, pooler=True)
_ALBERT = Family(stacks=("encoder",), vocabulary=31, embedding_norm=True, position_count=16, token_types=2, pooler=True,
                 embedding_width=10, shared_layers=True)  # fmt: skip
_GPT2 = Family(stacks=("decoder",), vocabulary=31, final_norm=True, position_count=16)
_GPT2_LM = Family(stacks=("decoder",), vocabulary=31, final_norm=True, position_count=16, lm_head=True)
_T5_PARTS: dict[str, Any] = {"stacks": ("encoder", "decoder"), "vocabulary": 31, "norm": "rmsnorm", "final_norm": True,
                             "attention_bias": False, "ffn_bias": False, "positions": "relative", "position_count": 8,
                             "lm_head": True}  # fmt: skip
_LLAMA = Family(stacks=("decoder",), vocabulary=31, norm="rmsnorm", final_norm=True, attention_bias=False,
                ffn_bias=False, gated_ffn=True, activation="silu", positions="rotary", lm_head=True,
                tied_embeddings=False)  # fmt: skip

NETWORKS = {
    "bert": Network(uniform_shape(_BERT, **_FOUR_HEADS), _bert),
    "albert": Network(uniform_shape(_ALBERT, **_FOUR_HEADS), _albert),
    "gpt2": Network(uniform_shape(_GPT2, **_FOUR_HEADS), lambda: _gpt2("GPT2Model")),
    "gpt2_lm": Network(uniform_shape(_GPT2_LM, **_FOUR_HEADS), lambda: _gpt2("GPT2LMHeadModel")),
    "t5": Network(uniform_shape(Family(**_T5_PARTS, activation="relu"), **_T5_SIZES), lambda: _t5("relu", True)),
    "t5_v1_1": Network(
        uniform_shape(Family(**_T5_PARTS, gated_ffn=True, tied_embeddings=False), **_T5_SIZES),
        lambda: _t5("gated-gelu", False),
    ),
    "llama": Network(uniform_shape(_LLAMA, **_LLAMA_SIZES), _llama),
}


def counted(network: nn.Module, scenario: Scenario) -> int:
    """Return the multiply-accumulates that torch counts while the network runs the scenario once."""
    network.eval()
    source = torch.zeros(scenario.batch, scenario.sequence_length, dtype=torch.long)
    target = torch.zeros(scenario.batch, scenario.target_length, dtype=torch.long)
    two_stacks, decode = bool(scenario.target_length), scenario.phase == "decode"
    with torch.no_grad():
        if not decode:
            return _macs(lambda: network(input_ids=source, **({"decoder_input_ids": target} if two_stacks else {})))
        if not two_stacks:
            before = network(input_ids=source[:, :-1], use_cache=True)
            return _macs(lambda: network(input_ids=source[:, -1:], past_key_values=before.past_key_values))
        memory = network.get_encoder()(input_ids=source)
        before = network(encoder_outputs=memory, decoder_input_ids=target[:, :-1], use_cache=True)
        last = {"decoder_input_ids": target[:, -1:], "past_key_values": before.past_key_values}
        return _macs(lambda: network(encoder_outputs=memory, **last))


def _macs(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() // 2
