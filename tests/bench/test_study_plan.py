"""Which networks the study trains."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.bench.study_plan import GROUPS, UNIFORM, plan
from codesign.elastic.architecture import architecture_of
from codesign.elastic.shapes import shape_of
from codesign.errors import InputError
from codesign.parameters import parameters
from codesign.space_file import parse_space, read_space
from codesign.training.sampling import largest_shape
from tests.training.conftest import SPACE


def test_groups_have_equal_sizes_and_numbers() -> None:
    """Half are drawn uniformly; the others are in groups of equal numbers whose sizes differ by less than 2 %."""
    space = read_space("sotu_lm").content
    architecture = architecture_of(largest_shape(space))
    jobs = plan(space, 48, 0, 0, 7)
    assert len({job.setting for job in jobs}) == 48
    assert {job.seed for job in jobs} == {7}
    assert sum(job.group == UNIFORM for job in jobs) == 24
    middles = []
    for group in range(1, GROUPS + 1):
        counts = [parameters(shape_of(architecture, job.setting)) for job in jobs if job.group == f"equal {group}"]
        sizes = np.array([float(one["attention"][0] + one["ffn"][0] + one["norms"][0]) for one in counts])
        assert len(sizes) == 6
        assert np.ptp(sizes) < 0.02 * sizes.mean()
        middles.append(sizes.mean())
    assert (np.diff(middles) > 0.2 * middles[0]).all()


def test_more_networks_are_the_same_and_others() -> None:
    """Asking for more changes nothing about the first; another seed draws others."""
    space = parse_space(SPACE, "small", "small.toml").content
    assert plan(space, 20, 0, 0, 0)[:9] == plan(space, 9, 0, 0, 0)
    assert plan(space, 9, 0, 1, 0) != plan(space, 9, 0, 0, 0)


def test_repeats_have_another_seed() -> None:
    """Trained again are the networks in groups, then the others, then all with a third seed, at the end of the plan."""
    space = parse_space(SPACE, "small", "small.toml").content
    jobs = plan(space, 5, 6, 0, 5)
    again = jobs[5:]
    assert [(job.index, job.group, job.seed) for job in again] == [
        (1, "equal 1", 6),
        (3, "equal 2", 6),
        (0, "uniform", 6),
        (2, "uniform", 6),
        (4, "uniform", 6),
        (1, "equal 1", 7),
    ]
    assert [job.setting for job in again] == [jobs[job.index].setting for job in again]
    assert plan(space, 5, 2, 0, 5) == jobs[:7]


def test_too_many_are_refused() -> None:
    """A space has only so many shapes."""
    with pytest.raises(InputError, match="at most 40, the distinct shapes"):
        plan(parse_space(SPACE, "small", "small.toml").content, 41, 0, 0, 0)
