"""The torch model of the project's own kind, `model_type = "codesign"`: one stack whose layers may all differ.

Importing this module makes transformers' auto classes know the kind:

    import codesign.export.transformer
    model = AutoModel.from_config(AutoConfig.from_pretrained(directory))

Norms stand before each sublayer (GPT-2, Llama), except in an encoder with an embedding norm and no final norm, where
they stand after the residual addition (BERT): `Family` has no field for it, because it changes neither sizes nor cost.

Left out: a key/value cache (`generate` works, recomputing the whole sequence for each token), dropout, relative
positions, and an LM head on an encoder.
"""

# mypy: disable-error-code="no-untyped-call, no-any-return"
# (transformers leaves the methods of its base classes untyped, and torch the call of a module)

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutputWithPooling, CausalLMOutput

from codesign.errors import InputError
from codesign.export.transformer_config import CodesignConfig


def _norm(config: CodesignConfig, width: int) -> nn.Module:
    kind = {"layernorm": nn.LayerNorm, "rmsnorm": nn.RMSNorm}[config.parts.norm]
    return kind(width, eps=config.norm_epsilon)


class _Embeddings(nn.Module):
    """Tokens, learned positions and segments; norm and projection where the family has them."""

    def __init__(self, config: CodesignConfig) -> None:
        super().__init__()
        parts, width = config.parts, config.parts.embedding_width or config.hidden
        self.tokens = nn.Embedding(parts.vocabulary, width)
        self.positions = nn.Embedding(parts.position_count, width) if parts.position_count else None
        self.segments = nn.Embedding(parts.token_types, width) if parts.token_types else None
        self.norm = _norm(config, width) if parts.embedding_norm else nn.Identity()
        self.projection = nn.Linear(width, config.hidden) if parts.embedding_width else nn.Identity()

    def forward(self, tokens: torch.Tensor, positions: torch.Tensor, segments: torch.Tensor | None) -> torch.Tensor:
        x = self.tokens(tokens)  # (B, T, width)
        if self.positions is not None:
            x = x + self.positions(positions)
        if self.segments is not None:
            x = x + self.segments(torch.zeros_like(tokens) if segments is None else segments)
        return self.projection(self.norm(x))  # (B, T, d)


class _Attention(nn.Module):
    """Grouped-query attention (Ainslie 2023) whose value heads have a width of their own."""

    def __init__(self, config: CodesignConfig, layer: int) -> None:
        super().__init__()
        d, bias = config.hidden, config.parts.attention_bias
        self.heads, self.kv_heads = config.heads[layer], config.kv_heads[layer]
        width, value_width = config.head_width[layer], config.value_width[layer]
        self.query = nn.Linear(d, self.heads * width, bias=bias)
        self.key = nn.Linear(d, self.kv_heads * width, bias=bias)
        self.value = nn.Linear(d, self.kv_heads * value_width, bias=bias)
        self.output = nn.Linear(self.heads * value_width, d, bias=bias)
        self.rotary_base = config.rotary_base if config.parts.positions == "rotary" else None

    def forward(self, x: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        query = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, T, width)
        key = self.key(x).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2)  # (B, KV, T, width)
        value = self.value(x).unflatten(-1, (self.kv_heads, -1)).transpose(1, 2)  # (B, KV, T, value width)
        if self.rotary_base is not None:
            query, key = (_rotate(part, positions, self.rotary_base) for part in (query, key))
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
        return self.output(mixed.transpose(1, 2).flatten(2))  # (B, T, d)


def _rotate(x: torch.Tensor, positions: torch.Tensor, base: float) -> torch.Tensor:
    """Turn (B, H, T, width) by its (B, T) positions; halves are paired, as in Llama (Su 2021, RoFormer, eq. 34)."""
    half = x.shape[-1] // 2
    frequencies = base ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = positions[:, None, :, None] * frequencies  # (B, 1, T, half)
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


