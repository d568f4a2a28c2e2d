"""Why searches end."""

from __future__ import annotations

from codesign.errors import ProxyError
from codesign.optimize.algorithms import DEFAULT_ALGORITHM
from codesign.run import Run

BUDGET_USED = "budget used"


def nothing_left(run: Run) -> str:
    """Return why an algorithm that asks for nothing more has ended a search."""
    if len(run.evaluations) == run.space.size():
        return "all designs of the space are evaluated"
    if run.manifest.algorithm == DEFAULT_ALGORITHM:
        return "every shape is measured on its best accelerators"
    return "no new design was found"


def not_measured(run: Run, error: ProxyError) -> ProxyError:
    """Return an error of a proxy that also says how to go on."""
    kept = f"{len(run.evaluations)} evaluations are kept"
    return ProxyError(f"{error}; {kept}; once the proxy is mended: codesign resume {run.directory}")
