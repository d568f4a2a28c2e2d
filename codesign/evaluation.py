"""Evaluate designs: cost, quality, and how far each is beyond the limits of its search space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from codesign.accuracy.memory import Remembering
from codesign.accuracy.proxy import Proxy, Quality
from codesign.cost.estimate import cost_metrics, estimate
from codesign.cost.prepare import Fidelity
from codesign.cost.technology import Technology
from codesign.design import BoolArray, Design, FloatArray, IntArray, Scenario
from codesign.errors import InputError
from codesign.fits import check_fits
from codesign.space import SearchSpace

NO_MAPPING = "no tile fits on chip"

StringArray = npt.NDArray[np.object_]
"""Texts of any length; most are empty, and then one object."""


@dataclass(frozen=True)
class Evaluations:
    """n evaluated designs as columns, in the order of their ids."""

    genomes: IntArray  # (n, genes), canonical
    metrics: dict[str, FloatArray]  # name -> (n,); NaN where there is none
    log_standard_error: FloatArray  # (n,) of the quality metric; NaN where the proxy gives none
    extrapolated: BoolArray  # (n,) the proxy left what it was fitted or measured on
    violation: FloatArray  # (n,) sum of relative excess over the limits; 0 = feasible
    failure: StringArray  # (n,) why the quality could not be found, as the proxy said it; empty where it was

    def __len__(self) -> int:
        return len(self.genomes)

    def take(self, rows: IntArray | slice) -> Evaluations:
        """Return the evaluations at `rows`, in that order."""
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        return Evaluations(metrics={name: column[rows] for name, column in self.metrics.items()}, **columns)

    @property
    def feasible(self) -> BoolArray:
        """(n,) within all limits, every objective known."""
        return np.asarray(self.violation == 0)

    def objectives(self, names: Sequence[str], rows: IntArray | slice = slice(None)) -> FloatArray:
        """(rows, objectives) natural logarithms, lower is better: costs span decades and quality is a ratio."""
        return np.log(np.stack([self.metrics[name][rows] for name in names], axis=1))


COLUMNS = tuple(field.name for field in fields(Evaluations) if field.name != "metrics")
"""Of `Evaluations`, besides the metrics."""


def joined(parts: Sequence[Evaluations]) -> Evaluations:
    """Return the evaluations of all parts, in order; there is at least one part."""
    return Evaluations(
        metrics={name: np.concatenate([part.metrics[name] for part in parts]) for name in parts[0].metrics},
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS},
    )


def no_failures(count: int) -> StringArray:
    """(count,) empty texts."""
    return np.full(count, "", dtype=np.object_)


REMEMBERED_AT_ONCE = 20_000
"""Recorded designs decoded at once: a million take gigabytes."""


@dataclass(frozen=True)
class Evaluator:
    """Everything that turns genomes into evaluations."""

    space: SearchSpace
    technology: Technology
    proxy: Remembering
    limits: dict[str, float]
    """Largest feasible value by metric."""
    fidelity: Fidelity = "ideal"
    """Of time."""

    def __call__(self, genomes: IntArray) -> Evaluations:
        """Evaluate n genomes."""
        design = self.space.decode(genomes)
        metrics, quality = measure(design, self.space.scenario, self.technology, self.proxy, self.fidelity)
        return Evaluations(
            genomes=np.asarray(genomes, dtype=np.int64),
            metrics=metrics,
            log_standard_error=np.asarray(quality.log_standard_error, dtype=np.float64),
            extrapolated=np.asarray(quality.extrapolated, dtype=np.bool_),
            violation=self.violation(metrics),
            failure=no_failures(len(genomes)),
        )

    def remember(self, evaluations: Evaluations, metric: str) -> None:
        """Take the quality of recorded designs as known, so that none is measured twice."""
        for start in range(0, len(evaluations), REMEMBERED_AT_ONCE):
            part = evaluations.take(slice(start, start + REMEMBERED_AT_ONCE))
            quality = Quality(metric, part.metrics[metric], part.log_standard_error, part.extrapolated)
            self.proxy.remember(self.space.decode(part.genomes).shape, quality)

    def costs(self, genomes: IntArray) -> dict[str, FloatArray]:
        """Return what n genomes cost, metric by metric, without their quality."""
        return estimate(self.space.decode(genomes), self.space.scenario, self.technology, self.fidelity).metrics()

    def with_baseline_quality(self, metric: str, value: float) -> Evaluator:
        """Return the evaluator whose limit of quality, if it is one relative to the baseline's, is of this value."""
        given = self.space.limits.get(metric)
        return self if given is None else replace(self, limits=self.limits | {metric: given.largest(value)})

    def violation(self, metrics: dict[str, FloatArray]) -> FloatArray:
        """(n,) sum of the relative excess over the limits, and 1 where an objective is unknown."""
        excess = np.zeros(len(metrics["edp_js"]))
        for name, most in self.limits.items():
            excess += np.nan_to_num(np.maximum(metrics[name] / most - 1.0, 0.0))
        unknown = ~np.isfinite(np.stack([metrics[name] for name in (*self.space.objectives, "edp_js")])).all(axis=0)
        return excess + unknown


