"""The whole design as one JSON file: the words of the design file, beside its metrics and where it was found."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from codesign.describe import describe_design
from codesign.design import Design
from codesign.errors import InputError
from codesign.export.context import ExportContext, Files


def render(design: Design, context: ExportContext) -> Files:
    """The whole design, its metrics and the baseline's, as `design.json`."""
    content = {
        "format": 1,
        "run": context.run,
        "id": context.id,
        "metrics": _finite("metrics", context.metrics),
        "intervals": {name: list(ends) for name, ends in context.intervals.items()},
        "baseline": _finite("baseline", context.baseline),
        "scenario": msgspec.to_builtins(context.scenario),
        **describe_design(design),
    }
    return {"design.json": msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"}


def _finite(group: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """JSON knows neither infinity nor nan, so they are refused instead of becoming null."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise InputError(f"design.json: {group}.{name}: expected a finite number, got {value}")
    return dict(metrics)
