"""What is scored: a network of exactly one shape's size at random initialisation, and one batch of text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from codesign.design import ModelShape
from codesign.elastic.architecture import Architecture, architecture_of
from codesign.elastic.network import Batch, outputs
from codesign.elastic.setting import Setting, settings
from codesign.elastic.transformer import Elastic
from codesign.elastic.weights import Weights, weights_of
from codesign.errors import InputError

Windows = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Candidate:
    """One shape to be scored; its network is built when a score first asks for it, and kept.

    Densities prune the random weights by magnitude, bits round weights and activations, spans hide keys.
    """

    shape: ModelShape
    """One design, of one stack where a score builds its network."""
    windows: Windows
    """(b, t + 1) tokens: inputs [:, :-1], next tokens [:, 1:]."""
    seed: int
    """Of the initial weights, and of the answers where the text has none."""
    parts: Architecture | None = None
    """What a shape does not tell (task, classes, exits, number format); its sizes are not looked at. None = a language
    model of the shape's family."""

    def __post_init__(self) -> None:
        if len(self.shape) != 1:
            raise InputError(f"score: expected one shape at a time, got {len(self.shape)}")
        if self.windows.ndim != 2 or len(self.windows) < 2 or self.windows.shape[1] < 2:
            raise InputError(
                f"score: windows: expected at least 2 of at least 2 tokens, got shape {self.windows.shape}"
            )

    @cached_property
    def setting(self) -> Setting:
        """The network: all of the architecture, in layers that may differ."""
        return settings(self.shape, self.shape.family.stacks[0])[0]

    @cached_property
    def architecture(self) -> Architecture:
        """The smallest that holds the network.

        Raises:
            InputError: the family or shape is none of an elastic model.
        """
        if self.parts is None:
            family, length = self.shape.family, self.windows.shape[1] - 1
            loose = family.embedding_width > 0  # a factorised embedding cannot be the output projection
            return architecture_of(
                self.shape,
                context=family.position_count if family.positions == "learned" and family.position_count else length,
                tied_embeddings=family.tied_embeddings and not loose,
            )
        layers = self.setting.layers
        ffn = self.parts.ffn if self.parts.ffn_reparametrised else max(layer.ffn for layer in layers)
        heads = max(layer.heads for layer in layers)
        sizes = {"hidden": self.setting.hidden, "layers": len(layers), "heads": heads, "ffn": ffn}
        # Nothing has moved in an untrained network.
        return msgspec.structs.replace(self.parts, **sizes, kept_by="magnitude")

    @cached_property
    def model(self) -> Elastic:
        """The network with random weights: equal seeds give equal ones."""
        return Elastic(self.architecture, self.seed).eval()

    @cached_property
    def inputs(self) -> Tensor:
        """(b, t) long tokens."""
        return torch.as_tensor(self.windows[:, :-1], dtype=torch.long)

    def weights(self) -> Weights:
        """Return the ready tensors of the network, each time with a graph of their own to the model's parameters."""
        return weights_of(self.model, self.setting)

    def loss(self, weights: Weights, batch: Batch | None = None) -> Tensor:
        """Return the mean cross-entropy in nats.

        A decoder's language model predicts the next token; an encoder's the token itself, masked nowhere. Classes and
        spans are drawn by the seed: the text has no such labels, and untrained networks know none.

        Args:
            weights: from `weights`, or others of the same sizes.
            batch: None = the inputs.
        """
        found = outputs(batch or Batch(self.inputs), weights, self.setting, self.architecture)
        heads = found if isinstance(found, list) else [found]  # one a layer with exits
        return torch.stack([functional.cross_entropy(*self._answered(logits)) for logits in heads]).mean()

    def _answered(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Logits with their classes on axis 1, and the right classes."""
        a, drawn = self.architecture, torch.Generator().manual_seed(self.seed)
        if a.task == "language_model":
            targets = torch.as_tensor(self.windows[:, 1:], dtype=torch.long) if a.causal else self.inputs
            return logits.transpose(1, 2), targets
        if a.task == "classification":
            return logits, torch.randint(0, a.classes, logits.shape[:1], generator=drawn)
        return logits, torch.randint(0, logits.shape[1], (len(logits), 2), generator=drawn)