class _FeedForward(nn.Module):
    """down(activation(up(x))), or down(activation(gate(x)) * up(x)) (Shazeer 2020)."""

    def __init__(self, config: CodesignConfig, layer: int) -> None:
        super().__init__()
        d, f, bias = config.hidden, config.ffn[layer], config.parts.ffn_bias
        self.gate = nn.Linear(d, f, bias=bias) if config.parts.gated_ffn else None
        self.up = nn.Linear(d, f, bias=bias)
        self.down = nn.Linear(f, d, bias=bias)
        self.activation = ACT2FN[config.parts.activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.gate is None:
            return self.down(self.activation(self.up(x)))
        return self.down(self.activation(self.gate(x)) * self.up(x))


class _Layer(nn.Module):
    """Attention, then FFN; a removed sublayer takes its norm and residual with it."""

    def __init__(self, config: CodesignConfig, layer: int) -> None:
        super().__init__()
        parts, d = config.parts, config.hidden
        self.post_norm = parts.stacks == ("encoder",) and parts.embedding_norm and not parts.final_norm
        self.attention = _Attention(config, layer) if config.heads[layer] else None
        self.attention_norm = _norm(config, d) if config.heads[layer] else None
        self.ffn = _FeedForward(config, layer) if config.ffn[layer] else None
        self.ffn_norm = _norm(config, d) if config.ffn[layer] else None

    def forward(self, x: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        for sublayer, norm, inputs in (
            (self.attention, self.attention_norm, (positions, mask)),
            (self.ffn, self.ffn_norm, ()),
        ):
            if sublayer is not None and norm is not None:
                x = norm(x + sublayer(x, *inputs)) if self.post_norm else x + sublayer(norm(x), *inputs)
        return x  # (B, T, d)


class CodesignModel(PreTrainedModel):
    """The stack without an LM head."""

    config_class = CodesignConfig
    config: CodesignConfig
    base_model_prefix = "model"
    _input_embed_layer = "tokens"

    def __init__(self, config: CodesignConfig) -> None:
        super().__init__(config)
        parts = config.parts
        self.embeddings = _Embeddings(config)
        self.layers = nn.ModuleList(_Layer(config, i) for i in range(1 if parts.shared_layers else config.layers))
        self.final_norm = _norm(config, config.hidden) if parts.final_norm else nn.Identity()
        self.pooler = nn.Linear(config.hidden, config.hidden) if parts.pooler else None
        self.causal = parts.stacks == ("decoder",)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
    ) -> BaseModelOutputWithPooling:
        """Return (B, T, d) hidden states; `attention_mask` (B, T) is 0 at padding, on either side."""
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        positions = (real.cumsum(-1) - 1).clamp(min=0)  # (B, T) counted without padding
        x = self.embeddings(input_ids, positions, token_type_ids)
        mask = self._mask(real)
        for i in range(self.config.layers):
            x = self.layers[i % len(self.layers)](x, positions, mask)
        x = self.final_norm(x)
        pooled = None if self.pooler is None else torch.tanh(self.pooler(x[:, 0]))
        return BaseModelOutputWithPooling(last_hidden_state=x, pooler_output=pooled)

    def _mask(self, real: torch.Tensor) -> torch.Tensor:
        """(B, 1, T, T) True where a query (row) may look at a key; itself always, so that no softmax is empty."""
        square = torch.ones(real.shape[-1], real.shape[-1], dtype=torch.bool, device=real.device)
        seen = real.bool()[:, None, None, :] & (square.tril() if self.causal else square)
        return seen | torch.eye(real.shape[-1], dtype=torch.bool, device=real.device)


class CodesignForCausalLM(PreTrainedModel, GenerationMixin):
    """A decoder with its output projection; `labels` are the input tokens (-100 = no loss), shifted inside."""

    config_class = CodesignConfig
    config: CodesignConfig
    base_model_prefix = "model"
    _tied_weights_keys = {"lm_head.weight": "model.embeddings.tokens.weight"}  # noqa: RUF012 (as in the base class)

    def __init__(self, config: CodesignConfig) -> None:
        super().__init__(config)
        if config.parts.stacks != ("decoder",):
            raise InputError(f"CodesignForCausalLM: expected a decoder, got {', '.join(config.parts.stacks)}")
        self.model = CodesignModel(config)
        self.lm_head = nn.Linear(config.hidden, config.parts.vocabulary, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> CausalLMOutput:
        """Return (B, T, vocabulary) logits, and the mean loss where there are labels."""
        logits = self.lm_head(self.model(input_ids, attention_mask).last_hidden_state)
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs)
        return CausalLMOutput(loss=loss, logits=logits)


AutoConfig.register(CodesignConfig.model_type, CodesignConfig)
AutoModel.register(CodesignConfig, CodesignModel)
AutoModelForCausalLM.register(CodesignConfig, CodesignForCausalLM)
