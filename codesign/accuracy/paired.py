"""What proxies that measure every shape on the same windows of text say of them: differences are paired by window."""

from __future__ import annotations

import numpy as np

from codesign.accuracy.protocol import Quality
from codesign.design import BoolArray, FloatArray


def perplexity(losses: FloatArray, extrapolated: BoolArray) -> Quality:
    """Return perplexity a token, and the standard error of its logarithm: that of a mean over windows.

    Args:
        losses: (n, w) mean loss of each window, nats a token.
        extrapolated: (n,) see `Quality`.
    """
    return Quality("perplexity", np.exp(losses.mean(axis=1)), error_of_mean(losses), extrapolated)


def error_of_mean(rows: FloatArray) -> FloatArray:
    """Return the (n,) standard error of the mean of each row; of the rows of a difference, the paired one.

    NaN where rows have one value: nothing tells how it varies.
    """
    if rows.shape[1] < 2:
        return np.full(len(rows), np.nan)
    return np.asarray(rows.std(axis=1, ddof=1) / np.sqrt(rows.shape[1]))
