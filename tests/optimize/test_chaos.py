"""Whatever is killed, full or torn while a search runs on a cluster: it ends with the undisturbed record."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import codesign

from .chaos import KILLS, Chaos, nodes
from .pools import named
from .searches import record_of, small_search

BUDGET, POPULATION, KILLED = 400, 20, 54


@pytest.mark.long
@pytest.mark.parametrize(("algorithm", "seed"), [("bilevel", 0), ("bilevel", 1), ("nsga2", 2)])
def test_chaos_loses_and_doubles_nothing(algorithm: str, seed: int, tmp_path: Path) -> None:
    """Workers, the driver and a whole node are killed, the disk is full, lines are torn: the same bytes at the end."""
    space, cost_model, proxy = "survey_lm", "gemmini_40nm", named("slow")
    options = {"algorithm": algorithm, "budget": BUDGET, "population": POPULATION, "seed": seed}
    small_search(tmp_path / "whole", space=space, cost_model=cost_model, proxy=proxy, **options)
    search = ["search", space, cost_model, "--proxy", proxy]
    for name, value in options.items():
        search += [f"--{name}", str(value)]
    with nodes() as two:
        chaos = Chaos(two, tmp_path / "run", tuple(search), BUDGET, KILLED, np.random.default_rng(seed))
        chaos.run()
    logging.getLogger(__name__).info("%s, seed %d: %s", algorithm, seed, dict(chaos.happened))
    assert record_of(tmp_path / "run") == record_of(tmp_path / "whole")
    evaluations = codesign.open_run(tmp_path / "run").evaluations
    assert len(np.unique(evaluations.genomes, axis=0)) == len(evaluations) == BUDGET
    check_enough(chaos.happened)


def check_enough(happened: Counter[str]) -> None:
    """Fail if it was no chaos."""
    assert sum(happened[kind] for kind in KILLS) >= 50, happened
    assert all(happened[kind] >= 3 for kind in (*KILLS, "full disk", "torn line")), happened
