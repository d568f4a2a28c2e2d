"""What a user writes in a search space file: which choices each part of model and accelerator has.

A gene is a table `{ choices = [...] }`; a per-layer one says `per_layer = true`; anything else is fixed. Choices
ascend, so that a mutation can step to a neighbour.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from codesign import files
from codesign.checks import check_family, check_scenario, check_shape
from codesign.design import Dataflow, Design, Family, Scenario
from codesign.design_file import (
    AcceleratorTable,
    Count,
    CountOrNone,
    Kib,
    ModelTable,
    PerLayer,
    Rate,
    accelerator_columns,
    check_one_stack,
    model_shape,
)
from codesign.errors import InputError
from codesign.space import ALL_LAYERS, ATTENTION_FIELDS, Gene, Limit, SearchSpace

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


class Sizes(_Strict, frozen=True):
    """A gene over buffer sizes."""

    choices: Annotated[list[Kib], Meta(min_length=1)]


class Rates(_Strict, frozen=True):
    """A gene over bandwidths."""

    choices: Annotated[list[Rate], Meta(min_length=1)]


class Dataflows(_Strict, frozen=True):
    """A gene over dataflows."""

    choices: Annotated[list[Dataflow], Meta(min_length=1)]


GENES = (Counts, LayerCounts, Sizes, Rates, Dataflows)


class ModelChoices(_Strict, frozen=True, kw_only=True):
    """The [model] table: see `design_file.ModelTable` for what each key means."""

    layers: Count | Counts
    hidden: Count | Counts
    heads: PerLayer | LayerCounts
    kv_heads: PerLayer | LayerCounts | None = None
    head_width: PerLayer | LayerCounts
    value_width: PerLayer | LayerCounts | None = None
    ffn: PerLayer | LayerCounts


class AcceleratorChoices(_Strict, frozen=True):
    """The [accelerator] table."""

    pe_rows: Count | Counts
    pe_cols: Count | Counts
    dataflow: Dataflow | Dataflows
    scratchpad_kib: Kib | Sizes
    accumulator_kib: Kib | Sizes
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


class ScenarioFile(_Strict, frozen=True):
    """A scenario file: the deployment that replaces the one of a search space."""

    format: Literal[1]
    scenario: Scenario


class SpaceFile(_Strict, frozen=True, kw_only=True):
    """A search space file."""

    format: Literal[1]
    description: Annotated[str, Meta(min_length=3)]
    source: Annotated[str, Meta(min_length=3)]
    objectives: Annotated[list[str], Meta(min_length=1)]
    """Columns to minimise: cost metrics and the metric of the accuracy proxy."""
    family: Family
    model: ModelChoices
    accelerator: AcceleratorChoices
    scenario: Scenario
    limits: dict[str, LimitTable] = {}
    baseline: Baseline


def read_space(name_or_path: str) -> files.Document[SearchSpace]:
    """Read a search space by name or path."""
    return build(files.read("search space", name_or_path, SpaceFile))


def parse_space(text: str, name: str, origin: str) -> files.Document[SearchSpace]:
    """Read a search space from its text, such as the one kept in a run."""
    return build(files.parse(text, name, origin, SpaceFile))


def in_scenario(space: SearchSpace, document: files.Document[ScenarioFile]) -> SearchSpace:
    """Return the space under the scenario of another file.

    Raises:
        InputError: a scenario that models of this space cannot run.
    """
    try:
        check_scenario(space.family, document.content.scenario)
    except InputError as error:
        raise InputError(f"{document.origin}: {error}") from None
    return replace(space, scenario=document.content.scenario)


def build(document: files.Document[SpaceFile]) -> files.Document[SearchSpace]:
    """Turn the file into a space, and refuse what types alone cannot.

    Raises:
        InputError: choices that repeat or descend, a combination that is no transformer, per-layer lists of
            the wrong length, an impossible family or scenario, a baseline outside the space.
    """
    try:
        space = _space(document.name, document.content)
        _check_baseline(space)
    except InputError as error:
        raise InputError(f"{document.origin}: {error}") from None
    return files.Document(document.name, document.origin, document.text, space)


def _check_baseline(space: SearchSpace) -> None:
    try:
        space.encode(space.baseline)
    except InputError as error:
        raise InputError(f"baseline: {error}") from None


def _space(name: str, content: SpaceFile) -> SearchSpace:
    if len(set(content.objectives)) != len(content.objectives):
        raise InputError(f"objectives: expected different columns, got {content.objectives}")
    check_family(content.family)
    check_one_stack(content.family)
    check_scenario(content.family, content.scenario)
    max_layers = max(_choices("model.layers", content.model.layers))
    genes, fixed = _genes(content, max_layers)
    try:
        baseline = Design(
            model_shape(content.family, [content.baseline.model], max_layers),
            accelerator_columns([content.baseline.accelerator]),
        )
        check_shape(baseline.shape)
    except InputError as error:
        raise InputError(f"baseline.{error}") from None
    space = SearchSpace(
        name=name,
        family=content.family,
        scenario=content.scenario,
        objectives=tuple(content.objectives),
        limits={metric: _limit(metric, table) for metric, table in content.limits.items()},
        genes=genes,
        max_layers=max_layers,
        fixed=fixed,
        baseline=baseline,
    )
    _check_layers(space)
    return space


def _limit(metric: str, table: LimitTable) -> Limit:
    if (table.max is None) == (table.times_baseline is None):
        raise InputError(f"limits.{metric}: expected one of max and times_baseline")
    if table.max is not None:
        return Limit(table.max, of_baseline=False)
    return Limit(table.times_baseline or 0.0, of_baseline=True)


def _genes(content: SpaceFile, max_layers: int) -> tuple[tuple[Gene, ...], dict[str, Any]]:
    """Return the genes, ordered whole model, layer by layer, accelerator; and the values of fields that are none."""
    whole: list[Gene] = []
    layered: list[Gene] = []
    chip: list[Gene] = []
    fixed: dict[str, Any] = {}
    for table, genes in ((content.model, whole), (content.accelerator, chip)):
        section = "model" if table is content.model else "accelerator"
        for field in table.__struct_fields__:
            value = getattr(table, field)
            choices = _choices(f"{section}.{field}", value)
            ordered = not isinstance(value, Dataflows)
            if isinstance(value, LayerCounts) and value.per_layer:
                layered += [Gene(field, layer, choices, ordered) for layer in range(max_layers)]
            elif isinstance(value, GENES):
                genes.append(Gene(field, ALL_LAYERS, choices, ordered))
            else:
                fixed[field] = value
            if isinstance(value, list) and len(value) != max_layers:
                raise InputError(f"{section}.{field}: expected {max_layers} values, one a layer, got {len(value)}")
    layered.sort(key=lambda gene: gene.layer)
    return (*whole, *layered, *chip), fixed


def _choices(key: str, value: Any) -> tuple[Any, ...]:
    """Return what a key can be: its choices, or its one fixed value."""
    if not isinstance(value, GENES):
        return (value,)
    choices = tuple(value.choices)
    if len(set(choices)) != len(choices):
        raise InputError(f"{key}.choices: expected different values, got {list(choices)}")
    if not isinstance(value, Dataflows) and list(choices) != sorted(choices):
        raise InputError(f"{key}.choices: expected ascending values, got {list(choices)}; use {sorted(choices)}")
    return choices


def _check_layers(space: SearchSpace) -> None:
    """Refuse choices of which some combination is no transformer: found here, not in the middle of a search."""
    if space.family.shared_layers:
        for gene in space.genes:
            if gene.layer != ALL_LAYERS:
                raise InputError(f"model.{gene.field}: expected no per-layer gene, because shared_layers is set")
    given = [name for name in ATTENTION_FIELDS if space.fixed.get(name, ()) is not None]
    for layer in range(space.max_layers):
        heads = [value for value in space.values("heads", layer) if value]
        for name in given:
            if heads and 0 in space.values(name, layer):
                raise InputError(f"model.{name}: expected at least 1 where a layer can have heads, got 0")
        groups = space.values("kv_heads", layer) if "kv_heads" in given else ()
        for few, many in product(groups, heads):
            if many % few:
                raise InputError(f"model.kv_heads: expected divisors of every choice of heads, got {few} for {many}")
