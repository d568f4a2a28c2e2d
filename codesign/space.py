"""The search space: a population of genomes in, a population of designs out, and back.

A genome is a row of integers, one a gene: the position of the value among the gene's choices. In canonical form a gene
that no equation reads is 0: those of layers beyond the depth, and of an attention or FFN that was removed. Two genomes
are the same design exactly if their canonical forms are equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codesign.design import (
    LAYER_FIELDS,
    Accelerator,
    BoolArray,
    Design,
    Family,
    IntArray,
    ModelShape,
    Scenario,
    grouped,
)
from codesign.design_file import ACCELERATOR_FIELDS, codes, column_of, word
from codesign.errors import InputError
from codesign.genes import ALL_LAYERS, Gene
from codesign.layer_fields import FOLLOWS, GROUPED, blanked, type_of, where_read
from codesign.space_size import count_designs

MOST_ENUMERATED = 2**20
"""Genomes that are looked through to enumerate a space."""


@dataclass(frozen=True)
class Limit:
    """The largest feasible value of a metric, absolute or as a multiple of the baseline's."""

    value: float
    of_baseline: bool

    def largest(self, baseline: float) -> float:
        """Return the largest feasible value, given what the baseline has."""
        return self.value * baseline if self.of_baseline else self.value


@dataclass(frozen=True)
class SearchSpace:
    """Everything that may vary, and what is fixed during a search."""

    name: str
    family: Family
    scenario: Scenario
    objectives: tuple[str, ...]
    limits: Mapping[str, Limit]
    genes: tuple[Gene, ...]
    max_layers: int
    fixed: Mapping[str, Any]
    """Value of each field that is no gene; a per-layer list stays a list. Groups that the space lacks are not here."""
    baseline: Design
    proxy: str
    """Name of the accuracy proxy that a search asks where the user names no other."""
    screen: str | None = None
    """What chooses the designs that this proxy measures; None = all that are proposed are measured."""

    @property
    def sizes(self) -> IntArray:
        """(genes,) number of choices of each gene."""
        return np.array([len(gene.values) for gene in self.genes], dtype=np.int64)

    @property
    def layer_fields(self) -> tuple[str, ...]:
        """The per-layer fields of the space's models: the sizes, and those of the groups that it has."""
        named = self.fixed.keys() | {gene.field for gene in self.genes}
        return (*LAYER_FIELDS, *(field for field in GROUPED if field in named))

    def choices(self) -> dict[str, tuple[float, ...]]:
        """Return all values that each field of the model can take anywhere, for a proxy to check.

        Fields that follow another one (FOLLOWS) are left out, and so are those of groups that the space lacks. Heads
        that a span can remove can be 0.
        """
        layers = range(self.max_layers)
        following = {field for field in FOLLOWS if self.fixed.get(field, 0) is None}
        fields = (field for field in ("layers", "hidden", *self.layer_fields) if field not in following)
        found = {name: {value for layer in layers for value in self.values(name, layer)} for name in fields}
        found["heads"] |= {0} & found.get("span", set())
        return {name: tuple(sorted(values)) for name, values in found.items()}

    def values(self, field: str, layer: int) -> tuple[Any, ...]:
        """Return what a field can be in one layer; fields of the whole model or chip are the same in all."""
        for gene in self.genes:
            if gene.field == field and gene.layer in (layer, ALL_LAYERS):
                return gene.values
        given = self.fixed[field]
        if given is None:  # kv_heads as many as heads, value_width as head_width
            return self.values(FOLLOWS[field], layer)
        return (given[layer],) if isinstance(given, list) else (given,)

    def size(self) -> int:
        """Count the distinct designs."""
        return count_designs(self)

    def sample(self, rng: np.random.Generator, n: int) -> IntArray:
        """Draw n canonical genomes, each gene uniformly."""
        return self.canonical(rng.integers(0, self.sizes, size=(n, len(self.genes))))

    def enumerate(self) -> IntArray:
        """Return the genomes of all designs, or none where there are more than MOST_ENUMERATED to look through."""
        return self._all_of(range(len(self.genes)))

    def enumerate_shapes(self) -> IntArray:
        """Return the genomes of all shapes, accelerator genes 0, or none as in `enumerate`."""
        return self._all_of([place for place, gene in enumerate(self.genes) if not gene.on_accelerator])

    def _all_of(self, columns: Sequence[int]) -> IntArray:
        """(n, genes) canonical genomes of all settings of some genes, the others 0."""
        sizes = tuple(int(size) for size in self.sizes[list(columns)])
        total = math.prod(sizes)
        genomes = np.zeros((total if total <= MOST_ENUMERATED else 0, len(self.genes)), dtype=np.int64)
        if len(genomes):
            genomes[:, list(columns)] = np.indices(sizes).reshape(len(sizes), total).T
        return np.unique(self.canonical(genomes), axis=0)

    def canonical(self, genomes: IntArray) -> IntArray:
        """Set the genes that mean nothing to 0; idempotent."""
        canonical = np.array(genomes, dtype=np.int64)
        shape = self._model(canonical)
        for column, gene in enumerate(self.genes):
            canonical[:, column] *= _means(gene, shape)
        return canonical

    def decode(self, genomes: IntArray) -> Design:
        """Turn genomes (n, genes) into n designs."""
        genomes = np.asarray(genomes, dtype=np.int64)
        return Design(self._model(genomes), self._accelerator(genomes))

    def encode(self, design: Design) -> IntArray:
        """Turn n designs into canonical genomes; the inverse of `decode`.

        Raises:
            InputError: a value is not among the choices of its gene, or differs from what the space fixes.
        """
        design = _padded(design, self.max_layers)
        genomes = np.zeros((len(design), len(self.genes)), dtype=np.int64)
        for field in sorted({*design.shape.layer_columns()} ^ {*self.layer_fields}):
            expected, got = ("a value", "none") if field in self.layer_fields else ("none", "one")
            raise InputError(f"{field}: this search space has {expected}, got {got}; give it in both or in neither")
        for column, gene in enumerate(self.genes):
            got, means = _values_in(design, gene), _means(gene, design.shape)
            hits = got[:, None] == np.array(codes(gene.field, gene.values))[None, :]
            absent = means & ~hits.any(axis=1)
            if absent.any():
                value = word(gene.field, got[absent][0])
                raise InputError(f"{gene.name}: expected one of {list(gene.values)}, got {value}")
            genomes[:, column] = np.where(means, hits.argmax(axis=1), 0)
        self._check_same(design, self.decode(genomes))
        return genomes

    def _check_same(self, design: Design, decoded: Design) -> None:
        decoded = _padded(decoded, design.shape.heads.shape[2])
        for field in ("layers", "hidden", *self.layer_fields, *ACCELERATOR_FIELDS):
            ours, theirs = column_of(decoded, field), column_of(design, field)
            if not np.array_equal(ours, theirs):
                row = tuple(np.argwhere(ours != theirs)[0])
                has, got = word(field, ours[row]), word(field, theirs[row])
                raise InputError(f"{field}: this search space has {has}, got {got}")

    def _model(self, genomes: IntArray) -> ModelShape:
        layers = self._field(genomes, "layers")
        active = np.arange(self.max_layers)[None, :] < layers[:, None]  # (n, L)
        columns = blanked({name: self._layer_field(genomes, name) * active for name in self.layer_fields})
        return ModelShape(
            family=self.family,
            layers=layers[:, None],
            hidden=self._field(genomes, "hidden"),
            **grouped({name: column[:, None] for name, column in columns.items()}),
        )

    def _accelerator(self, genomes: IntArray) -> Accelerator:
        return Accelerator(**{name: self._field(genomes, field) for field, name in ACCELERATOR_FIELDS.items()})

    def _field(self, genomes: IntArray, field: str) -> Any:
        """(n,) values of a field that has no layer axis."""
        for column, gene in enumerate(self.genes):
            if gene.field == field:
                return np.array(codes(field, gene.values))[genomes[:, column]]
        return np.array(codes(field, (self.fixed[field],)))[np.zeros(len(genomes), dtype=np.int64)]

    def _layer_field(self, genomes: IntArray, field: str) -> Any:
        """(n, L) values of a per-layer field, before layers beyond the depth are blanked."""
        values = np.zeros((len(genomes), self.max_layers), dtype=type_of(field))
        found = [(column, gene) for column, gene in enumerate(self.genes) if gene.field == field]
        for column, gene in found:
            where = slice(None) if gene.layer == ALL_LAYERS else slice(gene.layer, gene.layer + 1)
            values[:, where] = np.array(gene.values)[genomes[:, column]][:, None]
        if not found:
            given = self.fixed[field]
            if given is None:  # kv_heads as many as heads, value_width as head_width
                return self._layer_field(genomes, FOLLOWS[field])
            values[:, :] = given
        return values


