"""Repeatable measurements behind `codesign bench`: each returns flat named figures with their conditions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from codesign.errors import InputError, unknown_name

Figures = list[dict[str, Any]]


def surrogate(data: Path, write: bool) -> Figures:
    """Cross-validated error and rank correlation of the perplexity surrogates; --write refits them."""
    from codesign.bench import surrogate as module

    return module.run(data, write)


def cost(data: Path, write: bool) -> Figures:
    """Error of the cost model against Timeloop rows, Accelergy areas and the survey's baseline."""
    from codesign.bench import cost_validation

    if write:
        raise InputError("bench cost: --write: nothing is fitted here")
    return cost_validation.run(data)


BENCHES: dict[str, Callable[[Path, bool], Figures]] = {"surrogate": surrogate, "cost": cost}


def run_bench(name: str, data: Path, *, write: bool) -> Figures:
    """Run a benchmark by name on the reference data in a directory."""
    if name not in BENCHES:
        raise unknown_name("benchmark", name, BENCHES)
    return BENCHES[name](data, write)
