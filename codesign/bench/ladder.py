"""Whether screening pays: searches with and without it, and by the default, at equal numbers of measured designs.

All searches share what is measured, so that the whole costs less; each still counts what it measured itself. The front
is not measured again here: the figure compares what was found, not how well it is known.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from codesign.accuracy.memory import Remembering
from codesign.accuracy.proxy import FunctionProxy, resolve
from codesign.optimize.algorithms import DEFAULT_ALGORITHM
from codesign.optimize.loop import search
from codesign.optimize.screening import FITTED, NO_SCREEN
from codesign.run import Run
from codesign.space_file import read_space

SPACE, COST_MODEL = "sotu_lm", "gemmini_40nm"
BUDGET, POPULATION = 200, 40
SEEDS = (0, 1, 2)
WAYS = (("nsga2", NO_SCREEN), ("nsga2", FITTED), (DEFAULT_ALGORITHM, NO_SCREEN))
"""Algorithms and screens; the default algorithm chooses by itself what is measured."""


def run() -> list[dict[str, Any]]:
    """Return a figure a search: designs, shapes measured, and hypervolume of logarithms of the objectives."""
    measured = Remembering(resolve(read_space(SPACE).content.proxy))
    # A function has no dearer rung.
    proxy = FunctionProxy(f"{SPACE} screening budget", measured.predict, measured.reads)
    with tempfile.TemporaryDirectory() as directory:
        return [_figure(proxy, way, seed, Path(directory)) for seed in SEEDS for way in WAYS]


def _figure(proxy: FunctionProxy, way: tuple[str, str], seed: int, directory: Path) -> dict[str, Any]:
    algorithm, screen = way
    found = search(
        SPACE,
        COST_MODEL,
        proxy=proxy,
        screen=screen,
        algorithm=algorithm,
        budget=BUDGET,
        population=POPULATION,
        seed=seed,
        directory=directory / f"{seed}-{algorithm}-{screen}",
    )
    return {
        "seed": seed,
        "algorithm": algorithm,
        "screen": screen,
        "designs": len(found.evaluations),
        "shapes_measured": _shapes(found, proxy),
        "hypervolume": found.hypervolume(),
        "front": len(found.front_ids()),
    }


def _shapes(found: Run, proxy: FunctionProxy) -> int:
    """Count the distinct shapes that were measured."""
    return len(Remembering(proxy).first_rows(found.space.decode(found.evaluations.genomes).shape))
