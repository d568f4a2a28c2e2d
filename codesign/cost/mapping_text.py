"""Mappings as text, for the column `mapping` of rows of matmuls.

Texts are put together column by column: each distinct number is written once, and numpy adds the pieces.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.cost.matmul import FREE, TENSORS, MatmulCosts
from codesign.cost.nest import DIMENSIONS
from codesign.design import DATAFLOWS, Accelerator, BoolArray, IntArray

Texts = np.ndarray[Any, np.dtype[np.object_]]  # (rows,) text


def mapping_texts(extents: IntArray, accelerator: Accelerator, costs: MatmulCosts) -> list[str]:
    """Return each row's mapping: DRAM loops outermost first, tiles, what lies on the array, what is kept in parts.

    Args:
        extents: (rows, 3) M, K, N.
        accelerator: of each row.
        costs: with the tiles, the outermost and the innermost tensor of each row.
    """
    trips = -(-extents // np.maximum(costs.tiles, 1))
    m, k, n = (np.where(trips[:, d] > 1, _labelled(f" {DIMENSIONS[d]}", trips[:, d]), "") for d in range(3))
    # The loop that does not index the outermost tensor (I, W or O) is innermost: the tensor stays while it runs.
    loops = np.choose(costs.outermost, [m + k + n, k + n + m, m + n + k])
    tiles = [_labelled(f" {DIMENSIONS[d]}", costs.tiles[:, d]) for d in range(3)]
    held_weights = accelerator.dataflow == DATAFLOWS.index("weight_stationary")
    rows = np.where(held_weights, _labelled("K", accelerator.pe_rows), _labelled("M", accelerator.pe_rows))
    text = "dram" + np.where(loops == "", " -", loops) + " | tile" + tiles[0] + tiles[1] + tiles[2]
    text = text + " | array " + rows + _labelled(" N", accelerator.pe_cols)
    return list((text + _parts(costs)).tolist())


def _parts(costs: MatmulCosts) -> Texts:
    """Return what the innermost tensor holds at once, nothing where that is its tile."""
    third = len(TENSORS) - costs.outermost - costs.innermost
    cut = np.array(FREE)[third % len(TENSORS)]  # position in MKN of the dimension that does not index it
    whole = costs.part == np.take_along_axis(costs.tiles, cut[:, None], axis=1)[:, 0]
    partial: BoolArray = ~whole & (costs.innermost != costs.outermost)
    names = np.array([f" | {tensor} in parts of " for tensor in TENSORS], dtype=object)[costs.innermost]
    dimensions = np.array(list(DIMENSIONS), dtype=object)[cut]
    return np.where(partial, names + dimensions + _labelled("", costs.part), "")


def _labelled(label: str, numbers: IntArray) -> Texts:
    """Return `label` and the number, as text."""
    distinct, place = np.unique(numbers, return_inverse=True)
    return np.array([f"{label}{number}" for number in distinct.tolist()], dtype=object)[place]
