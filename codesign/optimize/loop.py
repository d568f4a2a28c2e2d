"""The search loop: ask for designs, evaluate, record, tell; and the same loop again to resume.

Resuming is replaying: the algorithm starts anew from its seed and asks the same questions; those in the record are
answered from it, the rest are evaluated. So an interrupted search that is resumed gives the record of an undisturbed
one, and a finished search that is extended the record of a longer one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign import __version__
from codesign import run as runs
from codesign.accuracy.proxy import Proxy, resolve
from codesign.cost import technology as technologies
from codesign.errors import InputError, RunError
from codesign.evaluation import Evaluations, Evaluator, make_evaluator
from codesign.optimize.algorithms import make_algorithm
from codesign.run import Manifest, Run
from codesign.space_file import read_space

DEFAULT_BUDGET = 10_000
DEFAULT_POPULATION = 100


@dataclass(frozen=True)
class Progress:
    """What a watcher of the search is shown after each batch."""

    run: Run
    replayed: int
    """Evaluations that came from the record."""
    finished: str
    """Why the search ended; empty while it goes on."""


Watcher = Callable[[Progress], None]


def search(
    space: str,
    cost_model: str,
    *,
    proxy: str | Callable[..., Any] | Proxy = "surrogate",
    algorithm: str = "nsga2",
    budget: int = DEFAULT_BUDGET,
    population: int = DEFAULT_POPULATION,
    seed: int = 0,
    directory: str | Path | None = None,
    watch: Watcher | None = None,
) -> Run:
    """Search a space and return the run.

    Args:
        space: name of a shipped search space, or path of a TOML file.
        cost_model: name of a shipped cost model, or path of a TOML file.
        proxy: name of a shipped accuracy proxy, `module:function`, or a callable.
        algorithm: name of the search algorithm.
        budget: number of distinct designs to evaluate, the baseline included.
        population: designs a generation.
        seed: the search is a function of its inputs and this number.
        directory: where the run is recorded; a new directory under runs/ if absent.
        watch: called after each batch.

    Raises:
        CodesignError: whatever the user can mend, said plainly.
    """
    for name, value, least in (("budget", budget, 1), ("population", population, 2), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"{name}: expected at least {least}, got {value}")
    space_document, cost_document = read_space(space), technologies.read(cost_model)
    found = resolve(proxy)
    evaluator = make_evaluator(space_document.content, cost_document.content, found)
    manifest = Manifest(
        codesign_version=__version__,
        space=runs.input_text(space_document),
        cost_model=runs.input_text(cost_document),
        proxy=found.name,
        quality=found.predict(space_document.content.baseline.shape).metric,
        algorithm=algorithm,
        population=population,
        seed=seed,
        budget=budget,
    )
    make_algorithm(algorithm, space_document.content, population, seed)  # an unknown name must not leave a directory
    where = Path(directory) if directory else new_directory(Path("runs"), manifest)
    return _continue(runs.create(where, manifest), evaluator, watch)


def resume(directory: str | Path, *, budget: int | None = None, proxy: Any = None, watch: Watcher | None = None) -> Run:
    """Continue an interrupted search, or extend a finished one.

    Args:
        directory: of the run.
        budget: a larger number of evaluations than the run was started with.
        proxy: the proxy object, where the run was started with one that cannot be found by its name.
        watch: called after each batch.

    Raises:
        RunError: no run there, a smaller budget, or a record that this version of the code would not have made.
    """
    opened = runs.open_run(Path(directory))
    found = resolve(proxy if proxy is not None else opened.manifest.proxy)
    with runs.writing(opened.directory):
        opened = runs.open_run(opened.directory)
        if budget is not None and budget != opened.manifest.budget:
            opened = _with_budget(opened, budget)
    return _continue(opened, make_evaluator(opened.space, opened.technology, found), watch)


def new_directory(parent: Path, manifest: Manifest) -> Path:
    """Return the first free runs/SPACE-COST-NNN."""
    stem = f"{manifest.space.name}-{manifest.cost_model.name}"
    number = 1
    while (parent / f"{stem}-{number:03d}").exists():
        number += 1
    return parent / f"{stem}-{number:03d}"


def _with_budget(run: Run, budget: int) -> Run:
    done = len(run.evaluations)
    if budget < done:
        raise RunError(f"{run.directory}: budget: expected at least the {done} evaluations already made, got {budget}")
    manifest = Manifest(**{f: getattr(run.manifest, f) for f in Manifest.__struct_fields__} | {"budget": budget})
    runs.write_manifest(run.directory, manifest)
    return runs.open_run(run.directory)


def _continue(run: Run, evaluator: Evaluator, watch: Watcher | None) -> Run:
    with runs.writing(run.directory):
        return _loop(run, evaluator, watch or (lambda _: None))


def _loop(run: Run, evaluator: Evaluator, watch: Watcher) -> Run:
    manifest, space = run.manifest, run.space
    algorithm = make_algorithm(manifest.algorithm, space, manifest.population, manifest.seed)
    recorded = len(run.evaluations)
    asked = 0
    while asked < manifest.budget:
        genomes = algorithm.ask()
        if not len(genomes):
            watch(Progress(run, recorded, f"no new design found after {asked} of {space.size():.4g}"))
            return run
        known = _slice(run.evaluations, asked, asked + len(genomes))
        _check_replay(run, asked, genomes, known)
        missing = genomes[len(known) : manifest.budget - asked]
        if len(missing):
            run = run.extend(evaluator(missing))
        answered = _slice(run.evaluations, asked, asked + len(genomes))
        asked += len(answered)
        if len(answered) == len(genomes):  # the last batch may be cut short by the budget; nobody asks after it
            algorithm.tell(answered.objectives(space.objectives), answered.violation)
        watch(Progress(run, recorded, "budget used" if asked >= manifest.budget else ""))
    return run


def _check_replay(run: Run, start: int, genomes: Any, known: Evaluations) -> None:
    """Refuse a record that this code, from this seed, would not have asked for."""
    if not np.array_equal(known.genomes, genomes[: len(known)]):
        raise RunError(
            f"{run.directory}: evaluations {start}..{start + len(known) - 1} are not what version {__version__} "
            f"asks for with seed {run.manifest.seed}; the run was made by version "
            f"{run.manifest.codesign_version} or by other library versions, or its record was edited; its front can "
            "still be read, but it cannot be continued"
        )


def _slice(evaluations: Evaluations, start: int, stop: int) -> Evaluations:
    rows = slice(start, stop)
    return Evaluations(
        genomes=evaluations.genomes[rows],
        metrics={name: column[rows] for name, column in evaluations.metrics.items()},
        log_standard_error=evaluations.log_standard_error[rows],
        extrapolated=evaluations.extrapolated[rows],
        violation=evaluations.violation[rows],
    )