def make_evaluator(space: SearchSpace, technology: Technology, proxy: Proxy, fidelity: Fidelity = "ideal") -> Evaluator:
    """Join a space, a technology and a proxy that fit each other, and say how time is counted.

    Raises:
        ProxyError: the space varies what the proxy cannot see.
        InputError: an objective or limit of the space is no column of the cost or of the proxy; a dataflow or the
            accumulator is unknown to the cost model; the baseline does not fit on its accelerator; no design can keep
            the limits; the cost model is not calibrated.
    """
    proxy.check(space.family, space.choices())
    check_fits(space, technology)
    remembering = Remembering(proxy)
    metrics, _ = measure(space.baseline, space.scenario, technology, remembering, fidelity)
    if np.isnan(metrics["edp_js"]).any():
        raise InputError(
            f"search space {space.name}: baseline: {NO_MAPPING}; all designs are compared with it, "
            "so give it larger buffers"
        )
    for kind, names in (("objective", space.objectives), ("limit", tuple(space.limits))):
        for name in names:
            if name not in metrics:
                raise InputError(
                    f"search space {space.name}: {kind} {name!r} is no column of this search; "
                    f"known: {', '.join(metrics)} (quality comes from proxy {proxy.name})"
                )
            if not 0 < metrics[name][0] < np.inf:
                raise InputError(
                    f"search space {space.name}: {kind} {name!r}: expected a finite number above 0 for the baseline, "
                    f"got {metrics[name][0]:g}"
                )
    limits = {name: limit.largest(float(metrics[name][0])) for name, limit in space.limits.items()}
    evaluator = Evaluator(space, technology, remembering, limits, fidelity)
    check_reachable(evaluator)
    return evaluator


def measure(
    design: Design, scenario: Scenario, technology: Technology, proxy: Proxy, fidelity: Fidelity
) -> tuple[dict[str, FloatArray], Quality]:
    """Return the metric columns of n designs, quality first, and the quality with its error."""
    quality = proxy.predict(design.shape)
    metrics = {quality.metric: np.asarray(quality.value, dtype=np.float64)}
    return metrics | estimate(design, scenario, technology, fidelity).metrics(), quality


def check_reachable(evaluator: Evaluator) -> None:
    """Refuse a space in which no accelerator brings even the smallest model within the cost limits.

    The smallest model takes the first choice of every gene and is costed on every accelerator; a space with more than
    MOST_ACCELERATORS of them is let pass, and so is a limit that is missed by less than SLACK, because energy and delay
    alone need not grow with the model (mappings minimise their product). Limits of quality and of power, which a
    smaller model need not have less of, are not checked.

    Raises:
        InputError: names the limit, and the least value that was reached.
    """
    space = evaluator.space
    genomes = _smallest_on_every_accelerator(space)
    if not len(genomes):
        return
    cost = estimate(space.decode(genomes), space.scenario, evaluator.technology, evaluator.fidelity)
    metrics = cost.metrics()
    if not cost.feasible.any():
        raise InputError(f"search space {space.name}: the smallest model fits no accelerator: {NO_MAPPING}")
    for name, most in evaluator.limits.items():
        if name in set(cost_metrics(evaluator.technology)) - GROWS_NOT and np.nanmin(metrics[name]) > most * SLACK.get(
            name, 1.0
        ):
            raise InputError(
                f"search space {space.name}: limits.{name}: the smallest model needs {np.nanmin(metrics[name]):.6g} on "
                f"its best accelerator, allowed are {most:.6g}; raise the limit or add smaller choices"
            )


MOST_ACCELERATORS = 4096

GROWS_NOT = {"peak_power_w"}

SLACK = {"energy_j": 1.5, "delay_s": 1.5, "cycles": 1.5, "dram_bytes": 1.5, "leakage_j": 1.5}
"""Factor by which the smallest model may miss a limit that a larger one could still keep."""


def _smallest_on_every_accelerator(space: SearchSpace) -> IntArray:
    """Return genomes with the model genes 0 and the accelerator genes enumerated; none if there are too many."""
    chip = [column for column, gene in enumerate(space.genes) if gene.on_accelerator]
    sizes = tuple(int(size) for size in space.sizes[chip])
    total = math.prod(sizes)
    genomes = np.zeros((total if total <= MOST_ACCELERATORS else 0, len(space.genes)), dtype=np.int64)
    if chip and len(genomes):
        genomes[:, chip] = np.indices(sizes).reshape(len(chip), -1).T
    return genomes
