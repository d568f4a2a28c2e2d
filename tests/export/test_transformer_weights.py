"""The torch model of the project's own kind computes what transformers' networks do, given their weights."""

from __future__ import annotations

from typing import Any

import torch
import transformers

from codesign.describe import describe_model
from codesign.export.transformer import CodesignForCausalLM, CodesignModel
from codesign.export.transformer_config import CodesignConfig
from codesign.huggingface import config_shape

LLAMA_NAMES = {
    "model.embed_tokens": "model.embeddings.tokens",
    "model.norm.": "model.final_norm.",
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.o_proj": "attention.output",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn.gate",
    "mlp.up_proj": "ffn.up",
    "mlp.down_proj": "ffn.down",
}

BERT_NAMES = {
    "word_embeddings": "tokens",
    "position_embeddings": "positions",
    "token_type_embeddings": "segments",
    "embeddings.LayerNorm": "embeddings.norm",
    "encoder.layer.": "layers.",
    "attention.self.": "attention.",
    "attention.output.LayerNorm": "attention_norm",
    "attention.output.dense": "attention.output",
    "intermediate.dense": "ffn.up",
    "output.LayerNorm": "ffn_norm",
    "output.dense": "ffn.down",
    "pooler.dense": "pooler",
}


def copy_of(theirs: Any, names: dict[str, str], **extra: Any) -> Any:
    """Return our model of the same shape with the weights of a model of transformers."""
    config = CodesignConfig(**describe_model(config_shape(theirs.config.to_dict(), "theirs")), **extra)
    ours = CodesignForCausalLM(config) if config.parts.lm_head else CodesignModel(config)
    weights = {}
    for key, value in theirs.state_dict().items():
        for old, new in names.items():
            key = key.replace(old, new)
        weights[key] = value
    ours.load_state_dict(weights)
    return ours.eval()


def perturbed(model: Any) -> Any:
    """Move all weights: norms and biases start at one and zero, which would hide a misplaced one."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def test_own_kind_computes_what_llama_does() -> None:
    """With the weights of a grouped-query Llama our decoder gives its logits, padding included."""
    sizes = {"hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 40}
    config = transformers.LlamaConfig(
        **sizes, num_hidden_layers=2, vocab_size=60, max_position_embeddings=16, attention_bias=True
    )
    torch.manual_seed(1)
    theirs = perturbed(transformers.LlamaForCausalLM(config))
    tokens, mask = torch.randint(0, 60, (2, 9)), torch.ones(2, 9, dtype=torch.long)
    mask[1, 6:] = 0
    ours = copy_of(theirs, LLAMA_NAMES)(tokens, attention_mask=mask).logits
    torch.testing.assert_close(ours[mask.bool()], theirs(tokens, attention_mask=mask).logits[mask.bool()])


def test_own_kind_computes_what_bert_does() -> None:
    """With the weights of a BERT our encoder (norms after the residuals) gives its states and pooled vector."""
    sizes = {"hidden_size": 24, "num_attention_heads": 6, "intermediate_size": 40, "num_hidden_layers": 2}
    config = transformers.BertConfig(**sizes, vocab_size=60, max_position_embeddings=16)
    torch.manual_seed(1)
    theirs = perturbed(transformers.BertModel(config))
    tokens, segments = torch.randint(1, 60, (2, 9)), torch.randint(0, 2, (2, 9))
    mask = torch.ones(2, 9, dtype=torch.long)
    mask[1, 6:] = 0
    inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": segments}
    ours, reference = copy_of(theirs, BERT_NAMES, norm_epsilon=1e-12)(**inputs), theirs(**inputs)
    torch.testing.assert_close(ours.last_hidden_state[mask.bool()], reference.last_hidden_state[mask.bool()])
    torch.testing.assert_close(ours.pooler_output, reference.pooler_output)
