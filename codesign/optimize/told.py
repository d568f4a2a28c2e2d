"""What a bilevel search has been told: the quality of shapes, and the front of designs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from codesign.design import FloatArray, IntArray
from codesign.evaluation import Evaluations
from codesign.front import REFERENCE_FACTOR, non_dominated
from codesign.optimize.asking import keys

SMALL = np.uint16
"""Two bytes a gene, because a long search keeps them all."""

SmallArray = npt.NDArray[np.uint16]


@dataclass
class Told:
    """Grows with each telling; rows of shapes are genomes whose accelerator genes are 0."""

    objectives: tuple[str, ...]
    quality: str
    """The metric that is no cost."""
    genes: int
    """Of a genome."""
    front: FloatArray = field(init=False)
    """(f, objectives) natural logarithms of the feasible designs that none beats."""
    elite: IntArray = field(init=False)
    """(f, genes) those designs."""
    known: set[bytes] = field(default_factory=set)
    """Shapes, by `keys`."""
    reference: FloatArray | None = None
    """(objectives,) from which hypervolumes are measured, as in `front.reference_point`."""
    _parts: list[tuple[SmallArray, FloatArray, FloatArray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.front = np.zeros((0, len(self.objectives)))
        self.elite = np.zeros((0, self.genes), dtype=np.int64)

    def add(self, shapes: IntArray, evaluations: Evaluations) -> None:
        """Take evaluations.

        Args:
            shapes: (n, genes) the genomes of their shapes.
            evaluations: n designs; the first of all is the baseline.
        """
        points = evaluations.objectives(self.objectives)
        if self.reference is None and len(points):
            self.reference = np.asarray(points[0] + np.log(REFERENCE_FACTOR))
        logs = np.log(evaluations.metrics[self.quality])
        new = []
        for row, key in enumerate(keys(shapes)):
            if key not in self.known:
                self.known.add(key)
                new.append(row)
        self._parts.append((shapes[new].astype(SMALL), logs[new], points[new]))
        good = evaluations.feasible
        merged = np.concatenate([self.front, points[good]])
        genomes = np.concatenate([self.elite, evaluations.genomes[good]])
        kept = non_dominated(merged) if len(merged) else np.zeros(0, dtype=np.bool_)
        self.front, self.elite = merged[kept], genomes[kept]

    def __len__(self) -> int:
        return len(self.known)

    def measured(self) -> tuple[SmallArray, FloatArray, FloatArray]:
        """(m, genes) shapes whose quality is known, in the order of telling, (m,) its logarithms, and (m, objectives).

        The objectives are those of the design by which the shape became known.
        """
        if not self._parts:
            return self.elite.astype(SMALL), np.zeros(0), self.front
        if len(self._parts) > 1:
            columns = zip(*self._parts, strict=True)
            self._parts = [tuple(np.concatenate(column) for column in columns)]  # type: ignore[list-item]
        shapes, logs, points = self._parts[0]
        known = np.isfinite(logs)
        return shapes[known], logs[known], points[known]


def behind(points: FloatArray, front: FloatArray) -> FloatArray:
    """(n,) by how much the nearest of (f, objectives) front points beats each of (n, objectives) points everywhere.

    The additive epsilon of one point (Zitzler et al. 2003): below 0 where nothing of the front beats it.
    """
    if not len(front):
        return np.zeros(len(points))
    nearest = np.full(len(points), -np.inf)
    for point in front:
        nearest = np.maximum(nearest, (points - point).min(axis=1))
    return nearest
