"""Warm starts: the best designs of earlier runs, as far as a space can express them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance

from codesign import run as runs
from codesign.design import IntArray
from codesign.errors import InputError
from codesign.front import non_dominated
from codesign.manifest import WarmStart
from codesign.members import all_members
from codesign.optimize.asking import keys
from codesign.run import Run
from codesign.space import SearchSpace

MOST_LEFT_OUT = 10
"""Designs that a space cannot express, for each one wanted, after which no more of a run are tried."""


def warm_start(directories: Sequence[str | Path], space: SearchSpace, most: int) -> WarmStart:
    """Return up to `most` designs of earlier runs: their fronts, then what is dominated by these alone, and so on.

    They are ranked by the objectives of their own runs; within a rank the least crowded come first, and several runs
    take turns. The baseline is left out, because it is asked anyway.

    Raises:
        RunError: no run there.
        InputError: the space can express none of them, says why; or text instead of a list.
    """
    if isinstance(directories, str):
        raise InputError(f"warm start: expected a list of runs, got the text {directories!r}")
    earlier = [runs.open_run(directory) for directory in all_members(directories)]
    found: dict[bytes, list[int]] = {}
    baseline, left_out, why = keys(space.encode(space.baseline))[0], 0, "no design of theirs is feasible"
    for row in _in_turns([_designs(run) for run in earlier]):
        if len(found) == most or left_out > MOST_LEFT_OUT * most:
            break
        run, id_ = row
        try:
            genome = _expressed(run, id_, space)
        except InputError as error:
            left_out, why = left_out + 1, str(error)
            continue
        key = keys(genome)[0]
        if key != baseline:
            found.setdefault(key, genome[0].tolist())
    names = [run.name for run in earlier]
    if not found and left_out:
        raise InputError(f"warm start: space {space.name} can express no design of {', '.join(names)}: {why}")
    return WarmStart(runs=names, genomes=list(found.values()), left_out=left_out)


def _expressed(run: Run, id_: int, space: SearchSpace) -> IntArray:
    if run.space.family != space.family:
        raise InputError(f"family: this search space has {space.family}, got {run.space.family}")
    return space.encode(run.space.decode(run.evaluations.genomes[[id_]]))


def _designs(run: Run) -> Iterator[tuple[Run, int]]:
    """Yield the feasible designs of a run, the best first."""
    left = np.flatnonzero(run.comparable)
    values = run.judged.objectives(run.space.objectives)
    while len(left):
        front = non_dominated(values[left])
        layer = left[front]
        crowding = calc_crowding_distance(values[layer])
        yield from ((run, int(id_)) for id_ in layer[np.argsort(-crowding, kind="stable")])
        left = left[~front]


def _in_turns(sources: list[Iterator[tuple[Run, int]]]) -> Iterator[tuple[Run, int]]:
    for row in zip_longest(*sources):
        yield from (item for item in row if item is not None)
