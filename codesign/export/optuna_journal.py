"""A whole run as an Optuna journal, which optuna-dashboard opens: one study, whose trials are the evaluations in order.

Optuna's own storage makes the lines; only the marks of process and clock are taken out of them, so that equal runs give
equal files. A run has no clock, so trial n starts and ends n seconds after 1970.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from codesign.errors import InputError
from codesign.evaluation import NO_MAPPING, Evaluations
from codesign.export.context import Files
from codesign.run import Run
from codesign.space import SearchSpace

JOURNAL = "journal.log"

WRITER = "codesign"
"""In place of the name of the process that wrote a line."""

FULL_BUDGET = "measured_at_full_budget"
"""Constraint, 1 where broken: designs that were not measured again do not compare with those that were."""


def render(run: Run) -> Files:
    """All evaluations of the run as an Optuna journal, `journal.log`: `optuna-dashboard journal.log`.

    Directions are minimize; values are the objectives as they are, not their logarithms. Every gene is a categorical
    parameter; those that mean nothing in a design have their first value. A constraint is a metric over its limit, less
    1. Trials whose quality could not be found, or that fit no mapping, are FAIL and have the reason as an attribute.

    Raises:
        InputError: nothing is evaluated.
    """
    if not len(run.evaluations):
        raise InputError(f"{run.directory}: expected evaluations to export, got none")
    import optuna
    from optuna.storages.journal import BaseJournalBackend, JournalStorage

    class Lines(BaseJournalBackend):
        """A journal in memory: a file is flushed to the disk after each trial, which takes a minute for 10,000."""

        def __init__(self) -> None:
            self.logs: list[dict[str, Any]] = []

        def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
            """See the base class."""
            return self.logs[log_number_from:]

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            """See the base class."""
            self.logs += logs

    lines = Lines()
    with _silent():
        objectives = run.space.objectives
        study = optuna.create_study(
            storage=JournalStorage(lines),
            study_name=run.name,
            directions=["minimize"] * len(objectives),
            sampler=optuna.samplers.RandomSampler(),  # asks for nothing; the default one would be made with a warning
        )
        study.set_metric_names(list(objectives))
        for name, value in _study_attributes(run).items():
            study.set_user_attr(name, value)
        study.add_trials(_trials(run))
    return {JOURNAL: b"".join(_line(log) for log in lines.logs)}


@contextmanager
def _silent() -> Iterator[None]:
    """Have Optuna tell neither what it made nor what is experimental in it."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _line(log: dict[str, Any]) -> bytes:
    return json.dumps(log | {"worker_id": WRITER}, separators=(",", ":")).encode() + b"\n"


def _study_attributes(run: Run) -> dict[str, str | int]:
    manifest = run.manifest
    return {
        "space": manifest.space.name,
        "cost_model": manifest.cost_model.name,
        "proxy": manifest.proxy,
        "fidelity": manifest.fidelity,
        "algorithm": manifest.algorithm,
        "seed": manifest.seed,
        "codesign_version": manifest.codesign_version,
    }


def _trials(run: Run) -> Iterator[Any]:
    """Yield the evaluations as trials that are not in a study yet."""
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import FrozenTrial, TrialState

    judged, limits = run.judged, _limits(run.space, run.judged)
    distributions = {gene.name: CategoricalDistribution(gene.values) for gene in run.space.genes}
    for row, genome in enumerate(judged.genomes.tolist()):
        metrics = {name: float(column[row]) for name, column in judged.metrics.items()}
        values = [metrics[name] for name in run.space.objectives]
        known = bool(np.isfinite([*values, metrics["edp_js"]]).all()) and not judged.failure[row]
        when = datetime.fromtimestamp(0, UTC) + timedelta(seconds=row)
        trial = FrozenTrial(
            number=row,
            trial_id=row,
            state=TrialState.COMPLETE if known else TrialState.FAIL,
            value=None,
            values=values if known else None,
            datetime_start=when,
            datetime_complete=when,
            params={gene.name: gene.values[at] for gene, at in zip(run.space.genes, genome, strict=True)},
            distributions=dict(distributions),
            user_attrs=_attributes(run, judged, metrics, row),
            system_attrs={},
            intermediate_values={},
        )
        for name, most in limits.items():
            trial.set_constraint(name, metrics[name] / most - 1.0 if np.isfinite(metrics[name]) else 1.0)
        if run.full is not None:
            trial.set_constraint(FULL_BUDGET, 0.0 if run.remeasured[row] else 1.0)
        yield trial


def _limits(space: SearchSpace, judged: Evaluations) -> dict[str, float]:
    """Return the largest feasible value by metric; design 0 is the baseline."""
    return {name: limit.largest(float(judged.metrics[name][0])) for name, limit in space.limits.items()}


def _attributes(run: Run, judged: Evaluations, metrics: dict[str, float], row: int) -> dict[str, Any]:
    """Return what is known of a design; JSON has no number for what is not."""
    found: dict[str, Any] = {"id": row} | {name: value for name, value in metrics.items() if np.isfinite(value)}
    if np.isfinite(judged.log_standard_error[row]):
        found["log_standard_error"] = float(judged.log_standard_error[row])
    found |= {"extrapolated": bool(judged.extrapolated[row]), "violation": float(judged.violation[row])}
    if run.asks.after[row] >= 0:
        found["after"] = int(run.asks.after[row])
    if judged.failure[row]:
        found["failure"] = str(judged.failure[row])
    elif not np.isfinite(metrics["edp_js"]):
        found["failure"] = NO_MAPPING
    return found
