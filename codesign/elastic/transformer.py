"""The elastic transformer: one set of weights, from which each setting takes the first channels, heads, units, layers.

A sub-network costs what its size says: slices are views, and every product has the size of the slice.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from codesign.elastic.architecture import MOVEMENT_SCORES, Architecture, check_architecture
from codesign.elastic.network import Batch, outputs
from codesign.elastic.parts import Layer, Matrix, Norm
from codesign.elastic.pruning import MovementScores
from codesign.elastic.setting import Setting
from codesign.elastic.spans import SoftSpans
from codesign.elastic.sublayers import activation_of
from codesign.elastic.weights import Weights, weights_of

DEVIATION = 0.02
"""Standard deviation of all initial matrices and embeddings (Radford 2019)."""


class Elastic(nn.Module):
    """All sub-networks of an architecture in one module; equal seeds give equal weights.

    Norms stand before each sublayer (GPT-2), except in an encoder with an embedding norm and no final norm, where they
    stand after the residual addition (BERT). Left out: dropout, key/value cache, rotary and relative positions,
    grouped-query attention, cross-attention.

    Raises:
        InputError: parts that cannot be joined.
    """

    def __init__(self, architecture: Architecture, seed: int = 0) -> None:
        super().__init__()
        check_architecture(architecture)
        activation_of(architecture.activation)
        a = self.architecture = architecture
        width, shift = a.embedding_width or a.hidden, a.norm == "layernorm"
        self.tokens = nn.Parameter(torch.zeros(a.vocabulary, width))
        self.positions = nn.Parameter(torch.zeros(a.context, width)) if a.learned_positions else None
        self.segments = nn.Parameter(torch.zeros(a.token_types, width)) if a.token_types else None
        self.embedding_norm = Norm(width, shift) if a.embedding_norm else None
        self.projection = Matrix(a.hidden, width, bias=True) if a.embedding_width else None
        self.layers = nn.ModuleList(Layer(a) for _ in range(1 if a.shared_layers else a.layers))
        self.final_norm = Norm(a.hidden, shift) if a.final_norm else None
        heads = a.layers if a.exits else 1
        self.poolers = nn.ModuleList(Matrix(a.hidden, a.hidden, bias=True) for _ in range(heads if a.pooler else 0))
        tied = a.task == "language_model" and a.tied_embeddings
        biased = a.task != "language_model"
        self.heads = nn.ModuleList(Matrix(a.outputs, a.hidden, biased) for _ in range(0 if tied else heads))
        self.scores = MovementScores(a) if a.kept_by == "movement" else None
        self._initialise(seed)

    def layer_at(self, i: int) -> Layer:
        """Return the weights of layer i: the only ones where layers share."""
        found = self.layers[i % len(self.layers)]
        assert isinstance(found, Layer)
        return found

    def forward(
        self,
        tokens: Tensor,
        setting: Setting,
        weights: Weights | None = None,
        *,
        real: Tensor | None = None,
        segments: Tensor | None = None,
        spans: SoftSpans | None = None,
    ) -> Tensor | list[Tensor]:
        """Return the outputs of a sub-network.

        Args:
            tokens: (b, t) long, t at most the context.
            setting: the sub-network.
            weights: what `weights_of(self, setting)` returned, to use it for many calls; None = make it now.
            real: (b, t) True where a token is no padding; None = everywhere. Padding stands behind the text.
            segments: (b, t) long token types; None = all 0.
            spans: soft spans in training, beside the hard ones of the setting.

        Returns:
            language_model: (b, t, vocabulary) logits. classification: (b, classes) logits, with exits a list of them,
            one a layer. span_answers: (b, t, 2) logits of start and end.

        Raises:
            InputError: the setting is no sub-network of the model; sequences longer than the context.
        """
        ready = weights_of(self, setting) if weights is None else weights
        return outputs(Batch(tokens, real, segments), ready, setting, self.architecture, spans)

    @torch.no_grad()
    def _initialise(self, seed: int) -> None:
        """Normal with DEVIATION, projections into the residual stream by 1 / sqrt(2 layers) smaller (Radford 2019).

        Movement scores stay 0, so that equal seeds give equal weights with and without them.
        """
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2 and not name.startswith(MOVEMENT_SCORES):
                inward = name.endswith(("output.weight", "down.weight"))
                scale = 1 / math.sqrt(2 * self.architecture.layers) if inward else 1.0
                parameter.normal_(0.0, DEVIATION * scale, generator=generator)
