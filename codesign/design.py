"""The nouns of a co-design: model shape, accelerator, scenario, and the design that joins them.

Columns, everywhere: one `Design` serves one design or a population. Numbers are integer arrays whose first axis is
the design; the axes are always in the order design (n), stack (S), layer (L). Lower is better everywhere.

`Family` holds what all designs of a search share: which parts a layer has, not how large they are. What only some
searches vary (precision, sparsity, spans) is an optional group of columns of a `ModelShape`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
LayerColumn = IntArray | FloatArray

Stack = Literal["encoder", "decoder"]
Phase = Literal["prefill", "decode"]
Dataflow = Literal["weight_stationary", "output_stationary"]

KIB = 1024

LAYER_FIELDS = ("heads", "kv_heads", "head_width", "value_width", "ffn")
"""Columns of a `ModelShape` that every layer has, all of them (n, S, L)."""

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
    structured: bool = False
    """Weights that a density removes are whole rows of a matrix (all weights of one input), not single ones."""


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
class Precision:
    """Bits of one stored number, 2..32; 0 in a layer without attention and FFN."""

    weight_bits: IntArray  # (n, S, L) matrices of attention and FFN; all other weights have the cost model's width
    activation_bits: IntArray  # (n, S, L) both operands of scores and context, and the inputs of the other products


@dataclass(frozen=True)
class Sparsity:
    """Fractions of the weights that are not zero, in (0, 1]; 0 where there is no such sublayer. Biases are dense."""

    attention_density: FloatArray  # (n, S, L) query, key, value and output projections
    ffn_density: FloatArray  # (n, S, L)


@dataclass(frozen=True)
class Spans:
    """How far the self-attention of a layer looks. Keys and values are still computed for all tokens."""

    span: IntArray  # (n, S, L) keys that each query sees, itself included; a context or more = all; 0 = no attention


@dataclass(frozen=True)
class ModelShape:
    """The sizes of n transformers of one family. Layers beyond `layers` hold zeros, in every group.

    A layer with `heads == 0` has no attention and one with `ffn == 0` no FFN: norm and residual go with it. A group
    that is None says nothing: operands as wide as the cost model's, dense weights, attention to the whole context.
    """

    family: Family
    layers: IntArray  # (n, S)
    hidden: IntArray  # (n,)
    heads: IntArray  # (n, S, L) query heads
    kv_heads: IntArray  # (n, S, L) key/value heads; heads is a multiple of it
    head_width: IntArray  # (n, S, L) width of one query or key head
    value_width: IntArray  # (n, S, L) width of one value head
    ffn: IntArray  # (n, S, L) 0 = removed
    precision: Precision | None = None
    sparsity: Sparsity | None = None
    spans: Spans | None = None

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

    def layer_columns(self) -> dict[str, LayerColumn]:
        """Return every (n, S, L) column by its name: the sizes, then those of the groups that the shape has."""
        groups = [getattr(self, name) for name in GROUPS]
        return {name: getattr(self, name) for name in LAYER_FIELDS} | {
            name: column for group in groups if group is not None for name, column in vars(group).items()
        }


GROUPS: dict[str, type[Precision | Sparsity | Spans]] = {"precision": Precision, "sparsity": Sparsity, "spans": Spans}
"""Optional groups of a `ModelShape` -> what holds their columns, all of them (n, S, L)."""

GROUP_FIELDS = {name: tuple(field.name for field in fields(kind)) for name, kind in GROUPS.items()}


def grouped(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a `ModelShape` from columns by name: the inverse of `layer_columns`.

    A group of which no column is there stays away.

    Raises:
        TypeError: a group of which only some columns are there.
    """
    given = {group: {name: columns[name] for name in names if name in columns} for group, names in GROUP_FIELDS.items()}
    sizes = {name: columns[name] for name in LAYER_FIELDS if name in columns}
    return sizes | {group: GROUPS[group](**found) for group, found in given.items() if found}


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


Columns = ModelShape | Accelerator | Precision | Sparsity | Spans


def _rows(columns: Columns, rows: IntArray | slice) -> dict[str, Any]:
    """Return the columns at `rows`, those of groups too, by field."""
    taken: dict[str, Any] = {}
    for field in fields(columns):
        value = getattr(columns, field.name)
        if isinstance(value, np.ndarray):
            taken[field.name] = value[rows]
        elif isinstance(value, Precision | Sparsity | Spans):
            taken[field.name] = replace(value, **_rows(value, rows))
    return taken
