"""The search loop: ask for designs, evaluate, record, tell; and the same loop again to resume.

Resuming is replaying: the algorithm starts anew from its seed and asks the same questions; those in the record are
answered from it, the rest are evaluated. So an interrupted search that is resumed gives the record of an undisturbed
one, and a finished search that is extended the record of a longer one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign import __version__, files, record
from codesign import run as runs
from codesign.accuracy.cache import cache_directory, cached
from codesign.accuracy.proxy import Proxy, resolve
from codesign.cost import technology as technologies
from codesign.cost.prepare import Fidelity
from codesign.design import IntArray
from codesign.errors import InputError, ProxyError, RunError
from codesign.evaluation import Evaluations, Evaluator, make_evaluator
from codesign.optimize import remeasure
from codesign.optimize.algorithms import Choose, make_algorithm
from codesign.optimize.replay import check_budget, check_replay, check_same_answers, same_proxy
from codesign.optimize.screening import NO_SCREEN, Screen, make_screen
from codesign.record import one_batch
from codesign.run import Manifest, Run
from codesign.space_file import ScenarioFile, in_scenario, read_space

DEFAULT_BUDGET = 10_000
DEFAULT_POPULATION = 100


@dataclass(frozen=True)
class Progress:
    """What a watcher of the search is shown at the start and after each batch."""

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
    proxy: str | Callable[..., Any] | Proxy | None = None,
    screen: str | None = None,
    scenario: str | Path | None = None,
    fidelity: Fidelity = "ideal",
    algorithm: str = "nsga2",
    budget: int = DEFAULT_BUDGET,
    population: int = DEFAULT_POPULATION,
    seed: int = 0,
    directory: str | Path | None = None,
    cache: str | Path | None = None,
    watch: Watcher | None = None,
) -> Run:
    """Search a space and return the run.

    Args:
        space: name of a shipped search space, or path of a TOML file.
        cost_model: name of a shipped cost model, or path of a TOML file.
        proxy: name of a shipped accuracy proxy, `module:function`, or a callable; what the space names if absent.
        screen: what chooses the designs that the proxy measures: "fitted" (to what was measured so far), the name of a
            cheaper proxy, or "none"; if absent, what the space names for its own proxy.
        scenario: a TOML file whose [scenario] replaces the one of the space.
        fidelity: of time; ideal = Timeloop's assumptions, calibrated = as RTL, under a cost model with [calibration].
        algorithm: name of the search algorithm.
        budget: number of distinct designs to evaluate, the baseline included.
        population: designs a generation.
        seed: the search is a function of its inputs and this number.
        directory: where the run is recorded; a new directory under runs/ if absent.
        cache: directory of answers that runs share, or "none"; if absent $CODESIGN_CACHE, else the user's cache.
        watch: called at the start and after each batch.

    Raises:
        CodesignError: whatever the user can mend, said plainly.
    """
    for name, value, least in (("budget", budget, 1), ("population", population, 2), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"{name}: expected at least {least}, got {value}")
    space_document, cost_document = read_space(space), technologies.read(cost_model)
    space_in_use, scenario_document = space_document.content, None
    if scenario is not None:
        path = Path(scenario)
        scenario_document = files.parse(files.read_text(path), path.stem, str(path), ScenarioFile)
        space_in_use = in_scenario(space_in_use, scenario_document)
    found = cached(resolve(space_in_use.proxy if proxy is None else proxy), cache_directory(cache))
    evaluator = make_evaluator(space_in_use, cost_document.content, found, fidelity)
    quality = evaluator.proxy.predict(space_in_use.baseline.shape).metric
    screen = space_in_use.screen if screen is None and proxy is None else screen
    make_screen(screen, evaluator, quality)  # like the algorithm below: a name that is refused leaves no directory
    manifest = Manifest(
        codesign_version=__version__,
        versions=runs.versions(),
        space=runs.input_text(space_document),
        cost_model=runs.input_text(cost_document),
        scenario=runs.input_text(scenario_document) if scenario_document else None,
        proxy=found.name,
        quality=quality,
        screen=screen if screen != NO_SCREEN else None,
        fidelity=fidelity,
        algorithm=algorithm,
        population=population,
        seed=seed,
        budget=budget,
    )
    make_algorithm(algorithm, space_in_use, population, seed)  # an unknown name must not leave a directory
    where = Path(directory) if directory else new_directory(Path("runs"), manifest)
    runs.create(where, manifest)
    with record.writing(where):
        return _loop(runs.open_run(where), evaluator, watch or _nobody)


def resume(
    directory: str | Path,
    *,
    budget: int | None = None,
    proxy: Any = None,
    cache: str | Path | None = None,
    watch: Watcher | None = None,
) -> Run:
    """Continue an interrupted search, or extend a finished one.

    Args:
        directory: of the run.
        budget: a larger number of evaluations than the run was started with.
        proxy: the proxy object, where the run was started with one that cannot be found by its name.
        cache: directory of answers that runs share, see `search`.
        watch: called at the start and after each batch.

    Raises:
        RunError: no run there, a smaller budget, or a record that this version of the code would not have made.
    """
    opened = runs.open_run(Path(directory))
    found = cached(same_proxy(opened, proxy), cache_directory(cache))
    evaluator = make_evaluator(opened.space, opened.technology, found, opened.manifest.fidelity)
    check_same_answers(opened, evaluator)
    with record.writing(opened.directory):
        opened = runs.open_run(opened.directory)  # again: another process may have written to it in the meantime
        if budget is not None and budget != opened.manifest.budget:
            opened = _with_budget(opened, budget)
        return _loop(opened, evaluator, watch or _nobody)


def new_directory(parent: Path, manifest: Manifest) -> Path:
    """Make and return the first free runs/SPACE-COST-NNN; no two processes get the same."""
    stem = f"{manifest.space.name}-{manifest.cost_model.name}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            directory = parent / f"{stem}-{number:03d}"
            with suppress(FileExistsError):
                directory.mkdir()
                break
    except OSError as error:
        raise RunError(f"{parent}: cannot be written: {error.strerror}; name another place with --run") from error
    return directory


def _with_budget(run: Run, budget: int) -> Run:
    check_budget(run, budget)
    manifest = Manifest(**{f: getattr(run.manifest, f) for f in Manifest.__struct_fields__} | {"budget": budget})
    runs.write_manifest(run.directory, manifest)
    return runs.open_run(run.directory)


def _nobody(_: Progress) -> None:
    """Watch nothing."""


def _loop(run: Run, evaluator: Evaluator, watch: Watcher) -> Run:
    recorded = len(run.evaluations)
    evaluator.remember(run.evaluations, run.manifest.quality)
    watch(Progress(run, recorded, ""))
    run, ended = run, "recosted"
    if run.manifest.recosted_from is None:
        run, ended = _searched(run, evaluator, lambda now, why: watch(Progress(now, recorded, why)))
    return remeasure.complete(run, evaluator, lambda now: watch(Progress(now, recorded, ended)))


def _searched(run: Run, evaluator: Evaluator, watch: Callable[[Run, str], None]) -> tuple[Run, str]:
    """Ask, evaluate and tell until the budget is used or nothing new is found; return the run and why it ended."""
    manifest, space = run.manifest, run.space
    algorithm = make_algorithm(manifest.algorithm, space, manifest.population, manifest.seed)
    screen = make_screen(manifest.screen, evaluator, manifest.quality)
    asked, ended = 0, ""
    while not ended:
        genomes = algorithm.ask(_choice(screen, run, asked))
        if not len(genomes):
            ended = "all designs of the space are evaluated" if asked == space.size() else "no new design was found"
            watch(run, ended)
            break
        known = run.evaluations.take(slice(asked, asked + len(genomes)))
        check_replay(run, asked, genomes, known)
        missing = genomes[len(known) : manifest.budget - asked]
        if len(missing):
            asks = one_batch(asked, len(genomes)).take(slice(len(known), len(known) + len(missing)))
            run = run.extend(_evaluate(run, evaluator, missing), asks)
        answered = run.evaluations.take(slice(asked, asked + len(genomes)))
        asked += len(answered)
        if len(answered) == len(genomes):  # the last batch may be cut short by the budget; nobody asks after it
            algorithm.tell(answered.objectives(space.objectives), answered.violation)
        ended = "budget used" if asked >= manifest.budget else ""
        watch(run, ended)
    return run, ended


def _choice(screen: Screen | None, run: Run, asked: int) -> Choose | None:
    """Return how the next batch is chosen: as recorded, and beyond that by the screen.

    A screen's last bits may differ on another machine; the record is believed, and so the replay goes on there too.
    """
    if screen is None:
        return None

    def choose(candidates: IntArray, wanted: int) -> IntArray:
        places = {genome.tobytes(): place for place, genome in enumerate(candidates)}
        batch = run.evaluations.genomes[asked : asked + wanted]
        recorded = [places[genome.tobytes()] for genome in batch if genome.tobytes() in places]
        if len(recorded) < wanted:
            chosen = screen.choose(run.evaluations.take(slice(0, asked)), candidates, wanted)
            recorded += [place for place in chosen.tolist() if place not in recorded][: wanted - len(recorded)]
        return np.array(recorded, dtype=np.int64)

    return choose


def _evaluate(run: Run, evaluator: Evaluator, genomes: IntArray) -> Evaluations:
    try:
        return evaluator(genomes)
    except ProxyError as error:
        done = len(run.evaluations)
        raise ProxyError(
            f"{error}; {done} evaluations are kept; once the proxy is mended: codesign resume {run.directory}"
        ) from error
