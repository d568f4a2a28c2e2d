"""The search space: a population of genomes in, a population of designs out, and back.

A genome is a row of integers, one a gene: the position of the value among the gene's choices. In canonical form a gene
that no equation reads is 0: those of layers beyond the depth, and of an attention that was removed. Two genomes are the
same design exactly if their canonical forms are equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codesign.design import Accelerator, BoolArray, Design, Family, IntArray, ModelShape, Scenario
from codesign.design_file import ACCELERATOR_FIELDS, LAYER_FIELDS, codes, column_of, word
from codesign.errors import InputError

FOLLOWS = {"kv_heads": "heads", "value_width": "head_width"}
"""What a field is equal to where it is absent."""

ATTENTION_FIELDS = ("kv_heads", "head_width", "value_width")
"""Per-layer fields that mean nothing in a layer without heads."""

ALL_LAYERS = -1

MOST_ENUMERATED = 2**20
"""Genomes that are looked through to enumerate a space."""


@dataclass(frozen=True)
class Gene:
    """One position of the genome."""

    field: str
    layer: int
    """0-based for a gene of one layer, ALL_LAYERS otherwise."""
    values: tuple[Any, ...]
    ordered: bool
    """Whether neighbouring positions are similar, so that a step is a small change."""

    @property
    def name(self) -> str:
        """The field, with the layer where the gene has one."""
        return self.field if self.layer == ALL_LAYERS else f"{self.field}[{self.layer}]"

    @property
    def on_accelerator(self) -> bool:
        """Whether the gene belongs to the accelerator, not to the model."""
        return self.field in ACCELERATOR_FIELDS


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
    """Value of each field that is no gene; a per-layer list stays a list."""
    baseline: Design

    @property
    def sizes(self) -> IntArray:
        """(genes,) number of choices of each gene."""
        return np.array([len(gene.values) for gene in self.genes], dtype=np.int64)

    def choices(self) -> dict[str, tuple[int, ...]]:
        """Return all values that each field of the model can take anywhere, for a proxy to check.

        Fields that follow another one (FOLLOWS) are left out.
        """
        layers = range(self.max_layers)
        following = {field for field in FOLLOWS if self.fixed.get(field, 0) is None}
        fields = (field for field in ("layers", "hidden", *LAYER_FIELDS) if field not in following)
        return {name: tuple(sorted({v for layer in layers for v in self.values(name, layer)})) for name in fields}

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
        """Count the distinct designs.

        A layer has `others` x (1 without heads, `attention` with) designs; genes of attention that are shared by all
        layers count once where any layer attends.
        """
        counted = ("layers", "heads", *ATTENTION_FIELDS)
        shared = math.prod(len(g.values) for g in self.genes if g.layer == ALL_LAYERS and g.field not in counted)
        shared_attention, attention = (
            math.prod(len(g.values) for g in self.genes if g.layer == layer and g.field in ATTENTION_FIELDS)
            for layer in (ALL_LAYERS, 0)
        )
        others = math.prod(len(g.values) for g in self.genes if g.layer == 0 and g.field not in counted)
        total = 0
        for depth in self.values("layers", 0):
            for heads in self._heads_by_layer(depth):
                none = math.prod(others * values.count(0) for values in heads)
                every = math.prod(others * sum(attention if value else 1 for value in values) for values in heads)
                total += (every - none) * shared_attention + none
        return shared * total

    def _heads_by_layer(self, depth: int) -> list[list[tuple[int, ...]]]:
        """Return the head counts that each layer can have; one list for each value where all layers share a gene."""
        for gene in self.genes:
            if gene.field == "heads" and gene.layer == ALL_LAYERS:
                return [[(value,)] * depth for value in gene.values]
        return [[self.values("heads", layer) for layer in range(depth)]]

    def sample(self, rng: np.random.Generator, n: int) -> IntArray:
        """Draw n canonical genomes, each gene uniformly."""
        return self.canonical(rng.integers(0, self.sizes, size=(n, len(self.genes))))

    def enumerate(self) -> IntArray:
        """Return the genomes of all designs, or none where there are more than MOST_ENUMERATED to look through."""
        if math.prod(len(gene.values) for gene in self.genes) > MOST_ENUMERATED:
            return np.zeros((0, len(self.genes)), dtype=np.int64)
        grid = np.indices(tuple(self.sizes)).reshape(len(self.genes), -1).T
        return np.unique(self.canonical(grid), axis=0)

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
        for field in ("layers", "hidden", *LAYER_FIELDS, *ACCELERATOR_FIELDS):
            ours, theirs = column_of(decoded, field), column_of(design, field)
            if not np.array_equal(ours, theirs):
                row = tuple(np.argwhere(ours != theirs)[0])
                words = word(field, ours[row]), word(field, theirs[row])
                raise InputError(f"{field}: this search space has {words[0]}, got {words[1]}")

    def _model(self, genomes: IntArray) -> ModelShape:
        n = len(genomes)
        layers = self._field(genomes, "layers")
        active = np.arange(self.max_layers)[None, :] < layers[:, None]  # (n, L)
        columns = {name: self._layer_field(genomes, name) * active for name in LAYER_FIELDS}
        attends = columns["heads"] > 0
        for name in ATTENTION_FIELDS:
            columns[name] *= attends
        return ModelShape(
            family=self.family,
            layers=layers[:, None],
            hidden=self._field(genomes, "hidden"),
            **{name: column.reshape(n, 1, self.max_layers) for name, column in columns.items()},
        )

    def _accelerator(self, genomes: IntArray) -> Accelerator:
        columns = {name: self._field(genomes, field) for field, name in ACCELERATOR_FIELDS.items()}
        return Accelerator(**columns)

    def _field(self, genomes: IntArray, field: str) -> Any:
        """(n,) values of a field that has no layer axis."""
        for column, gene in enumerate(self.genes):
            if gene.field == field:
                return np.array(codes(field, gene.values))[genomes[:, column]]
        return np.array(codes(field, (self.fixed[field],)))[np.zeros(len(genomes), dtype=np.int64)]

    def _layer_field(self, genomes: IntArray, field: str) -> IntArray:
        """(n, L) values of a per-layer field, before layers beyond the depth are blanked."""
        values = np.zeros((len(genomes), self.max_layers), dtype=np.int64)
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
    """(n,) whether an equation reads the gene: its layer exists, and attends where the gene is about attention."""
    attends = shape.heads[:, 0] > 0  # (n, L)
    if gene.field in ATTENTION_FIELDS:
        return np.asarray(attends.any(axis=1) if gene.layer == ALL_LAYERS else attends[:, gene.layer])
    return np.asarray(gene.layer < shape.layers[:, 0])


def _values_in(design: Design, gene: Gene) -> Any:
    """(n,) the values of a gene's field in its layer; for a gene of all layers, in the first one that can tell."""
    column = column_of(design, gene.field)
    if column.ndim == 1:
        return column
    layer = np.full(len(design), max(gene.layer, 0))
    if gene.layer == ALL_LAYERS and gene.field in ATTENTION_FIELDS:
        layer = (design.shape.heads[:, 0] > 0).argmax(axis=1)
    return column[np.arange(len(design)), 0, layer]


def _padded(design: Design, layers: int) -> Design:
    """Return the same designs with room for at least so many layers."""
    missing = max(0, layers - design.shape.heads.shape[2])
    room = ((0, 0), (0, 0), (0, missing))
    columns: dict[str, Any] = {name: np.pad(getattr(design.shape, name), room) for name in LAYER_FIELDS}
    return replace(design, shape=replace(design.shape, **columns))
