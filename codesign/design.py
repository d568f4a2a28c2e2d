"""The nouns of a co-design: model shape, accelerator, scenario, and the design that joins them.

Columns, everywhere: one `Design` serves one design or a population. Numbers are integer arrays whose first axis is
the design; the axes are always in the order design (n), stack (S), layer (L). Lower is better everywhere.

`Family` holds what all designs of a search share: which parts a layer has, not how large they are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

Stack = Literal["encoder", "decoder"]
Phase = Literal["prefill", "decode"]
Dataflow = Literal["weight_stationary", "output_stationary"]

KIB = 1024

# The integer code of a dataflow in a column is its position here.
DATAFLOWS: tuple[Dataflow, ...] = ("weight_stationary", "output_stationary")


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The parts that every layer of a model has. A field of value 0 or False means that the part does not exist."""

    stacks: tuple[Stack, ...]
    """("encoder",), ("decoder",) or ("encoder", "decoder"); the last has cross-attention in its decoder."""
    vocabulary: int
    """Rows of the token embedding."""
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    """LayerNorm has a scale and a shift (2 x width parameters), RMSNorm a scale only."""
    final_norm: bool = False
    """One more norm after the last layer of each stack (GPT-2, T5, Llama: yes; BERT: no)."""
    embedding_norm: bool = False
    """A norm right after the embeddings (BERT, ALBERT)."""
    attention_bias: bool = True
    ffn_bias: bool = True
    gated_ffn: bool = False
    """FFN = down(activation(gate(x)) * up(x)): three matrices instead of two (T5 v1.1, Llama)."""
    activation: str = "gelu"
    positions: Literal["learned", "rotary", "relative", "none"] = "learned"
    position_count: int = 0
    """Rows of the learned position embedding, or buckets of the relative bias; 0 for rotary and none."""
    token_types: int = 0
    """Rows of the segment embedding (BERT, ALBERT: 2)."""
    embedding_width: int = 0
    """Width of a factorised embedding, followed by a projection to the hidden size (ALBERT); 0 = hidden size."""
    shared_layers: bool = False
    """All layers of a stack use one set of weights (ALBERT)."""
    pooler: bool = False
    """A dense layer on the first token (BERT, ALBERT)."""
    lm_head: bool = False
    """Whether the output projection to the vocabulary is part of the model."""
    tied_embeddings: bool = True
    """The output projection reuses the token embedding (no parameters of its own)."""


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The deployment, fixed during a search."""

    sequence_length: int
    """Prefill: tokens processed at once. Decode: tokens in the context, the one being produced included.
    With an encoder and a decoder: tokens of the source."""
    batch: int = 1
    phase: Phase = "prefill"
    target_length: int = 0
    """Encoder-decoder only: tokens of the target (decode: in the context)."""


@dataclass(frozen=True)
class ModelShape:
    """The sizes of n transformers of one family. Layers beyond `layers` hold zeros.

    A layer with `heads == 0` has no attention and one with `ffn == 0` no FFN: norm and residual go with it.
    """

    family: Family
    layers: IntArray  # (n, S)
    hidden: IntArray  # (n,)
    heads: IntArray  # (n, S, L) query heads
    kv_heads: IntArray  # (n, S, L) key/value heads; heads is a multiple of it
    head_width: IntArray  # (n, S, L) width of one query or key head
    value_width: IntArray  # (n, S, L) width of one value head
    ffn: IntArray  # (n, S, L) 0 = removed

    def __len__(self) -> int:
        return len(self.hidden)

    def take(self, rows: IntArray | slice) -> ModelShape:
        """Return the shapes at `rows`, in that order."""
        return replace(self, **_rows(self, rows))

    @property
    def active(self) -> BoolArray:
        """(n, S, L) True where the layer exists."""
        depth = np.arange(self.heads.shape[2])
        return np.asarray(depth[None, None, :] < self.layers[:, :, None])


@dataclass(frozen=True)
class Accelerator:
    """The hardware side of n designs: an array of PEs fed by a scratchpad and drained into an accumulator."""

    pe_rows: IntArray  # (n,)
    pe_cols: IntArray  # (n,)
    dataflow: IntArray  # (n,) position in DATAFLOWS
    scratchpad_bytes: IntArray  # (n,)
    accumulator_bytes: IntArray  # (n,)
    dram_bytes_per_cycle: FloatArray  # (n,)
    vector_lanes: IntArray  # (n,) elements a cycle of the unit for softmax, norms, activations, residuals

    def __len__(self) -> int:
        return len(self.pe_rows)

    def take(self, rows: IntArray | slice) -> Accelerator:
        """Return the accelerators at `rows`, in that order."""
        return replace(self, **_rows(self, rows))


@dataclass(frozen=True)
class Design:
    """n pairs of a model shape and an accelerator; row i of one belongs to row i of the other."""

    shape: ModelShape
    accelerator: Accelerator

    def __len__(self) -> int:
        return len(self.shape)

    def take(self, rows: IntArray | slice) -> Design:
        """Return the designs at `rows`, in that order."""
        return Design(self.shape.take(rows), self.accelerator.take(rows))


def _rows(columns: ModelShape | Accelerator, rows: IntArray | slice) -> dict[str, Any]:
    values = {field.name: getattr(columns, field.name) for field in fields(columns)}
    return {name: value[rows] for name, value in values.items() if isinstance(value, np.ndarray)}
