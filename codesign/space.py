"""The search space: a population of genomes in, a population of designs out, and back.

A genome is a row of integers, one a gene: the position of the value among the gene's choices. In canonical form a gene
that no equation reads is 0: those of layers beyond the depth, and of an attention that was removed. Two genomes are the
same design exactly if their canonical forms are equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.design import DATAFLOWS, Accelerator, Design, Family, IntArray, ModelShape, Scenario
from codesign.design_file import KIB, LAYER_FIELDS
from codesign.errors import InputError

ACCELERATOR_FIELDS = {
    "pe_rows": "pe_rows",
    "pe_cols": "pe_cols",
    "dataflow": "dataflow",
    "scratchpad_kib": "scratchpad_bytes",
    "accumulator_kib": "accumulator_bytes",
    "dram_bytes_per_cycle": "dram_bytes_per_cycle",
    "vector_lanes": "vector_lanes",
}
"""Key in a file -> column of `Accelerator`."""

FOLLOWS = {"kv_heads": "heads", "value_width": "head_width"}
"""What a field is equal to where it is absent."""

ATTENTION_FIELDS = ("kv_heads", "head_width", "value_width")
"""Per-layer fields that mean nothing in a layer without heads."""

ALL_LAYERS = -1


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
        """Return all values that each field of the model can take anywhere, for a proxy to check."""
        return {name: tuple(sorted(self._values_of(name))) for name in ("layers", "hidden", *LAYER_FIELDS)}

    def size(self) -> int:
        """Count the distinct designs."""
        depths = self._values_of("layers")
        per_layer = [gene for gene in self.genes if gene.layer == 0]
        attention = math.prod(len(gene.values) for gene in per_layer if gene.field in ATTENTION_FIELDS)
        others = math.prod(len(g.values) for g in per_layer if g.field not in (*ATTENTION_FIELDS, "heads"))
        heads = next((gene.values for gene in per_layer if gene.field == "heads"), (1,))
        layer = others * sum(attention if head else 1 for head in heads)
        shared = math.prod(len(g.values) for g in self.genes if g.layer == ALL_LAYERS and g.field != "layers")
        return shared * sum(int(layer**depth) for depth in depths)

    def sample(self, rng: np.random.Generator, n: int) -> IntArray:
        """Draw n canonical genomes, each gene uniformly."""
        return self.canonical(rng.integers(0, self.sizes, size=(n, len(self.genes))))

    def canonical(self, genomes: IntArray) -> IntArray:
        """Set the genes that mean nothing to 0; idempotent."""
        genomes = np.asarray(genomes, dtype=np.int64)
        shape = self._model(genomes)
        canonical = genomes.copy()
        for column, gene in enumerate(self.genes):
            if gene.layer == ALL_LAYERS:
                continue
            means = gene.layer < shape.layers[:, 0]
            if gene.field in ATTENTION_FIELDS:
                means = means & (shape.heads[:, 0, gene.layer] > 0)
            canonical[:, column] *= means
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
        genomes = np.zeros((len(design), len(self.genes)), dtype=np.int64)
        for column, gene in enumerate(self.genes):
            values = np.array(_codes(gene.field, gene.values))
            got = _column(design, gene.field)
            got = got[:, 0, max(gene.layer, 0)] if got.ndim == 3 else got
            hits = got[:, None] == values[None, :]
            means = np.ones(len(design), dtype=bool)
            if gene.field in LAYER_FIELDS:
                means = max(gene.layer, 0) < design.shape.layers[:, 0]
            if gene.field in ATTENTION_FIELDS:
                means = means & (design.shape.heads[:, 0, max(gene.layer, 0)] > 0)
            absent = means & ~hits.any(axis=1)
            if absent.any():
                raise InputError(f"{gene.name}: expected one of {list(gene.values)}, got {got[absent][0]}")
            genomes[:, column] = np.where(means, hits.argmax(axis=1), 0)
        self._check_same(design, self.decode(genomes))
        return self.canonical(genomes)

    def _check_same(self, design: Design, decoded: Design) -> None:
        for field in ("layers", "hidden", *LAYER_FIELDS, *ACCELERATOR_FIELDS):
            ours, theirs = _column(decoded, field), _column(design, field)
            if ours.ndim == 3:
                depth = max(ours.shape[2], theirs.shape[2])
                ours, theirs = (np.pad(c, ((0, 0), (0, 0), (0, depth - c.shape[2]))) for c in (ours, theirs))
            if not np.array_equal(ours, theirs):
                row = tuple(np.argwhere(ours != theirs)[0])
                raise InputError(f"{field}: this search space has {ours[row]}, got {theirs[row]}")

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
                return np.array(_codes(field, gene.values))[genomes[:, column]]
        return np.array(_codes(field, (self.fixed[field],)))[np.zeros(len(genomes), dtype=np.int64)]

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

    def _values_of(self, field: str) -> set[int]:
        own = {value for gene in self.genes if gene.field == field for value in gene.values}
        if own:
            return own
        given = self.fixed[field]
        if given is None:
            return self._values_of(FOLLOWS[field])
        return set(given) if isinstance(given, list) else {given}


def _codes(field: str, values: tuple[Any, ...]) -> list[Any]:
    """Return values as the columns of a design hold them: a dataflow as its position, KiB as bytes."""
    if field == "dataflow":
        return [DATAFLOWS.index(value) for value in values]
    if field.endswith("_kib"):
        return [round(value * KIB) for value in values]
    if field == "dram_bytes_per_cycle":
        return [float(value) for value in values]
    return list(values)


def _column(design: Design, field: str) -> Any:
    """Return the column of a field: (n,) or (n, 1, L)."""
    if field in ACCELERATOR_FIELDS:
        return getattr(design.accelerator, ACCELERATOR_FIELDS[field])
    column = getattr(design.shape, field)
    return column[:, 0] if field == "layers" else column
