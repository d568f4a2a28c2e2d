"""The search loop: ask for designs, evaluate, record, tell.

A search that goes on tells its algorithm what is recorded, batch by batch as it was asked, and asks only for the last
batch again, whose rest is evaluated if it is not there in full. What is asked is a function of the seed and of what
was told, so an interrupted search ends with the record of an undisturbed one, and one that is extended with that of a
longer one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign.design import IntArray
from codesign.errors import ProxyError
from codesign.evaluation import Evaluator
from codesign.manifest import Manifest
from codesign.optimize import asynchronous, plateau, remeasure
from codesign.optimize.algorithms import make_algorithm
from codesign.optimize.asking import Algorithm, Choose, Problem, keys, unseen
from codesign.optimize.ends import BUDGET_USED, not_measured, nothing_left
from codesign.optimize.measuring import Measuring
from codesign.optimize.replay import check_asked_again
from codesign.optimize.screening import Screen, make_screen
from codesign.record import UNKNOWN, Asks, one_batch
from codesign.run import Run


@dataclass(frozen=True)
class Progress:
    """What a watcher of the search is shown at the start and after each batch."""

    run: Run
    replayed: int
    """Evaluations that came from the record."""
    finished: str
    """Why the search ended, with the evidence where it was stopped; empty while it goes on."""


Watcher = Callable[[Progress], None]


def prepared(manifest: Manifest, evaluator: Evaluator) -> tuple[Algorithm, Screen | None]:
    """Return what a search asks and what chooses among that.

    Raises:
        InputError: a name that is unknown, or an algorithm or screen that cannot search this space.
    """
    first = manifest.warm_start.genomes if manifest.warm_start else []
    genomes = tuple(tuple(genome) for genome in first)
    problem = Problem(evaluator, manifest.quality, manifest.population, manifest.seed, genomes)
    return make_algorithm(manifest.algorithm, problem), make_screen(manifest.screen, evaluator, manifest.quality)


def to_the_end(run: Run, measuring: Measuring, watch: Watcher) -> Run:
    """Continue a search until it ends, measure its best designs again, and return the run."""
    recorded = len(run.evaluations)
    measuring.remember(run.evaluations)
    watch(Progress(run, recorded, ""))
    ended = "recosted"
    if run.manifest.recosted_from is None:
        run, ended = _searched(run, measuring, lambda now, why: watch(Progress(now, recorded, why)))
    return remeasure.complete(run, measuring.evaluator, lambda now: watch(Progress(now, recorded, ended)))


def known_asks(run: Run) -> Asks:
    """Return when the designs of a run were asked for; where it does not say, in batches of its population."""
    ids = np.arange(len(run.evaluations), dtype=np.int64)
    if not (run.asks.after == UNKNOWN).any():
        return run.asks
    return Asks(ids // run.manifest.population * run.manifest.population, ids)


def tell_recorded(algorithm: Algorithm, run: Run) -> int:
    """Tell what is recorded, in the portions in which it was told at first, but for the last batch.

    Returns:
        How many evaluations were told: the id with which the last batch begins.
    """
    bounds = np.unique(known_asks(run).after)
    for start, end in itertools.pairwise(bounds.tolist()):
        algorithm.tell(run.evaluations.take(slice(start, end)))
    return int(bounds[-1]) if len(bounds) else 0


def _searched(run: Run, measuring: Measuring, watch: Callable[[Run, str], None]) -> tuple[Run, str]:
    """Ask, evaluate and tell until a search ends; return the run and why it ended."""
    if len(run.evaluations) >= run.manifest.budget:
        watch(run, BUDGET_USED)
        return run, BUDGET_USED
    algorithm, screen = prepared(run.manifest, measuring.evaluator)
    if not measuring.ordered:
        return asynchronous.searched(run, measuring, algorithm, screen, watch)
    stop = run.manifest.stop
    growth = plateau.Plateau(stop, run.space.objectives) if stop else None
    taken_over = run.manifest.forked_from.evaluations if run.manifest.forked_from else 0
    told, ended = tell_recorded(algorithm, run), ""
    while not ended:
        genomes = algorithm.ask(run.manifest.batch or algorithm.batch, _choice(screen, run, told))
        if others := told < taken_over:  # other code may have asked otherwise
            algorithm, screen = prepared(run.manifest, measuring.evaluator)
        else:
            check_asked_again(run, told, genomes)
        run, whole = _completed(run, measuring, told, genomes, lambda now: watch(now, ""))
        batch = run.evaluations.take(slice(told, None))
        told = len(run.evaluations)
        found = growth.evidence(run.evaluations) if growth and whole and len(batch) else None
        if found and stop:
            ended = plateau.said(found, stop)
        elif told >= run.manifest.budget:
            ended = BUDGET_USED
        elif not len(batch):
            ended = nothing_left(run)
        else:
            if others:
                tell_recorded(algorithm, run)
            algorithm.tell(batch)
        watch(run, ended)
    return run, ended


def _completed(
    run: Run, measuring: Measuring, told: int, genomes: IntArray, watch: Callable[[Run], None]
) -> tuple[Run, bool]:
    """Evaluate and record what the record lacks of a batch, a portion at a time as qualities come.

    Args:
        run: with whatever it holds of the batch.
        measuring: evaluates.
        told: the id with which the batch begins.
        genomes: (k, genes) that were asked for.
        watch: called after each portion but the last.

    Returns:
        The run, and whether the budget was enough for the whole batch.
    """
    recorded = run.evaluations.genomes[told:]
    missing = unseen(genomes, max(len(genomes) - len(recorded), 0), set(keys(recorded)))
    affordable = missing[: run.manifest.budget - len(run.evaluations)]
    try:
        for found in measuring.in_order(affordable):
            start = len(run.evaluations)
            asks = one_batch(told, start - told + len(found)).take(slice(start - told, None))
            run = run.extend(found, asks)
            if measuring.pending:
                watch(run)
    except ProxyError as error:
        raise not_measured(run, error) from error
    return run, len(affordable) == len(missing)


def _choice(screen: Screen | None, run: Run, told: int) -> Choose | None:
    """Return how the next batch is chosen: as recorded, and beyond that by the screen.

    A screen's last bits may differ on another machine; the record is believed, and so the search goes on there too.
    """
    if screen is None:
        return None

    def choose(candidates: IntArray, wanted: int) -> IntArray:
        places = {key: place for place, key in enumerate(keys(candidates))}
        batch = keys(run.evaluations.genomes[told : told + wanted])
        recorded = [places[key] for key in batch if key in places]
        if len(recorded) < wanted:
            chosen = screen.choose(run.evaluations.take(slice(0, told)), candidates, wanted)
            recorded += [place for place in chosen.tolist() if place not in recorded][: wanted - len(recorded)]
        return np.array(recorded, dtype=np.int64)

    return choose


def nobody(_: Progress) -> None:
    """Watch nothing."""
