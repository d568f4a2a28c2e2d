"""What a user writes in a search space file, table by table; `space_file` turns it into a space.

A gene is a table `{ choices = [...] }`; a per-layer one says `per_layer = true`; anything else is fixed. Choices
ascend, so that a mutation can step to a neighbour.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from codesign.design import Dataflow, Family, Scenario
from codesign.design_file import (
    AcceleratorTable,
    Count,
    CountOrNone,
    Density,
    Kib,
    KibOrNone,
    ModelTable,
    PerLayer,
    PerLayerDensity,
    Rate,
)

Positive = Annotated[float, Meta(gt=0, lt=1e30)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tables of a search space file: immutable, unknown keys refused."""


class Counts(_Strict, frozen=True):
    """A gene over whole numbers, one for the whole model or chip."""

    choices: Annotated[list[Count], Meta(min_length=1)]


class LayerCounts(_Strict, frozen=True, kw_only=True):
    """A gene over whole numbers, for all layers alike or for each layer on its own."""

    choices: Annotated[list[CountOrNone], Meta(min_length=1)]
    per_layer: bool = False


class LayerDensities(_Strict, frozen=True, kw_only=True):
    """A gene over fractions of weights that are kept, for all layers alike or for each layer on its own."""

    choices: Annotated[list[Density], Meta(min_length=1)]
    per_layer: bool = False


class Sizes(_Strict, frozen=True):
    """A gene over buffer sizes."""

    choices: Annotated[list[Kib], Meta(min_length=1)]


class SizesOrNone(_Strict, frozen=True):
    """A gene over sizes of a buffer that a machine may lack."""

    choices: Annotated[list[KibOrNone], Meta(min_length=1)]


class Rates(_Strict, frozen=True):
    """A gene over bandwidths."""

    choices: Annotated[list[Rate], Meta(min_length=1)]


class Dataflows(_Strict, frozen=True):
    """A gene over dataflows."""

    choices: Annotated[list[Dataflow], Meta(min_length=1)]


GENES = (Counts, LayerCounts, LayerDensities, Sizes, SizesOrNone, Rates, Dataflows)


class ModelChoices(_Strict, frozen=True, kw_only=True):
    """The [model] table: see `design_file.ModelTable` for what each key means."""

    layers: Count | Counts
    hidden: Count | Counts
    heads: PerLayer | LayerCounts
    kv_heads: PerLayer | LayerCounts | None = None
    head_width: PerLayer | LayerCounts
    value_width: PerLayer | LayerCounts | None = None
    ffn: PerLayer | LayerCounts
    weight_bits: PerLayer | LayerCounts | None = None
    activation_bits: PerLayer | LayerCounts | None = None
    attention_density: PerLayerDensity | LayerDensities | None = None
    ffn_density: PerLayerDensity | LayerDensities | None = None
    span: PerLayer | LayerCounts | None = None


class AcceleratorChoices(_Strict, frozen=True):
    """The [accelerator] table."""

    pe_rows: Count | Counts
    pe_cols: Count | Counts
    dataflow: Dataflow | Dataflows
    scratchpad_kib: Kib | Sizes
    accumulator_kib: KibOrNone | SizesOrNone
    dram_bytes_per_cycle: Rate | Rates
    vector_lanes: Count | Counts


class LimitTable(_Strict, frozen=True, kw_only=True):
    """A design above the limit is infeasible. One of the two keys."""

    max: Positive | None = None
    """The largest feasible value."""
    times_baseline: Positive | None = None
    """The same as a multiple of what the baseline has under the cost model in use."""


class Baseline(_Strict, frozen=True):
    """The design that results are compared with; one of the space's own designs."""

    model: ModelTable
    accelerator: AcceleratorTable


class SpaceFile(_Strict, frozen=True, kw_only=True):
    """A search space file."""

    format: Literal[1]
    description: Annotated[str, Meta(min_length=3)]
    source: Annotated[str, Meta(min_length=3)]
    objectives: Annotated[list[str], Meta(min_length=1)]
    """Columns to minimise: cost metrics and the metric of the accuracy proxy."""
    proxy: str = "surrogate"
    """The accuracy proxy that a search asks where the user names no other."""
    screen: str | None = None
    """What chooses the designs that the proxy measures: "fitted" or a cheaper proxy; none if absent."""
    family: Family
    model: ModelChoices
    accelerator: AcceleratorChoices
    scenario: Scenario
    limits: dict[str, LimitTable] = {}
    baseline: Baseline
