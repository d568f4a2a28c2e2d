"""The search loop without order: designs are recorded and told as their qualities come; slow ones hold nobody up.

Workers are kept busy: as soon as one is free, the algorithm is asked for one more design. What it is asked then depends
on who was faster, so two such searches differ; but each line of the record says how many evaluations had been told when
its design was asked for, and as which, so answers that come in the recorded order make the same record again. Designs
under way when a search is killed are not in its record; they may be asked for again or not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codesign.errors import ProxyError
from codesign.optimize import plateau
from codesign.optimize.asking import Algorithm
from codesign.optimize.ends import BUDGET_USED, not_measured, nothing_left
from codesign.optimize.measuring import Measuring
from codesign.optimize.screening import Screen
from codesign.record import Asks
from codesign.run import Run

AHEAD = 2
"""Designs under way for each one that can be measured at once, so that no worker waits for the algorithm."""


def searched(
    run: Run, measuring: Measuring, algorithm: Algorithm, screen: Screen | None, watch: Callable[[Run, str], None]
) -> tuple[Run, str]:
    """Ask, evaluate and tell until a search ends; return the run and why it ended.

    Args:
        run: with what is recorded; its last designs were told one portion after the other.
        measuring: evaluates, not ordered.
        algorithm: that was told nothing yet.
        screen: chooses among what is proposed, if any.
        watch: called after each portion.
    """
    manifest = run.manifest
    growth = plateau.Plateau(manifest.stop, run.space.objectives) if manifest.stop else None
    if len(run.evaluations):
        algorithm.tell(run.evaluations)
    asked = int(run.asks.order.max(initial=-1)) + 1
    asks: list[tuple[int, int]] = []
    """Of each submitted design: evaluations told by then, and its position in the order of asking."""
    ended = _at_plateau(run, growth)
    if ended:
        watch(run, ended)
    while not ended:
        room = manifest.budget - len(run.evaluations) - measuring.pending
        wanted = min(room, AHEAD * measuring.size - measuring.pending)
        if wanted > 0:
            told = run.evaluations
            choose = None if screen is None else lambda many, few, told=told: screen.choose(told, many, few)
            genomes = algorithm.ask(wanted, choose)[:room]
            asks += [(len(run.evaluations), asked + place) for place in range(len(genomes))]
            asked += len(genomes)
            if len(genomes):
                measuring.submit(genomes)
        if not measuring.pending:
            ended = BUDGET_USED if len(run.evaluations) >= manifest.budget else nothing_left(run)
        else:
            run = _with_answers(run, measuring, algorithm, asks)
            ended = _at_plateau(run, growth)
        watch(run, ended)
    return run, ended


def _at_plateau(run: Run, growth: plateau.Plateau | None) -> str:
    """Return why the rule of a search, if it has one, ends it now; empty if it does not."""
    found = growth.evidence(run.evaluations) if growth else None
    return plateau.said(found, run.manifest.stop) if found and run.manifest.stop else ""


def _with_answers(run: Run, measuring: Measuring, algorithm: Algorithm, asks: list[tuple[int, int]]) -> Run:
    """Wait for some evaluations, record them, and tell the algorithm."""
    try:
        positions, found = measuring.measured()
    except ProxyError as error:
        raise not_measured(run, error) from error
    after, order = np.array([asks[position] for position in positions], dtype=np.int64).T
    run = run.extend(found, Asks(after, order))
    algorithm.tell(found)
    return run
