"""Repeatable measurements behind `codesign bench`: each returns flat named figures with their conditions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from codesign.errors import InputError, unknown_name

Figures = list[dict[str, Any]]


def surrogate_errors(data: Path, write: bool) -> Figures:
    """Cross-validated error and rank correlation of the perplexity surrogates; --write refits them."""
    from codesign.bench.surrogate import run

    return run(data, write)


def cost(data: Path, write: bool) -> Figures:
    """Error of the cost model against Timeloop rows, Accelergy areas and the survey's baseline."""
    from codesign.bench import cost_validation

    if write:
        raise InputError("bench cost: --write: nothing is fitted here")
    return cost_validation.run(data)


def survey_figures(_data: Path, write: bool) -> Figures:
    """The survey's analytical model beside its Tab. 3, 5, 10, 11 and Fig. 32; needs no reference data."""
    from codesign.bench.survey import run

    if write:
        raise InputError("bench survey: --write: nothing is fitted here")
    return run()


def rtl_errors(data: Path, write: bool) -> Figures:
    """Calibrated cycles beside RTL, each layer left out of the fit; and the coefficients of the fit."""
    from codesign.bench.rtl import run

    if write:
        raise InputError("bench rtl: --write: copy the coefficients it prints into the cost model's [calibration]")
    return run(data)


BENCHES: dict[str, Callable[[Path, bool], Figures]] = {
    "surrogate": surrogate_errors,
    "cost": cost,
    "survey": survey_figures,
    "rtl": rtl_errors,
}


def run_bench(name: str, data: Path, *, write: bool) -> Figures:
    """Run a benchmark by name on the reference data in a directory."""
    if name not in BENCHES:
        raise unknown_name("benchmark", name, BENCHES)
    return BENCHES[name](data, write)
