"""Shares measured on held-out examples: of each example a network misses a part, 0 to 1, and the mean is its quality.

The same examples for all shapes, so that differences are paired by example. As in `supernet`, the standard error is
that of the sample of text only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.accuracy.paired import error_of_mean
from codesign.accuracy.proxy import Errors, Quality
from codesign.accuracy.supernet import Supernet
from codesign.design import FloatArray, ModelShape


@dataclass(frozen=True)
class ShareSupernet(Supernet):
    """A trained elastic network whose remembered rows say how much of each example it misses."""

    metric: ClassVar[str]
    """Name of the column that users see."""

    def predict(self, shape: ModelShape) -> Quality:
        """Measure n shapes: the mean of what they miss, and the standard error of its logarithm.

        Extrapolated are those with a value that was not trained, see `is_trained`. Nothing missed in n examples counts
        as half of one, as no logarithm could tell it.

        Raises:
            ProxyError: a shape is no sub-network.
        """
        missed = self.apart(shape)
        share, count = _share(missed), missed.shape[1]
        # Of zeros and ones this is the binomial p (1 - p); where nothing was missed, that of half an example.
        variance = np.where(missed.any(axis=1), missed.var(axis=1), share * (1 - share))
        return Quality(self.metric, share, np.sqrt(variance / count) / share, self._extrapolated(shape))

    def compare(
        self,
        shape: ModelShape,
        baseline: ModelShape,
        errors: Errors | None = None,  # noqa: ARG002 - the protocol's; paired examples tell more than the two errors
    ) -> FloatArray:
        """Return the standard error of ln(share / share of the baseline), paired by example (delta method)."""
        ours, theirs = (self.apart(one) for one in (shape, baseline))
        return error_of_mean(ours / _share(ours)[:, None] - theirs / _share(theirs)[:, None])


def _share(missed: FloatArray) -> FloatArray:
    """(n,) mean of each row, half an example at least."""
    return np.asarray(np.maximum(missed.mean(axis=1), 0.5 / missed.shape[1]))
