"""Genes of a search space as columns that a fitted surrogate reads: one-hot values, and what fields do together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codesign.accuracy.fitted_columns import Features
from codesign.design import BoolArray, FloatArray, IntArray, ModelShape
from codesign.errors import InputError
from codesign.genes import Gene
from codesign.space import SearchSpace


def gene_features(space: SearchSpace, genomes: IntArray) -> Features:
    """Return one-hot genes of a space's models, what each does at other depths, and products of field means.

    A column `heads[3]=8` is 1 where layer 3 exists and has 8 heads. `heads[3]=8 x layers` is the same times the number
    of layers, centred in the space's range (only where depth varies). The mean of each field over layers, and the
    products of any two of these, say what fields do together. Genes of the accelerator are left out.

    Args:
        space: the space; of one stack.
        genomes: (n, genes).

    Raises:
        InputError: see `model_genes`.
    """
    return gene_columns(model_genes(space), space.decode(genomes).shape)


def model_genes(space: SearchSpace) -> tuple[Gene, ...]:
    """Return the genes of a space's models.

    Raises:
        InputError: there is none, or the models have two stacks, whose genes no column tells apart.
    """
    genes = tuple(gene for gene in space.genes if not gene.on_accelerator)
    if not genes:
        raise InputError(f"space {space.name}: no gene of the model varies; expected at least one")
    if len(space.family.stacks) != 1:
        raise InputError(f"space {space.name}: genes as columns: expected models of one stack, "
                         f"got {', '.join(space.family.stacks)}; use sizes")  # fmt: skip
    return genes


def gene_columns(genes: Sequence[Gene], shape: ModelShape) -> Features:
    """Return what `gene_features` does, of shapes.

    Args:
        genes: of the model, see `model_genes`.
        shape: n shapes of one stack that have the fields of all genes.

    Raises:
        InputError: a field that the shapes lack.
    """
    missing = {gene.field for gene in genes} - {"layers", "hidden", *shape.layer_columns()}
    if missing:
        raise InputError(f"genes as columns: expected shapes that say {', '.join(sorted(missing))}, got none")
    hot = {f"{gene.name}={value}": hit for gene in genes for value, hit in _hits(gene, shape)}
    depths = [value for gene in genes if gene.field == "layers" for value in gene.values]
    columns: dict[str, Any] = dict(hot)
    if len(set(depths)) > 1:
        middle, half = (max(depths) + min(depths)) / 2, (max(depths) - min(depths)) / 2
        deep = (shape.layers[:, 0] - middle) / half
        columns |= {f"{name} x layers": hit * deep for name, hit in hot.items() if "[" in name}
    columns |= _products(_field_means(genes, shape))
    return Features(tuple(columns), np.stack([*columns.values()], axis=1).astype(np.float64), len(columns))


def unknown_values(shape: ModelShape, genes: Sequence[Gene]) -> BoolArray:
    """(n,) True where a shape has a value that a gene cannot take: no one-hot column is 1 for it.

    A 0 that no value of a gene is says that no equation reads the field there.
    """
    unknown = np.zeros(len(shape), dtype=np.bool_)
    for gene in genes:
        column, where = _column(gene, shape)
        unknown |= (where & (column != 0) & ~np.isin(column, gene.values)).any(axis=1)
    return unknown


def _hits(gene: Gene, shape: ModelShape) -> list[tuple[Any, BoolArray]]:
    """Each value of a gene -> (n,) where a model has it; a layer that does not exist has none."""
    column, where = _column(gene, shape)
    return [(value, ((column == value) & where).any(axis=1)) for value in gene.values]


def _column(gene: Gene, shape: ModelShape) -> tuple[Any, BoolArray]:
    """(n, k) values that a gene decides, and (n, k) True where there is such a layer."""
    if gene.field in ("layers", "hidden"):
        whole = shape.hidden if gene.field == "hidden" else shape.layers[:, 0]
        return whole[:, None], np.ones((len(shape), 1), dtype=np.bool_)
    column, active = shape.layer_columns()[gene.field][:, 0], shape.active[:, 0]
    where = slice(None) if gene.shared else slice(gene.layer, gene.layer + 1)
    return column[:, where], active[:, where]


def _field_means(genes: Sequence[Gene], shape: ModelShape) -> dict[str, FloatArray]:
    """(n,) mean over existing layers of each varying field, 0..1 over the values that it can take."""
    means = {}
    for field in dict.fromkeys(gene.field for gene in genes):
        values = [value for gene in genes if gene.field == field for value in gene.values]
        low, width = min(values), max(max(values) - min(values), 1e-12)
        if field in ("layers", "hidden"):
            means[field] = ((shape.hidden if field == "hidden" else shape.layers[:, 0]) - low) / width
        else:
            scaled = np.where(shape.active[:, 0], (shape.layer_columns()[field][:, 0] - low) / width, 0.0)
            means[field] = scaled.sum(axis=1) / shape.layers[:, 0]
    return means


def _products(means: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """Each mean, and the product of any two, squares included."""
    names = list(means)
    pairs = [(one, two) for place, one in enumerate(names) for two in names[place:]]
    products = {f"mean {one} x mean {two}": means[one] * means[two] for one, two in pairs}
    return {f"mean {name}": column for name, column in means.items()} | products
