"""Read a search space file: from what a user wrote to a space in which every combination of choices is a design."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any, Literal

import msgspec

from codesign import files
from codesign.checks import check_family, check_scenario, check_shape
from codesign.design import Design, Scenario
from codesign.design_file import accelerator_columns, check_one_stack, model_shape
from codesign.errors import InputError
from codesign.genes import ALL_LAYERS, Gene
from codesign.layer_fields import GROUPED, WHERE_READ, allowed, expected, groups_of
from codesign.space import Limit, SearchSpace
from codesign.space_tables import GENES, Dataflows, LayerCounts, LayerDensities, LimitTable, ModelChoices, SpaceFile


class ScenarioFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A scenario file: the deployment that replaces the one of a search space."""

    format: Literal[1]
    scenario: Scenario


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
        proxy=content.proxy,
        screen=content.screen,
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
    given = [field for field in ModelChoices.__struct_fields__ if getattr(content.model, field) is not None]
    absent = set(GROUPED) - set(groups_of("model", given))
    for table, genes in ((content.model, whole), (content.accelerator, chip)):
        section = "model" if table is content.model else "accelerator"
        for field in table.__struct_fields__:
            value = getattr(table, field)
            if field in absent:
                continue
            choices = _choices(f"{section}.{field}", value)
            ordered = not isinstance(value, Dataflows)
            if isinstance(value, LayerCounts | LayerDensities) and value.per_layer:
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
    for layer in range(space.max_layers):
        heads = [value for value in space.values("heads", layer) if value]
        _check_values(space, layer)
        groups = space.values("kv_heads", layer) if space.fixed.get("kv_heads", ()) is not None else ()
        for few, many in product(groups, heads):
            if many % few:
                raise InputError(f"model.kv_heads: expected divisors of every choice of heads, got {few} for {many}")


def _check_values(space: SearchSpace, layer: int) -> None:
    """Refuse values that no layer with the attention or FFN that they are about can have; a span may be 0."""
    sees = "span" not in space.layer_fields or any(space.values("span", layer))
    can = {"heads": sees and any(space.values("heads", layer)), "ffn": any(space.values("ffn", layer))}
    for name, parts in WHERE_READ.items():
        here = name in space.layer_fields and space.fixed.get(name, ()) is not None
        if not here or not any(can[part] for part in parts):
            continue
        for value in space.values(name, layer):
            if not allowed(name, value) and not (name == "span" and value == 0):
                where = " or ".join("heads" if part == "heads" else "an FFN" for part in parts)
                raise InputError(f"model.{name}: expected {expected(name)} where a layer can have {where}, got {value}")
