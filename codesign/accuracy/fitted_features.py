"""Columns that a fitted surrogate reads: sizes and layout of any transformer, beside them the genes of a space.

Sizes carry most of a perplexity, and few nets suffice to learn what they do; they are the core. How sizes are spread
over layers is the layout: it pays with more nets. `codesign.accuracy.fitted` decides by held-out error which to use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codesign.accuracy.fitted_columns import Features as Features
from codesign.accuracy.fitted_columns import side_by_side as side_by_side
from codesign.accuracy.fitted_genes import gene_columns
from codesign.accuracy.fitted_genes import gene_features as gene_features
from codesign.design import BoolArray, FloatArray, IntArray, ModelShape
from codesign.genes import Gene
from codesign.parameters import parameters

CORE = ("log_attention", "log_ffn", "log_embedding", "log_embedding_width", "log_hidden", "log_layers")
LAYOUT = ("log_heads", "ffn_spread", "ffn_slope", "heads_spread", "heads_slope")


@dataclass(frozen=True)
class Sizes:
    """What the features of n models are made of. Counts are parameters, biases included."""

    attention: IntArray  # (n,) of all layers
    ffn: IntArray  # (n,) of all layers
    embedding: IntArray  # (n,) token embedding and its projection
    embedding_width: IntArray  # (n,)
    hidden: IntArray  # (n,)
    layer_heads: IntArray  # (n, L) query heads, 0 = no attention
    layer_ffn: IntArray  # (n, L) units, 0 = removed
    active: BoolArray  # (n, L) True where the layer exists
    depth: FloatArray  # (n, L) place in its stack, -1 the first layer, 1 the last, 0 the only one


def size_features(sizes: Sizes) -> Features:
    """Return CORE and LAYOUT of n models.

    Logarithms are natural, of 1 + count: a removed part counts 0. `log_heads` is the mean over layers. A spread is the
    standard deviation over layers in units of the mean, a slope the least-squares rise from the middle of the model to
    its end in units of the mean; both are 0 where there is nothing.
    """
    layers = sizes.active.sum(axis=1)
    widths = (sizes.embedding, sizes.embedding_width, sizes.hidden, layers)
    core = [np.log1p(column) for column in (sizes.attention, sizes.ffn, *widths)]
    mean_heads = (np.log1p(sizes.layer_heads) * sizes.active).sum(axis=1) / layers
    ffn, heads = (_profile(column, sizes) for column in (sizes.layer_ffn, sizes.layer_heads))
    return Features((*CORE, *LAYOUT), np.stack([*core, mean_heads, *ffn, *heads], axis=1), len(CORE))


def shape_features(shape: ModelShape) -> Features:
    """Return CORE and LAYOUT of n shapes, and the mean over layers of what their optional groups say.

    Optional columns, core like the sizes: `log_` and the name of the field, over the layers in which an equation reads
    it: bits, densities, spans. 0 where no layer has it.
    Left out: head width and key/value heads apart from the attention parameters that they make.
    """
    counted = parameters(shape)
    flat = (len(shape), -1)
    steps = np.arange(shape.heads.shape[2])[None, None, :]
    depth = 2 * steps / np.maximum(shape.layers - 1, 1)[:, :, None] - (shape.layers > 1)[:, :, None]
    factorised = shape.family.embedding_width
    sizes = Sizes(
        attention=counted["attention"],
        ffn=counted["ffn"],
        embedding=counted["embeddings"],
        embedding_width=np.full_like(shape.hidden, factorised) if factorised else shape.hidden,
        hidden=shape.hidden,
        layer_heads=shape.heads.reshape(flat),
        layer_ffn=shape.ffn.reshape(flat),
        active=shape.active.reshape(flat),
        depth=(depth * shape.active).reshape(flat),
    )
    base, optional = size_features(sizes), _group_means(shape)
    values = np.concatenate([*(column[:, None] for column in optional.values()), base.values], axis=1)
    return Features((*optional, *base.names), values, base.core + len(optional))


def features_of(shape: ModelShape, genes: Sequence[Gene] = ()) -> Features:
    """Return the columns of n shapes: sizes and layout, and beside them the genes, where some are given."""
    sizes = shape_features(shape)
    return side_by_side(sizes, gene_columns(genes, shape)) if genes else sizes


def _profile(column: IntArray, sizes: Sizes) -> tuple[FloatArray, FloatArray]:
    """(n,) spread over layers and (n,) slope along depth, both in units of the mean."""
    layers = sizes.active.sum(axis=1)
    mean = (column * sizes.active).sum(axis=1) / layers
    relative = np.where(sizes.active, column / np.where(mean > 0, mean, 1)[:, None] - (mean > 0)[:, None], 0.0)
    square = (sizes.depth**2).sum(axis=1)
    slope = (relative * sizes.depth).sum(axis=1) / np.where(square > 0, square, 1)
    return np.sqrt((relative**2).sum(axis=1) / layers), slope


def _group_means(shape: ModelShape) -> dict[str, FloatArray]:
    """(n,) mean logarithm of each optional field over the layers that have it."""
    groups = [group for group in (shape.precision, shape.sparsity, shape.spans) if group is not None]
    means = {}
    for name, column in [item for group in groups for item in vars(group).items()]:
        has = column > 0
        logs = np.log(np.where(has, column, 1)).sum(axis=(1, 2))
        means[f"log_{name}"] = logs / np.maximum(has.sum(axis=(1, 2)), 1)
    return means
