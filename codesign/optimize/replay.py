"""Whether a recorded search would be made again the same: what is checked before and while it is continued."""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign import __version__
from codesign import run as runs
from codesign.accuracy.proxy import SURROGATES, Proxy, is_supernet, resolve
from codesign.design import IntArray
from codesign.errors import ProxyError, RunError
from codesign.evaluation import Evaluations, Evaluator
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


def check_replay(run: Run, start: int, genomes: IntArray, known: Evaluations) -> None:
    """Refuse a record that this code, from this seed, would not have asked for."""
    if not np.array_equal(known.genomes, genomes[: len(known)]):
        last = start + len(known) - 1
        raise _not_ours(run, f"evaluations {start}..{last} are not what seed {run.manifest.seed} asks for")


def _not_ours(run: Run, what: str) -> RunError:
    now = runs.versions() | {"codesign": __version__}
    then = run.manifest.versions | {"codesign": run.manifest.codesign_version}
    changed = ", ".join(f"{name} {version} (now {now[name]})" for name, version in then.items() if version != now[name])
    return RunError(
        f"{run.directory}: {what}; its record was edited, or the code has changed: the run was made with "
        f"{changed or 'the same versions as now'}; its front can still be read, but it cannot be continued"
    )