def _means(gene: Gene, shape: ModelShape) -> BoolArray:
    """(n,) whether an equation reads the gene: in its layer, or in any where the layers share it."""
    if gene.field not in shape.layer_columns():
        return np.ones(len(shape), dtype=np.bool_)
    means = _layers_that_tell(gene.field, shape)
    return np.asarray(means.any(axis=1) if gene.shared else means[:, gene.layer])


def _layers_that_tell(field: str, shape: ModelShape) -> BoolArray:
    """(n, L) layers in which an equation reads a per-layer field.

    A layer without attention tells nothing about heads where a span can have removed it; position 0 stands for both.
    """
    attends, feeds = shape.heads[:, 0] > 0, shape.ffn[:, 0] > 0
    exists = attends if field == "heads" and shape.spans is not None else shape.active[:, 0]
    return where_read(attends, feeds).get(field, exists)


def _values_in(design: Design, gene: Gene) -> Any:
    """(n,) the values of a gene's field in its layer; for a gene of all layers, in the first one that can tell."""
    column = column_of(design, gene.field)
    if column.ndim == 1:
        return column
    layer = _layers_that_tell(gene.field, design.shape).argmax(axis=1) if gene.shared else gene.layer
    return column[np.arange(len(design)), 0, layer]


def _padded(design: Design, layers: int) -> Design:
    """Return the same designs with room for at least so many layers."""
    missing = max(0, layers - design.shape.heads.shape[2])
    room = ((0, 0), (0, 0), (0, missing))
    columns = {name: np.pad(column, room) for name, column in design.shape.layer_columns().items()}
    return replace(design, shape=replace(design.shape, **grouped(columns)))
