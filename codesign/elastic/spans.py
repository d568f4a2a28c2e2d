"""Attention spans that are learned: a ramp while training, whole keys when measured (Sukhbaatar 2019).

m_z(x) = clamp((R + z S - x) / R, 0, 1),  a = softmax(scores) m / sum = softmax(scores + ln m)

where:
    x  distance of a key from its query, 0 = itself
    S  longest span (the context), R width of the ramp
    z  fraction of S, one a head, learned, in 0..1

A head sees the keys with m > 0: distances below ceil(z S) + R. EdgeBERT masks by the key's place in the sequence
instead of its distance; here it is the distance, as in the paper.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from codesign.elastic.architecture import Architecture
from codesign.elastic.reach import Reach, limited
from codesign.elastic.setting import Setting
from codesign.errors import InputError


class SoftSpans(nn.Module):
    """A learned span for each head of each layer of an architecture, trained beside its weights.

    Raises:
        InputError: a ramp below 1, or a start outside 0..1.
    """

    def __init__(self, a: Architecture, ramp: int, start: float) -> None:
        super().__init__()
        if ramp < 1:
            raise InputError(f"ramp: expected at least 1 key, got {ramp}")
        if not 0 <= start <= 1:
            raise InputError(f"start: expected a fraction of the context in 0..1, got {start}")
        self.architecture, self.ramp, self.longest = a, ramp, a.context
        self.fractions = nn.Parameter(torch.full((a.layers, a.heads), start))

    def mask(self, layer: int, heads: int, tokens: int) -> Tensor:
        """Return the (heads, t, t) ramps m of queries (rows) and keys, causal or to both sides."""
        position = torch.arange(tokens, device=self.fractions.device)
        back = position[:, None] - position[None, :]
        fractions = self.fractions[layer, :heads, None, None].clamp(0, 1)
        ramp = ((self.ramp + fractions * self.longest - back.abs()) / self.ramp).clamp(0, 1)
        return ramp.masked_fill(back < 0, 0.0) if self.architecture.causal else ramp

    def bias(self, layer: int, heads: int, tokens: int) -> Tensor:
        """Return ln m (heads, t, t), minus infinity where a key is not seen; to be added to the scores."""
        ramp = self.mask(layer, heads, tokens)
        hidden = ramp <= 0
        # ln 0 would have an infinite slope, and its product with a zero gradient is no number.
        return ramp.masked_fill(hidden, 1.0).log().masked_fill(hidden, -math.inf)

    def mean_span(self, setting: Setting) -> Tensor:
        """Return the mean of z S over the heads of a sub-network, in keys: the loss gets lambda times this.

        Raises:
            InputError: the sub-network has no attention.
        """
        used = [self.fractions[i, : layer.heads] for i, layer in enumerate(setting.layers) if layer.heads]
        if not used:
            raise InputError("spans: expected a sub-network with attention, got one without any head")
        return torch.cat(used).clamp(0, 1).mean() * self.longest

    @torch.no_grad()
    def clamp(self) -> None:
        """Bring the fractions back to 0..1; to be called after each step of an optimiser."""
        self.fractions.clamp_(0, 1)

    @torch.no_grad()
    def reach(self) -> Reach:
        """Return how far each head sees: the distances with m > 0."""
        seen = (self.ramp + self.fractions.clamp(0, 1) * self.longest).ceil().clamp(max=self.longest)
        return tuple(tuple(int(one) for one in layer) for layer in seen.tolist())

    def hard(self, setting: Setting) -> Setting:
        """Return the setting with the spans that its layers have learned, see `limited`."""
        return limited(setting, self.reach(), self.architecture)
