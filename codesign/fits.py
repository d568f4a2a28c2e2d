"""Which cost models a search space fits: they know its dataflows, buffers, operand widths, objectives and limits."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from codesign import files
from codesign.cost import technology as technologies
from codesign.cost.estimate import EVERY_COST, check_dataflows, cost_metrics
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import check_accumulator, mac_energy_pj
from codesign.design import Accelerator
from codesign.design_file import codes
from codesign.errors import InputError
from codesign.space import SearchSpace


def check_fits(space: SearchSpace, technology: Technology) -> None:
    """Refuse a cost model that lacks what designs of the space have, or what is asked of them.

    Raises:
        InputError: names what differs, and the shipped cost models that fit the space.
    """
    try:
        _check(space, technology)
    except InputError as error:
        raise InputError(
            f"search space {space.name}: {error}; shipped cost models that fit: {', '.join(fitting(space)) or 'none'}"
        ) from None


def fitting(space: SearchSpace) -> list[str]:
    """Return the names of the shipped cost models that a space fits."""
    found = []
    for name in files.shipped("cost model"):
        try:
            _check(space, technologies.read(name).content)
        except InputError:
            continue
        found.append(name)
    return found


def _check(space: SearchSpace, technology: Technology) -> None:
    corners = _corners(space)
    check_dataflows(corners, technology)
    check_accumulator(technology, corners)
    choices = space.choices()
    if "weight_bits" in choices:
        inputs = np.array(choices["activation_bits"])[:, None]
        mac_energy_pj(technology, inputs, np.array(choices["weight_bits"])[None])
        mac_energy_pj(technology, inputs, inputs.T)  # scores and context
    for name in {*space.objectives, *space.limits} & {*EVERY_COST} - {*cost_metrics(technology)}:
        raise InputError(f"{name}: this cost model does not know it")


def _corners(space: SearchSpace) -> Accelerator:
    """Return the baseline's accelerator with each dataflow and size of the accumulator that the space has."""
    choices = [codes(field, space.values(field, 0)) for field in ("dataflow", "accumulator_kib")]
    dataflow, accumulator = (np.array(column, dtype=np.int64) for column in zip(*product(*choices), strict=True))
    baseline = space.baseline.accelerator.take(np.zeros(len(dataflow), dtype=np.int64))
    return replace(baseline, dataflow=dataflow, accumulator_bytes=accumulator)
