"""Which sub-networks of a space the study trains: drawn at random, and in groups of nearly equal size.

Every second network is drawn gene by gene, as a search begins. The others belong to GROUPS groups, in turn: each is the
shape of a large random pool that is nearest to the group's size and not taken yet. Sizes are non-embedding parameters;
a group's size is a quantile of the pool's. How many are asked for changes nothing about the first ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from codesign.design import FloatArray, ModelShape
from codesign.elastic.setting import Setting, settings
from codesign.errors import InputError
from codesign.parameters import parameters
from codesign.space import SearchSpace
from codesign.training.sampling import Sampler

POOL = 4096
"""Shapes drawn, from which the study takes its own."""

GROUPS = 4
UNIFORM = "uniform"

POOL_STREAM = 4
"""The second number of the pool's seed (training/sampling.py and training/data.py have the others)."""


@dataclass(frozen=True)
class Job:
    """One network to train."""

    index: int
    """Place in the plan; repeats have that of what they repeat."""
    group: str
    """UNIFORM, or `equal 1` (the smallest) ... `equal GROUPS`."""
    setting: Setting
    seed: int
    """Of its training."""


def plan(space: SearchSpace, count: int, repeats: int, draw_seed: int, training_seed: int) -> list[Job]:
    """Return what is trained: `count` networks, then `repeats` of these with another seed.

    Repeated are those in groups (one a group, first to last), then the others, then all with a third seed, and so on.

    Raises:
        InputError: fewer distinct shapes in the space than asked for.
    """
    sampler = Sampler(space, draw_seed)
    pool = sampler.shapes(np.random.default_rng((draw_seed, POOL_STREAM)), POOL)
    jobs = [
        Job(index, group, setting, training_seed)
        for index, (group, setting) in enumerate(_drawn(settings(pool, sampler.stack), np.log(sizes(pool)), count))
    ]
    in_turn = sorted(jobs, key=lambda job: job.group == UNIFORM)
    again = ((in_turn[k % count], 1 + k // count) for k in range(repeats))
    return jobs + [replace(job, seed=job.seed + further) for job, further in again]


def sizes(shape: ModelShape) -> FloatArray:
    """(n,) non-embedding parameters."""
    counts = parameters(shape)
    return np.asarray(sum(counts[part] for part in ("attention", "ffn", "norms", "pooler")), dtype=np.float64)


def _drawn(pool: list[Setting], log_size: FloatArray, count: int) -> list[tuple[str, Setting]]:
    """Return group and setting of each network, all different."""
    distinct = list(dict.fromkeys(pool))
    if count > len(distinct):
        raise InputError(
            f"count: expected at most {len(distinct)}, the distinct shapes of a draw of {POOL}, got {count}"
        )
    first = {setting: row for row, setting in reversed(list(enumerate(pool)))}
    size = log_size[[first[setting] for setting in distinct]]
    centres = np.quantile(log_size, (np.arange(GROUPS) + 0.5) / GROUPS)
    free, found = np.ones(len(distinct), dtype=np.bool_), []
    for index in range(count):
        group = index // 2 % GROUPS
        grouped = index % 2 == 1
        away = np.abs(size - centres[group]) if grouped else np.arange(len(distinct), dtype=np.float64)
        taken = int(np.where(free, away, np.inf).argmin())
        free[taken] = False
        found.append((f"equal {group + 1}" if grouped else UNIFORM, distinct[taken]))
    return found
