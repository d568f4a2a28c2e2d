"""What an exporter is given beside the design, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from codesign.design import Design, Scenario
from codesign.run import Run

Files = Mapping[str, bytes]
"""Content by relative path, with forward slashes; exporters do not touch the disk."""


@dataclass(frozen=True)
class ExportContext:
    """Where one design comes from and what is known about it. Metric names carry their units."""

    scenario: Scenario
    run: str
    """Name of the run that found the design."""
    id: str
    """Name of the design in that run."""
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    """Lower and upper end by metric, for metrics that are uncertain."""
    baseline: Mapping[str, float]
    """The metrics of the baseline design of the search space."""


class Exporter(Protocol):
    """Writes one design in the words of another tool."""

    def __call__(self, design: Design, context: ExportContext, /) -> Files:
        """Return the files of one design (n = 1), or raise a CodesignError that says why there are none."""
        ...


class RunExporter(Protocol):
    """Writes all designs of a run in the words of another tool."""

    def __call__(self, run: Run, /) -> Files:
        """Return the files of a run, or raise a CodesignError that says why there are none."""
        ...
