"""One layer of a published network in one form for all kinds, so that surgery is written once.

A layer takes the place of a layer of transformers inside the model that transformers built; embeddings, final norms and
output projections stay as they are. Axes: batch b, head h, token t, width.

Left out: a key/value cache (refused), dropout inside layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.elastic.formats import integers
from codesign.elastic.pruning import kept
from codesign.elastic.setting import LayerSetting
from codesign.elastic.sublayers import band
from codesign.errors import InputError

Calling = Literal["plain", "cached", "relative"]
"""Which arguments transformers gives to a layer of a kind: mask; cache and mask (GPT-2); mask and biases (T5)."""

Activation = Callable[[Tensor], Tensor]
Bias = Callable[..., Tensor]


class Inputs(NamedTuple):
    """What a layer gets beside its input."""

    mask: Tensor | None = None  # (b, 1, t, t) added to scores; None = every key is seen
    bias: Tensor | None = None  # (1, h, t, t) of all heads of the published network, added to scores
    memory: Tensor | None = None  # (b, s, d) states of the encoder
    memory_mask: Tensor | None = None  # (b, 1, t, s)


class Map(nn.Module):
    """A linear map that computes with some of its weights as zeros and all of them rounded."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone(memory_format=torch.contiguous_format))  # (outputs, inputs)
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.bits = 0
        """Of a weight: integers with a scale for each output; 0 = float."""
        self.mask: Tensor | None
        self.register_buffer("mask", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., outputs) of (..., inputs)."""
        return functional.linear(x, self.used(), self.bias)

    def used(self) -> Tensor:
        """Return the weights that the map computes with; gradients pass rounding as if it were none."""
        weight = self.weight if self.mask is None else self.weight * self.mask
        return integers(weight, self.bits, (-1,)) if self.bits else weight

    def compress(self, density: float, bits: int) -> None:
        """Keep the round(density x elements) largest weights (Han 2015), when trained too, and round all to bits."""
        flat = self.weight.detach().abs().flatten()
        self.mask = kept(flat, round(density * len(flat))).view_as(self.weight) if density < 1 else None
        self.bits = bits

    def store(self) -> None:
        """Make the weights that the map computes with its stored ones."""
        self.weight = nn.Parameter(self.used().detach())
        self.mask, self.bits = None, 0


class Attention(nn.Module):
    """Attention with some heads of the published one."""

    def __init__(self, projections: dict[str, Map], heads: tuple[int, ...], scale: float, causal: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = (projections[name] for name in ("query", "key", "value"))
        self.output = projections["output"]
        self.heads = heads
        """Places of the heads in the published network."""
        self.head_width = len(self.query.weight) // len(heads)
        self.scale, self.causal = scale, causal
        self.span = 0
        """Keys that a query sees, itself included; 0 = the whole context."""
        self.bits = 0
        """Of both operands of every product; 0 = float."""

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None, bias: Tensor | None) -> Tensor:
        """Return (b, t, d) from queries of x (b, t, d) to keys and values of memory (b, s, d)."""
        x, memory = _rounded(x, self.bits), _rounded(memory, self.bits)
        query, key, value = (
            map_(of).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
            for map_, of in ((self.query, x), (self.key, memory), (self.value, memory))
        )  # (b, h, t, width)
        if bias is not None:
            own = bias[:, list(self.heads)]
            mask = own if mask is None else own + mask
        mask = self._within_span(mask, query)
        if self.bits:
            query, key, value = (_rounded(part, self.bits) for part in (query, key, value))
            scores = query @ key.transpose(-1, -2) * self.scale
            scores = scores if mask is None else scores + mask
            mixed = _rounded(scores.softmax(dim=-1), self.bits) @ value
        else:
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=self.scale)
        return cast(Tensor, self.output(_rounded(mixed.transpose(1, 2).flatten(2), self.bits)))

    def _within_span(self, mask: Tensor | None, query: Tensor) -> Tensor | None:
        """Hide from each query what is beyond the span, and what comes later where transformers left that to us."""
        tokens = query.shape[2]
        hides = 0 < self.span < (tokens if self.causal else 2 * tokens)
        if not hides and not (self.causal and mask is None):
            return mask
        unseen = ~band(tokens, self.span if hides else tokens, self.causal, query.device)
        scores = torch.zeros(1, 1, tokens, tokens, dtype=query.dtype, device=query.device) if mask is None else mask
        # The lowest number, as transformers masks: padding that sees nothing real must not become NaN.
        return scores.masked_fill(unseen, torch.finfo(query.dtype).min)


class FeedForward(nn.Module):
    """down(activation(up(x))), or down(activation(gate(x)) * up(x)); some units of the published one."""

    def __init__(self, up: Map, down: Map, gate: Map | None, activation: Activation) -> None:
        super().__init__()
        self.up, self.down, self.gate, self.activation = up, down, gate, activation
        self.bits = 0

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, t, d) of (b, t, d)."""
        x = _rounded(x, self.bits)
        inner = self.activation(self.up(x)) if self.gate is None else self.activation(self.gate(x)) * self.up(x)
        return cast(Tensor, self.down(_rounded(inner, self.bits)))


