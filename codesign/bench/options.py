"""What benchmarks can be asked beside measuring, and which of them have a use for what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codesign.errors import InputError

if TYPE_CHECKING:
    from codesign.bench.study_train import Trainings


@dataclass(frozen=True)
class BenchOptions:
    """What some benchmarks can do beside measuring."""

    write: bool = False
    """surrogate: write the fits into the package."""
    large: bool = False
    """cost_speed: a million designs too. scores: our own scores of 400 language models too, some minutes."""
    scalesim_python: Path | None = None
    """cost_speed: the interpreter of an environment with SCALE-Sim, which needs numpy < 2."""
    table: Path | None = None
    """surrogate: trained nets, instead of those of the reference data. proxies: those of the study. supernet: a run."""
    train_size: int | None = None
    """surrogate, with a table: fit to so many nets and judge on all others."""
    trainings: Trainings | None = None
    """proxies: train the networks of the study instead of judging by them."""
    space: str | None = None
    """proxies: of the networks. search: what is searched. If absent, what the benchmark is about."""
    figures_to: Path | None = None
    """proxies, search: directory for the tables and the figures."""
    networks: tuple[Path, ...] = ()
    """proxies: trained networks that are judged beside the shipped one. answers: networks beside the lines."""
    rows: int | None = None
    """record: evaluations of the record that is made."""
    seeds: int | None = None
    """search: how many searches in each way."""
    ways: tuple[str, ...] = ()
    """search: algorithms and sequential ways that are compared; all that are known if empty."""
    measure_to: Path | None = None
    """search: measure every shape of the space and write this table instead of comparing."""


WRITING = ("surrogate",)
"""Benchmarks that can write what they fitted into the package."""

WITH_NETWORKS = ("answers", "proxies", "supernet")
"""Benchmarks that judge trained networks of the user's."""

WITH_FIGURES = ("proxies", "search")
"""Benchmarks that can write tables and figures."""

WITH_TABLE = ("proxies", "supernet", "surrogate")
"""Benchmarks that take a table of trained networks, or a run (supernet)."""

WITHOUT_DATA = (
    "answers",
    "exits",
    "ladder",
    "proxies",
    "record",
    "scaling",
    "search",
    "sensitivity",
    "supernet",
    "survey",
    "t5",
    "text",
    "training",
)
"""Benchmarks that need no reference data."""


def check_options(name: str, data: Path | None, options: BenchOptions) -> None:
    """Refuse options that a benchmark has no use for.

    Raises:
        InputError: names the option, and what it is for; or there is no data where it is needed.
    """
    if options.table and name not in WITH_TABLE:
        raise InputError(f"bench {name}: a table or run is for {', '.join(WITH_TABLE)}; leave it out")
    if options.train_size and name != "surrogate":
        raise InputError(f"bench {name}: --train-size is for surrogate; leave it out")
    if options.trainings is not None and name != "proxies":
        raise InputError(f"bench {name}: --train-to is for proxies; leave it out")
    if options.figures_to and name not in WITH_FIGURES:
        raise InputError(f"bench {name}: --figures-to is for {', '.join(WITH_FIGURES)}; leave it out")
    if (options.seeds is not None or options.ways or options.measure_to) and name != "search":
        raise InputError(f"bench {name}: --seeds, --way and --measure-to are for search; leave them out")
    if options.seeds is not None and options.seeds < 2:
        raise InputError(f"bench search: --seeds: expected at least 2, got {options.seeds}")
    if options.networks and name not in WITH_NETWORKS:
        raise InputError(f"bench {name}: --network is for {', '.join(WITH_NETWORKS)}; leave it out")
    if options.train_size and not options.table:
        raise InputError("bench surrogate: --train-size: expected with a table of trained nets, got none")
    if data is None and options.table is None and name not in WITHOUT_DATA:
        raise InputError(f"bench {name}: expected --data DIR, the reference data; got none")
    if options.write and name not in WRITING:
        raise InputError(f"bench {name}: --write: nothing is fitted here; expected with {', '.join(WRITING)}")
    if options.rows is not None and name != "record":
        raise InputError(f"bench {name}: --rows is for record; leave it out")
    if options.rows is not None and options.rows < 1:
        raise InputError(f"bench record: --rows: expected at least 1, got {options.rows}")
