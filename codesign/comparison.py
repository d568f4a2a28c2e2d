"""Whether figures of several runs may stand in one table or plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codesign.errors import InputError
from codesign.manifest import InputText, brief
from codesign.remote.copies import shown
from codesign.run import Run


def check_comparable(runs: Sequence[Run]) -> None:
    """Refuse runs whose figures cannot stand in one table or plot.

    Raises:
        InputError: no run, or runs that differ in what COMPARED names.
    """
    if not runs:
        raise InputError("expected at least one run, got none")
    first = runs[0]
    for run in runs[1:]:
        for what, own, others in zip(COMPARED, _compared(run), _compared(first), strict=True):
            if own != others:
                raise InputError(
                    f"{run.directory}: {what}: expected {brief(others)} as in {first.directory}, got {brief(own)}; "
                    "figures of these runs do not compare"
                )


def names(runs: Sequence[Run]) -> list[str]:
    """Return names that tell runs apart: those of their directories, or the addresses where names repeat."""
    found = [run.name for run in runs]
    repeated = len(set(found)) < len({run.directory for run in runs})
    return [shown(run.directory) for run in runs] if repeated else found


COMPARED = (
    "objectives",
    "proxy",
    "quality metric",
    "cost model",
    "fidelity",
    "scenario",
    "family",
    "EDP of the baseline",
    "front re-measured at full budget",
)


def _compared(run: Run) -> tuple[Any, ...]:
    manifest, edp = run.manifest, run.evaluations.metrics["edp_js"]
    return (
        run.space.objectives,
        manifest.proxy,
        manifest.quality,
        InputText(name=manifest.cost_model.name, sha256=manifest.cost_model.sha256, text=""),
        manifest.fidelity,
        run.space.scenario,
        run.space.family,
        float(edp[0]) if len(edp) else None,
        run.full is not None,
    )