class Layer(nn.Module):
    """Attention, attention to an encoder, FFN; a removed sublayer takes its norm and residual with it."""

    def __init__(self, calling: Calling, post_norm: bool) -> None:
        super().__init__()
        self.calling, self.post_norm = calling, post_norm
        self.attention: Attention | None = None
        self.cross: Attention | None = None
        self.ffn: FeedForward | None = None
        self.attention_norm: nn.Module | None = None
        self.cross_norm: nn.Module | None = None
        self.ffn_norm: nn.Module | None = None
        self.relative: nn.Module | None = None
        """T5: the bias of scores by distance, in the first layer of a stack for all of them."""
        self.attention_density = self.ffn_density = 1.0
        self.weight_bits = self.activation_bits = 0

    def forward(self, x: Tensor, *given: Any, past_key_values: object = None, **_: object) -> Any:
        """Return what a layer of transformers returns in this place."""
        if past_key_values is not None or (self.calling == "cached" and given[0] is not None):
            raise InputError("cache: expected use_cache = false, got a key/value cache, which these layers do not fill")
        if self.calling == "relative":
            inputs = Inputs(*given[:4])
        else:
            inputs = Inputs(given[1] if self.calling == "cached" else given[0])
        if self.relative is not None:
            inputs = inputs._replace(bias=self.relative(x.shape[1]))
        x = self._sum(x, inputs)
        return (x, inputs.bias, None) if self.calling == "relative" else x

    def _sum(self, x: Tensor, inputs: Inputs) -> Tensor:
        if self.attention is not None:
            attention = self.attention
            x = self._add(x, self.attention_norm, lambda y: attention(y, y, inputs.mask, inputs.bias))
        if self.cross is not None and inputs.memory is not None:
            cross, memory = self.cross, inputs.memory
            x = self._add(x, self.cross_norm, lambda y: cross(y, memory, inputs.memory_mask, None))
        if self.ffn is not None:
            x = self._add(x, self.ffn_norm, self.ffn)
        return x

    def _add(self, x: Tensor, norm: nn.Module | None, sublayer: Activation) -> Tensor:
        assert norm is not None
        return cast(Tensor, norm(x + sublayer(x)) if self.post_norm else x + sublayer(norm(x)))

    def setting(self) -> LayerSetting:
        """Return what is left of the layer, in the words of a design."""
        return LayerSetting(
            heads=0 if self.attention is None else len(self.attention.heads),
            ffn=0 if self.ffn is None else len(self.ffn.up.weight),
            span=0 if self.attention is None else self.attention.span,
            attention_density=self.attention_density,
            ffn_density=self.ffn_density,
            weight_bits=self.weight_bits,
            activation_bits=self.activation_bits,
        )

    def matrices(self) -> dict[str, list[Map]]:
        """Return the linear maps of attention (to itself and to an encoder) and FFN."""
        attentions = [part for part in (self.attention, self.cross) if part is not None]
        inside = [map_ for part in attentions for map_ in (part.query, part.key, part.value, part.output)]
        ffn = [] if self.ffn is None else [map_ for map_ in (self.ffn.up, self.ffn.gate, self.ffn.down) if map_]
        return {"attention": inside, "ffn": ffn}


class RelativeBias(nn.Module):
    """The bias of T5's scores by distance (Raffel 2020), for all heads of the published network."""

    def __init__(self, table: nn.Embedding, buckets: Bias, bidirectional: bool, most: int) -> None:
        super().__init__()
        self.table, self.buckets, self.bidirectional, self.most = table, buckets, bidirectional, most

    def forward(self, tokens: int) -> Tensor:
        """Return (1, h, t, t)."""
        place = torch.arange(tokens, device=self.table.weight.device)
        bucket = self.buckets(
            place[None, :] - place[:, None],
            bidirectional=self.bidirectional,
            num_buckets=self.table.num_embeddings,
            max_distance=self.most,
        )
        return cast(Tensor, self.table(bucket)).permute(2, 0, 1)[None]


def _rounded(x: Tensor, bits: int) -> Tensor:
    return integers(x, bits, (-1,)) if bits else x
