"""Searches as users go on with them: resumed, extended, forked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from codesign import __version__, record
from codesign import manifest as manifests
from codesign import run as runs
from codesign.accuracy.cache import cache_directory, cached
from codesign.evaluation import make_evaluator
from codesign.manifest import Fork
from codesign.optimize import steps
from codesign.optimize.given import stop_rule, whole
from codesign.optimize.measuring import Measuring
from codesign.optimize.pools import HERE, Notice, Where, pool_of, quiet
from codesign.optimize.replay import (
    check_budget,
    check_no_twins,
    check_not_edited,
    check_same_answers,
    check_same_code,
    same_proxy,
)
from codesign.optimize.steps import Watcher
from codesign.remote.copies import directory_of, fetched
from codesign.run import Manifest, Run
from codesign.run_log import logged


def resume(
    directory: str | Path,
    *,
    budget: int | None = None,
    patience: int | None = None,
    plateau: float | None = None,
    fork: str | Path | None = None,
    proxy: Any = None,
    cache: str | Path | None = None,
    where: Where = HERE,
    watch: Watcher | None = None,
    notice: Notice = quiet,
) -> Run:
    """Continue an interrupted search, or extend a finished one.

    Args:
        directory: of the run, or its URL.
        budget: a larger number of evaluations than the run was started with.
        patience: another patience than the run was started with; 0 = do not stop before the budget is used.
        plateau: another plateau than the run was started with.
        fork: directory of a new run, which takes over the evaluations and goes on under today's code.
        proxy: the proxy object, where the run was started with one that cannot be found by its name.
        cache: directory of answers that runs share, see `loop.search`.
        where: whether quality is measured in this process or by workers; not necessarily as before.
        watch: called at the start and after each portion that is recorded.
        notice: told in a sentence what a user wants to know of the workers.

    Raises:
        RunError: no run there, a smaller budget, or a record that this version of the code would not have made.
    """
    empty, reader = runs.begun(fetched(directory))
    opened = runs.grown(empty, reader)
    if fork is None:
        runs.check_continuable(opened.directory, opened.manifest)
    _wanted(opened, budget, patience, plateau)  # before anything is measured or forked
    found = cached(same_proxy(opened, proxy), cache_directory(cache))
    evaluator = make_evaluator(opened.space, opened.technology, found, opened.manifest.fidelity)
    check_same_answers(opened, evaluator)
    check_no_twins(opened)
    name = found.name if proxy is None or isinstance(proxy, str) else None
    with pool_of(where, evaluator, name, notice) as pool:  # before the fork: what is refused must not leave one
        if fork is not None:
            opened, reader = runs.begun(_forked(opened, directory_of(fork)).directory)
        with record.writing(opened.directory), logged(opened.directory, watch or steps.nobody) as seen:
            opened = runs.grown(opened, reader)  # again: another process may have written to it in the meantime
            wanted = _wanted(opened, budget, patience, plateau)
            check_same_code(replace(opened, manifest=wanted))
            check_not_edited(opened)
            if wanted != opened.manifest:
                runs.write_manifest(opened.directory, wanted)
            measuring = Measuring(evaluator, wanted.quality, pool, wanted.order == "ordered")
            return steps.to_the_end(replace(opened, manifest=wanted), measuring, seen)


def _wanted(run: Run, budget: int | None, patience: int | None, plateau: float | None) -> Manifest:
    """Return the manifest with what the user wants changed."""
    manifest = run.manifest
    if budget is not None:
        budget = whole("budget", budget, 1)
        check_budget(run, budget)
    rule = stop_rule(patience, plateau, manifest.stop)
    return manifest.changed(budget=manifest.budget if budget is None else budget, stop=rule)


def _forked(run: Run, directory: Path) -> Run:
    """Return a new run with the evaluations of another, to be continued by today's code."""
    done = len(run.evaluations)
    manifest = run.manifest.changed(
        format=2,
        codesign_version=__version__,
        versions=runs.versions(),
        sources=manifests.sources(),
        forked_from=Fork(name=run.name, evaluations=done),
    )
    made = runs.create(directory, manifest)
    with record.writing(made.directory):
        return made.extend(run.evaluations, steps.known_asks(run)) if done else made
