"""A transformer written with torch layers only, so that torch can count what `codesign` counts.

One design of any family becomes a module with real parameters; a forward pass on the meta device does its matrix
products without numbers. Cached keys and values are empty tensors of the right size.
"""

import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from codesign.design import Family, ModelShape, Scenario


def _norm(family: Family, width: int) -> nn.Module:
    return nn.LayerNorm(width) if family.norm == "layernorm" else nn.RMSNorm(width)


class _Attention(nn.Module):
    def __init__(self, family: Family, d: int, heads: int, kv_heads: int, width: int, value_width: int) -> None:
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads
        self.norm = _norm(family, d)
        self.query = nn.Linear(d, heads * width, bias=family.attention_bias)
        self.key = nn.Linear(d, kv_heads * width, bias=family.attention_bias)
        self.value = nn.Linear(d, kv_heads * value_width, bias=family.attention_bias)
        self.output = nn.Linear(heads * value_width, d, bias=family.attention_bias)

    def forward(self, x: torch.Tensor, source: torch.Tensor, cached: int) -> torch.Tensor:
        query = self.query(self.norm(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, T, width)
        key, value = self._remember(self.key, source, cached), self._remember(self.value, source, cached)
        weights = (query @ key.transpose(-1, -2)).softmax(-1)  # (B, H, T, C)
        return x + self.output((weights @ value).transpose(1, 2).flatten(2))

    def _remember(self, projection: nn.Linear, source: torch.Tensor, cached: int) -> torch.Tensor:
        """(B, H, C, width) of the cached tokens and those of `source`; each key/value head serves its group."""
        old = source.new_empty(len(source), cached, projection.out_features)
        full = torch.cat([old, projection(source)], dim=1) if source.shape[1] else old
        split = full.unflatten(-1, (self.kv_heads, -1)).transpose(1, 2)
        return split.repeat_interleave(self.heads // self.kv_heads, dim=1)


class _FeedForward(nn.Module):
    def __init__(self, family: Family, d: int, f: int) -> None:
        super().__init__()
        self.norm = _norm(family, d)
        self.up = nn.Linear(d, f, bias=family.ffn_bias)
        self.gate = nn.Linear(d, f, bias=family.ffn_bias) if family.gated_ffn else None
        self.down = nn.Linear(f, d, bias=family.ffn_bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.norm(x)
        opened = functional.relu(self.gate(inner)) * self.up(inner) if self.gate else functional.relu(self.up(inner))
        return x + self.down(opened)


class _Layer(nn.Module):
    def __init__(self, shape: ModelShape, stack: int, layer: int) -> None:
        super().__init__()
        family, d = shape.family, int(shape.hidden[0])
        columns = (shape.heads, shape.kv_heads, shape.head_width, shape.value_width)
        heads, *others = (int(column[0, stack, layer]) for column in columns)
        f = int(shape.ffn[0, stack, layer])
        self.attention = _Attention(family, d, heads, *others) if heads else None
        self.cross = _Attention(family, d, heads, *others) if heads and stack == 1 else None
        self.ffn = _FeedForward(family, d, f) if f else None

    def forward(self, x: torch.Tensor, cached: int, memory: torch.Tensor, remembered: int) -> torch.Tensor:
        x = self.attention(x, x, cached) if self.attention else x
        x = self.cross(x, memory, remembered) if self.cross else x
        return self.ffn(x) if self.ffn else x


class _Stack(nn.Module):
    def __init__(self, shape: ModelShape, stack: int) -> None:
        super().__init__()
        family, d, self.depth = shape.family, int(shape.hidden[0]), int(shape.layers[0, stack])
        width = family.embedding_width or d
        rows = family.position_count
        self.positions = nn.Embedding(rows, width) if family.positions == "learned" else None
        widest = int(shape.heads[0, stack].max())
        self.bias = nn.Embedding(rows, widest) if family.positions == "relative" and widest else None
        self.embedding_norm = _norm(family, width) if family.embedding_norm else nn.Identity()
        stored = 1 if family.shared_layers else self.depth
        self.layers = nn.ModuleList(_Layer(shape, stack, layer) for layer in range(stored))
        self.final_norm = _norm(family, d) if family.final_norm else nn.Identity()


class ReferenceTransformer(nn.Module):
    """The first design of a shape."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.family = family = shape.family
        d = int(shape.hidden[0])
        width = family.embedding_width or d
        self.tokens = nn.Embedding(family.vocabulary, width)
        self.segments = nn.Embedding(family.token_types, width) if family.token_types else None
        self.projection = nn.Linear(width, d) if family.embedding_width else nn.Identity()
        self.stacks = nn.ModuleList(_Stack(shape, stack) for stack in range(len(family.stacks)))
        self.pooler = nn.Linear(d, d) if family.pooler else None
        self.head = nn.Linear(d, family.vocabulary, bias=False) if family.lm_head else None
        if self.head and family.tied_embeddings:
            self.head.weight = self.tokens.weight

    def forward(self, scenario: Scenario) -> None:
        """Run one pass of the scenario."""
        source, target = scenario.sequence_length, scenario.target_length
        if scenario.phase == "decode":
            x = self._run(self.stacks[-1], 1, (target or source) - 1, scenario, fresh=0, remembered=source)
        else:
            x = self._run(self.stacks[0], source, 0, scenario)
            if self.pooler:
                self.pooler(x[:, 0])
            if len(self.stacks) == 2:
                x = self._run(self.stacks[1], target, 0, scenario, fresh=source)
        if self.head:
            self.head(x)

    def _run(
        self, stack: _Stack, tokens: int, cached: int, scenario: Scenario, *, fresh: int = 0, remembered: int = 0
    ) -> torch.Tensor:
        """Run `tokens` new tokens; the source of cross-attention is `fresh` tokens to project or `remembered` ones."""
        ids = torch.zeros(scenario.batch, tokens, dtype=torch.long, device="meta")
        x = self.projection(stack.embedding_norm(self.tokens(ids)))
        memory = x.new_empty(scenario.batch, fresh, x.shape[-1])  # the encoder's output, where it is not cached
        for layer in range(stack.depth):
            x = stack.layers[layer % len(stack.layers)](x, cached, memory, remembered)
        return stack.final_norm(x)


def counted(shape: ModelShape, scenario: Scenario) -> int:
    """Return the multiply-accumulates that torch counts in one pass of the first design."""
    with torch.device("meta"):
        network = ReferenceTransformer(shape)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(scenario)
    return counter.get_total_flops() // 2


def stored(shape: ModelShape) -> int:
    """Return the parameters of the first design."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in ReferenceTransformer(shape).parameters())
