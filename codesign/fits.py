"""Which cost models a search space fits: they have the dataflows of its accelerators, and an accumulator or none."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from codesign import files
from codesign.cost import technology as technologies
from codesign.cost.estimate import check_dataflows
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import check_accumulator
from codesign.design import Accelerator
from codesign.design_file import codes
from codesign.errors import InputError
from codesign.space import SearchSpace


def check_fits(space: SearchSpace, technology: Technology) -> None:
    """Refuse a cost model that has not what accelerators of the space have.

    Raises:
        InputError: names what differs, and the shipped cost models that fit the space.
    """
    try:
        _check(_corners(space), technology)
    except InputError as error:
        raise InputError(
            f"search space {space.name}: {error}; shipped cost models that fit: {', '.join(fitting(space)) or 'none'}"
        ) from None


def fitting(space: SearchSpace) -> list[str]:
    """Return the names of the shipped cost models that a space fits."""
    corners, found = _corners(space), []
    for name in files.shipped("cost model"):
        try:
            _check(corners, technologies.read(name).content)
        except InputError:
            continue
        found.append(name)
    return found


def _check(accelerator: Accelerator, technology: Technology) -> None:
    check_dataflows(accelerator, technology)
    check_accumulator(technology, accelerator)


def _corners(space: SearchSpace) -> Accelerator:
    """Return the baseline's accelerator with each dataflow and size of the accumulator that the space has."""
    choices = [codes(field, space.values(field, 0)) for field in ("dataflow", "accumulator_kib")]
    dataflow, accumulator = (np.array(column, dtype=np.int64) for column in zip(*product(*choices), strict=True))
    baseline = space.baseline.accelerator.take(np.zeros(len(dataflow), dtype=np.int64))
    return replace(baseline, dataflow=dataflow, accumulator_bytes=accumulator)
