"""The designs of a run under another cost model, scenario or fidelity: new costs, the same qualities."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from codesign import __version__, files, record, remeasured
from codesign import run as runs
from codesign.accuracy.memory import Remembering
from codesign.accuracy.proxy import FunctionProxy
from codesign.cost import technology as technologies
from codesign.cost.prepare import Fidelity
from codesign.cost.technology import Technology
from codesign.design import ModelShape
from codesign.errors import InputError, ProxyError, RunError
from codesign.evaluation import Evaluations, Evaluator, make_evaluator
from codesign.files import Document
from codesign.manifest import FORMAT, Manifest, Source, input_text, versions
from codesign.optimize.remeasure import BASELINE, planned_ids
from codesign.remeasured import Plan, Remeasured
from codesign.remote.copies import is_url
from codesign.run import Run
from codesign.space import SearchSpace
from codesign.space_file import ScenarioFile, in_scenario


def recost(
    run: str | Path | Run,
    cost_model: str,
    *,
    directory: str | Path,
    scenario: str | Path | None = None,
    fidelity: Fidelity | None = None,
) -> Run:
    """Record the designs of a run with other costs in a new run; no quality is measured, nor is the proxy needed.

    Limits that are relative to the baseline are taken from its new costs. What the full budget said of quality is
    taken over for designs that are among the best ones now; `codesign resume` measures the others of these.

    Args:
        run: the run, or its directory.
        cost_model: name of a shipped cost model, or path of a TOML file.
        directory: of the new run.
        scenario: a TOML file whose [scenario] replaces that of the run.
        fidelity: of time; that of the run if absent.

    Raises:
        RunError: nothing is evaluated in the run; the directory holds something or cannot be written.
        InputError: the baseline does not fit on its accelerator, or no design keeps the limits under these costs.
    """
    source, target = run if isinstance(run, Run) else runs.open_run(run), Path(directory)
    if is_url(directory):
        raise InputError(f"{directory}: expected a directory on this machine for the recosted run, got a URL")
    if not len(source.evaluations):
        raise RunError(f"{source.directory}: expected evaluations, got none; first: codesign resume {source.directory}")
    model, space, given = technologies.read(cost_model), source.space, None
    if scenario is not None:
        given = files.parse(files.read_text(Path(scenario)), Path(scenario).stem, str(scenario), ScenarioFile)
        space = in_scenario(space, given)
    evaluator = _evaluator(source, space, model.content, fidelity or source.manifest.fidelity)
    evaluations = _recosted(source.evaluations, source.manifest.quality, evaluator)
    return _written(source, _manifest(source, model, given, evaluator.fidelity), evaluations, evaluator, target)


def _evaluator(source: Run, space: SearchSpace, technology: Technology, fidelity: Fidelity) -> Evaluator:
    """Return what judges under the new costs; its proxy knows what is recorded and nothing else."""
    quality = source.manifest.quality
    memory = Remembering(FunctionProxy(source.manifest.proxy, partial(_refuse, source)))
    baseline = source.evaluations.take(slice(BASELINE, BASELINE + 1))
    evaluator = Evaluator(space, technology, memory, {}, fidelity)
    evaluator.remember(baseline, quality)
    return make_evaluator(space, technology, memory, fidelity)


def _refuse(source: Run, _: ModelShape) -> None:
    raise ProxyError(f"{source.directory}: expected the baseline of its space as design {BASELINE}, got another one")


def _recosted(evaluations: Evaluations, quality: str, evaluator: Evaluator) -> Evaluations:
    """Return the evaluations with the costs and limits of an evaluator."""
    metrics = {quality: evaluations.metrics[quality]} | evaluator.costs(evaluations.genomes)
    violation = evaluator.violation(metrics)
    # Whatever it costs: nothing is known of a design that could not be measured.
    violation = np.where(evaluations.failure == "", violation, np.maximum(violation, 1.0))
    return replace(evaluations, metrics=metrics, violation=violation)


def _manifest(
    source: Run, model: Document[Technology], scenario: Document[ScenarioFile] | None, fidelity: Fidelity
) -> Manifest:
    then = source.manifest
    lines = (source.directory / record.EVALUATIONS).read_bytes()
    return msgspec.structs.replace(
        then,
        format=FORMAT,
        codesign_version=__version__,
        versions=versions(),
        cost_model=input_text(model),
        scenario=then.scenario if scenario is None else input_text(scenario),
        fidelity=fidelity,
        budget=len(source.evaluations),
        recosted_from=Source(name=source.name, sha256=hashlib.sha256(lines).hexdigest()),
    )


def _written(source: Run, manifest: Manifest, evaluations: Evaluations, evaluator: Evaluator, target: Path) -> Run:
    """Write the run beside its place and rename it, so that a part of it is never taken for the whole."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RunError(f"{target}: expected a new or empty directory for the run; give another one with --run")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".recost-", dir=target.parent) as stage:
            whole = runs.create(Path(stage) / target.name, manifest).extend(evaluations, source.asks)
            if again := _taken_over(source, whole, evaluator):
                remeasured.write(whole.directory, again)
            whole.directory.rename(target)
    except OSError as error:
        raise RunError(f"{target}: cannot be written: {error.strerror}") from error
    return runs.open_run(target)


def _taken_over(source: Run, run: Run, evaluator: Evaluator) -> Remeasured | None:
    """Return what is to be measured at the full budget under the new costs, with what was measured already.

    Errors of two designs are taken as independent, which is no less than what a proxy knows of pairs: the list may be
    longer than that of a search.
    """
    known = {} if source.again is None else {design.id: design for design in source.again.designs}
    if BASELINE not in known:
        return None
    quality, errors = run.manifest.quality, run.evaluations.log_standard_error
    ids = planned_ids(
        run.evaluations, run.space.objectives, quality, lambda one, two: float(np.hypot(errors[one], errors[two]))
    )
    designs = [known[id_] for id_ in ids if id_ in known]
    rows = np.array([design.id for design in designs], dtype=np.int64)
    metrics = {name: column[rows] for name, column in run.evaluations.metrics.items()}
    metrics[quality] = np.array([design.value for design in designs])
    violation = evaluator.with_baseline_quality(quality, known[BASELINE].value).violation(metrics)
    judged = [
        msgspec.structs.replace(design, violation=float(excess))
        for design, excess in zip(designs, violation, strict=True)
    ]
    return Remeasured(Plan(evaluations=len(run.evaluations), ids=ids), tuple(judged))
