"""Designs of a front whose order of quality is within noise."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from codesign.accuracy.protocol import Proxy
from codesign.design import FloatArray, IntArray
from codesign.evaluation import Evaluations
from codesign.space import SearchSpace

TIE = 2.0
"""Two designs are tied where their logarithms of quality differ by less than so many standard errors of that."""

Ties = dict[int, list[int] | None]
"""Id of a front design -> ids of its neighbours, by quality, that it is tied with; None where that is not known."""


def ties_of(evaluations: Evaluations, quality: str, front: IntArray, errors: FloatArray) -> Ties:
    """Return which neighbours on a front are tied.

    Args:
        evaluations: of the run.
        quality: name of the metric.
        front: (k,) ids by quality, best first.
        errors: (k - 1,) standard error of the logarithm of the ratio of each design's quality to the next one's; NaN
            where there is none: then nothing is known of either, unless its other neighbour is tied with it.
    """
    logs = np.log(evaluations.metrics[quality][front])
    tied = np.abs(np.diff(logs)) < TIE * errors  # (k - 1,) False where the error is NaN
    found: Ties = {}
    for place, id_ in enumerate(front.tolist()):
        pairs = [pair for pair in (place - 1, place) if 0 <= pair < len(tied)]
        with_ = [int(front[pair if pair < place else pair + 1]) for pair in pairs if tied[pair]]
        unknown = any(np.isnan(errors[pair]) for pair in pairs)
        found[id_] = None if unknown and not with_ else with_
    return found


def by_quality(evaluations: Evaluations, quality: str, ids: IntArray) -> IntArray:
    """(k,) the ids sorted by quality, best first; of equals in their order."""
    return np.asarray(ids[np.argsort(evaluations.metrics[quality][ids], kind="stable")])


def neighbour_errors(evaluations: Evaluations, space: SearchSpace, proxy: Proxy, ids: IntArray) -> FloatArray:
    """(k - 1,) standard errors of the logarithm of the ratio of each design's quality to the next one's."""
    shapes, error = space.decode(evaluations.genomes[ids]).shape, evaluations.log_standard_error[ids]
    rows = [np.array([row]) for row in range(len(ids))]
    found = [proxy.compare(shapes.take(a), shapes.take(b), (error[a], error[b]))[0] for a, b in pairwise(rows)]
    return np.array(found, dtype=np.float64)
