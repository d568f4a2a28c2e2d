"""Whether a recorded search would go on as if nothing had stopped it: what is checked before it is continued."""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign import __version__
from codesign import manifest as manifests
from codesign import run as runs
from codesign.accuracy.proxy import SURROGATES, Proxy, is_supernet, resolve
from codesign.design import IntArray
from codesign.errors import ProxyError, RunError
from codesign.evaluation import Evaluator
from codesign.manifest import DECIDING, MANIFEST
from codesign.run import Run

OWN_TOLERANCE = 0.01
"""Relative change of the baseline's quality that a user's own proxy may show between two starts."""

MEASURED_TOLERANCE = 1e-4
"""The same where a shipped or own trained network is measured: another machine rounds differently."""


def same_proxy(run: Run, given: Any) -> Proxy:
    """Return the proxy of a run.

    Args:
        run: the run.
        given: the proxy itself, where its name does not find it.

    Raises:
        ProxyError: the name finds none.
        RunError: another one was given.
    """
    try:
        found = resolve(run.manifest.proxy if given is None else given)
    except ProxyError as error:
        again = f"codesign.resume({str(run.directory)!r}, proxy=...)"
        raise ProxyError(f"{error}; a function that no module holds is given again in Python: {again}") from None
    if found.name != run.manifest.proxy:
        raise RunError(f"{run.directory}: expected proxy {run.manifest.proxy}, got {found.name}")
    return found


def check_budget(run: Run, budget: int) -> None:
    """Refuse a budget that is used already, and to extend what was not searched.

    Raises:
        RunError: says which, and what to do instead.
    """
    done = len(run.evaluations)
    if run.manifest.recosted_from is not None:
        raise RunError(
            f"{run.directory}: its designs were found under other costs, so more would not be those of a search; "
            f"begin one with them: codesign search SPACE COST --warm-start {run.directory}"
        )
    if budget < done:
        raise RunError(f"{run.directory}: budget: expected at least the {done} evaluations already made, got {budget}")


def check_same_answers(run: Run, evaluator: Evaluator) -> None:
    """Refuse to continue where the baseline is no longer judged as the record says.

    A user's own proxy may train a network, which is never quite the same twice: its answer may differ by OWN_TOLERANCE,
    or by three times the standard error that it gives. A trained network gives the same but for rounding.
    """
    if not len(run.evaluations):
        return
    fresh = evaluator(run.evaluations.genomes[:1]).metrics
    if run.manifest.quality not in fresh:
        raise RunError(
            f"{run.directory}: expected proxy {run.manifest.proxy} to return {run.manifest.quality}, "
            f"got {next(iter(fresh))}"
        )
    for name, column in run.evaluations.metrics.items():
        then, now = float(column[0]), float(fresh[name][0])
        tolerance = _quality_tolerance(run) if name == run.manifest.quality else 1e-9
        if not np.isclose(now, then, rtol=tolerance, atol=0):
            raise _not_ours(run, f"{name} of the baseline is {then:.12g} in the record and {now:.12g} now")


def _quality_tolerance(run: Run) -> float:
    """Return the relative change of the baseline's quality that is no other proxy."""
    proxy = run.manifest.proxy
    if proxy in SURROGATES:
        return 1e-9
    if is_supernet(proxy):
        return MEASURED_TOLERANCE
    return max(OWN_TOLERANCE, 3 * float(np.nan_to_num(run.evaluations.log_standard_error[0])))


def check_same_code(run: Run) -> None:
    """Refuse to continue a search by other code than began it, where more is to be evaluated.

    Versions of libraries are named, but are no reason by themselves.

    Raises:
        RunError: says what differs, and how to go on under today's code.
    """
    if len(run.evaluations) >= run.manifest.budget:
        return
    then, now = run.manifest.sources, manifests.sources()
    other = [part for part in sorted(now) if then.get(part) != now[part]]
    if not other and run.manifest.codesign_version == __version__:
        return
    differing = f"the sources of {', '.join(other)} differ" if other else "the sources are the same"
    parts = differing if then else "it does not say by which sources"
    raise RunError(
        f"{run.directory}: was begun by other code: {_versions(run)}; {parts}; "
        "what it would have asked next is not known; go on under today's code in a new run, which takes over its "
        f"evaluations, with: codesign resume {run.directory} --fork NEW"
    )


def check_not_edited(run: Run) -> None:
    """Refuse a run whose run.json does not say any more what the search began with; older runs do not tell.

    Raises:
        RunError: names the entries among which at least one was edited.
    """
    manifest = run.manifest
    if manifest.search_crc32 in ("", manifest.crc32()):
        return
    raise RunError(
        f"{run.directory / MANIFEST}: was edited after the search began, at one or more of {', '.join(DECIDING)}; undo "
        "that, or go on under what it says now in a new run, which takes over the evaluations, with: codesign resume "
        f"{run.directory} --fork NEW"
    )


def check_no_twins(run: Run) -> None:
    """Refuse a record that holds a design twice, which no search makes.

    Raises:
        RunError: says which two evaluations are of one design.
    """
    genomes = np.ascontiguousarray(run.evaluations.genomes.astype(np.uint16))
    rows = genomes.view(np.dtype((np.void, genomes.dtype.itemsize * genomes.shape[1]))).ravel()
    if len(np.unique(rows)) == len(rows):
        return
    first, of = np.unique(rows, return_index=True, return_inverse=True)[1:]
    again = int(np.flatnonzero(first[of] != np.arange(len(rows)))[0])
    raise RunError(
        f"{run.directory}: evaluation {again} is of the same design as evaluation {int(first[of[again]])}, and no "
        "search asks twice; its record was edited; restore it from a copy, or search anew from what it found: "
        f"codesign search SPACE COST --warm-start {run.directory}"
    )


def check_asked_again(run: Run, told: int, genomes: IntArray) -> None:
    """Refuse to continue where the last recorded batch is not the beginning of what is asked now.

    Args:
        run: with whatever it holds of the batch.
        told: the id with which the batch begins.
        genomes: (k, genes) that are asked for now.

    Raises:
        RunError: says from which id on, what it can come from, and how to go on.
    """
    recorded = run.evaluations.genomes[told:]
    both = min(len(recorded), len(genomes))
    differing = np.flatnonzero((recorded[:both] != genomes[:both]).any(axis=1))
    if not len(differing) and both == len(recorded):
        return
    first = told + int(differing[0] if len(differing) else both)
    raise RunError(
        f"{run.directory}: asked again, this search does not ask for the recorded design {first}, so it is not the one "
        f"that made the record: {MANIFEST} or the record was edited, or libraries or the processor compute otherwise "
        f"({_versions(run)}); undo that, go on from what is recorded in a new run with: codesign resume "
        f"{run.directory} --fork NEW, or search anew: codesign search SPACE COST --warm-start {run.directory}"
    )


def _not_ours(run: Run, what: str) -> RunError:
    return RunError(
        f"{run.directory}: {what}; its record was edited, or the code has changed: the run was made with "
        f"{_versions(run)}; its front can still be read, but it cannot be continued"
    )


def _versions(run: Run) -> str:
    """Return the versions that differ, then and now."""
    now = runs.versions() | {"codesign": __version__}
    then = run.manifest.versions | {"codesign": run.manifest.codesign_version}
    changed = [f"{name} {version} (now {now[name]})" for name, version in then.items() if version != now[name]]
    return ", ".join(changed) or "the same versions as now"
