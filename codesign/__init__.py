"""Search transformer shapes and accelerators together.

    import codesign
    run = codesign.search("survey_lm", "gemmini_40nm")
    run.front()

Names are imported when they are used, so that `import codesign` is instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from codesign.accuracy.proxy import Quality as Quality
    from codesign.design import Accelerator as Accelerator
    from codesign.design import Design as Design
    from codesign.design import Family as Family
    from codesign.design import ModelShape as ModelShape
    from codesign.design import Scenario as Scenario
    from codesign.errors import CodesignError as CodesignError
    from codesign.optimize.loop import search as search
    from codesign.optimize.resuming import resume as resume
    from codesign.recosting import recost as recost
    from codesign.run import Run as Run
    from codesign.run import open_run as open_run

_PUBLIC = {
    "search": "codesign.optimize.loop",
    "resume": "codesign.optimize.resuming",
    "recost": "codesign.recosting",
    "open_run": "codesign.run",
    "Run": "codesign.run",
    "Quality": "codesign.accuracy.proxy",
    "CodesignError": "codesign.errors",
    "Accelerator": "codesign.design",
    "Design": "codesign.design",
    "Family": "codesign.design",
    "ModelShape": "codesign.design",
    "Scenario": "codesign.design",
}

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'codesign' has no attribute {name!r}; it has {', '.join(_PUBLIC)}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
