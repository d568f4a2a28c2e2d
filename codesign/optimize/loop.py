"""Searches as users start them; `resuming` goes on with them, and `steps` is the loop itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args

from codesign import __version__, files, record
from codesign import manifest as manifests
from codesign import run as runs
from codesign.accuracy.cache import cache_directory, cached
from codesign.accuracy.proxy import Proxy, resolve
from codesign.cost import technology as technologies
from codesign.cost.prepare import Fidelity
from codesign.errors import InputError, RunError
from codesign.evaluation import make_evaluator
from codesign.files import Document
from codesign.optimize import steps, warm
from codesign.optimize.algorithms import DEFAULT_ALGORITHM, default_batch, default_budget, default_population
from codesign.optimize.given import check_known, stop_rule, whole
from codesign.optimize.measuring import Measuring
from codesign.optimize.pools import HERE, Notice, Where, pool_of, quiet
from codesign.optimize.screening import NO_SCREEN
from codesign.optimize.steps import Progress as Progress
from codesign.optimize.steps import Watcher as Watcher
from codesign.remote.copies import directory_of, is_url
from codesign.run import Manifest, Run
from codesign.run_log import logged
from codesign.space_file import ScenarioFile, in_scenario, read_space

Order = Literal["ordered", "async"]


def search(
    space: str,
    cost_model: str,
    *,
    proxy: str | Callable[..., Any] | Proxy | None = None,
    screen: str | None = None,
    scenario: str | Path | None = None,
    fidelity: Fidelity = "ideal",
    algorithm: str = DEFAULT_ALGORITHM,
    budget: int | None = None,
    population: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    patience: int | None = None,
    plateau: float | None = None,
    warm_start: Sequence[str | Path] = (),
    directory: str | Path | None = None,
    cache: str | Path | None = None,
    where: Where = HERE,
    order: Order = "ordered",
    watch: Watcher | None = None,
    notice: Notice = quiet,
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
        budget: number of distinct designs to evaluate, the baseline included; if absent 1,000, and 10,000 by other
            algorithms than the default.
        population: designs of the initial sample and of a generation; that of the algorithm's source if absent, or 100.
        batch: designs asked for at once (shapes, by the default algorithm); if absent the population, and few at first
            by the default algorithm. With 1, each design learns from all before it.
        seed: the search is a function of its inputs and this number.
        patience: stop when the hypervolume of the front has hardly grown over so many evaluations; never if absent.
        plateau: what is hardly: by less than this share, below 1; a thousandth if absent. Only with a patience.
        warm_start: directories of earlier runs, whose best designs are evaluated right after the baseline.
        directory: or URL (s3://bucket/run) where the run is recorded; a new directory under runs/ if absent.
        cache: directory of answers that runs share, or "none"; if absent $CODESIGN_CACHE, else the user's cache.
        where: whether quality is measured in this process or by workers of a Ray cluster.
        order: "ordered" records designs in the order of asking, so the record does not depend on who is faster;
            "async" as their qualities come, so that slow ones hold nobody up.
        watch: called at the start and after each portion that is recorded.
        notice: told in a sentence what a user wants to know of the workers.

    Raises:
        CodesignError: whatever the user can mend, said plainly.
    """
    population = default_population(algorithm) if population is None else whole("population", population, 2)
    batch = default_batch(algorithm, population) if batch is None else whole("batch", batch, 1)
    budget = default_budget(algorithm) if budget is None else whole("budget", budget, 1)
    seed, stop = whole("seed", seed, 0), stop_rule(patience, plateau)
    check_known("order", order, get_args(Order))
    space_document, cost_document = read_space(space), technologies.read(cost_model)
    scenario_document = None if scenario is None else _read_scenario(Path(scenario))
    space_in_use = space_document.content
    if scenario_document is not None:
        space_in_use = in_scenario(space_in_use, scenario_document)
    found = cached(resolve(space_in_use.proxy if proxy is None else proxy), cache_directory(cache))
    evaluator = make_evaluator(space_in_use, cost_document.content, found, fidelity)
    quality = evaluator.proxy.predict(space_in_use.baseline.shape).metric
    screen = _screen(screen, None if proxy is not None else space_in_use.screen, algorithm)
    manifest = Manifest(
        codesign_version=__version__,
        versions=runs.versions(),
        sources=manifests.sources(),
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
        batch=batch,
        order=order,
        stop=stop,
        warm_start=warm.warm_start(warm_start, space_in_use, population - 1) if warm_start else None,
    )
    steps.prepared(manifest, evaluator)
    if directory and not is_url(directory):
        runs.refuse_taken(Path(directory), manifest)  # before workers are looked for
    name = found.name if proxy is None or isinstance(proxy, str) else None
    with pool_of(where, evaluator, name, notice) as pool:  # before the directory: what is refused must not leave one
        place = directory_of(directory) if directory else new_directory(Path("runs"), manifest)
        runs.create(place, manifest)
        with record.writing(place), logged(place, watch or steps.nobody) as seen:
            return steps.to_the_end(runs.open_run(place), Measuring(evaluator, quality, pool, order == "ordered"), seen)


def _read_scenario(path: Path) -> Document[ScenarioFile]:
    return files.parse(files.read_text(path), path.stem, str(path), ScenarioFile)


def _screen(given: str | None, of_space: str | None, algorithm: str) -> str | None:
    """Return what chooses the designs that are measured.

    Raises:
        InputError: the algorithm chooses them itself.
    """
    if algorithm != DEFAULT_ALGORITHM:
        return of_space if given is None else given
    if given not in (None, NO_SCREEN):
        raise InputError(
            f"screen {given!r}: {algorithm} chooses by itself what is measured; expected none, or another algorithm"
        )
    return NO_SCREEN


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
