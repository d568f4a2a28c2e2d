"""The record of one search on disk; it is log, checkpoint and result at once.

    RUN/run.json            what was searched: both input files verbatim, their hashes, proxy, algorithm, seed, budget
    RUN/evaluations.jsonl   what was found (see `record`)
    RUN/remeasured.jsonl    what the full budget of the proxy says of the best designs, if it has one (see `remeasured`)

Nothing in these files depends on the clock, so two runs of the same search are byte for byte equal. Beside them stands
log.jsonl (see `run_log`), which is no part of the record.
docs/run_format.md is the full description.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from codesign import journal, record, remeasured
from codesign.accuracy.protocol import full_rung
from codesign.accuracy.proxy import FunctionProxy, Proxy, resolve
from codesign.archive import Archive
from codesign.cost.estimate import cost_metrics, delay_ratios
from codesign.cost.technology import Technology
from codesign.design import BoolArray, FloatArray, IntArray, ModelShape
from codesign.errors import ProxyError, RunError
from codesign.evaluation import Evaluations
from codesign.front import Gain, front_ids, front_volume, gains, knee
from codesign.manifest import MANIFEST as MANIFEST
from codesign.manifest import Manifest as Manifest
from codesign.manifest import input_text as input_text
from codesign.manifest import read_manifest, recorded_inputs
from codesign.manifest import sha256 as sha256
from codesign.manifest import versions as versions
from codesign.manifest import write_manifest as write_manifest
from codesign.occupied import check_continuable as check_continuable
from codesign.occupied import refuse_occupied
from codesign.occupied import refuse_taken as refuse_taken
from codesign.record import Asks
from codesign.record_columns import Reader
from codesign.remeasured import Remeasured
from codesign.remote.copies import fetched
from codesign.space import SearchSpace
from codesign.ties import Ties, by_quality, neighbour_errors, ties_of

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Run:
    """A run and everything evaluated in it so far."""

    directory: Path
    manifest: Manifest
    space: SearchSpace
    technology: Technology
    evaluations: Evaluations
    """As the search saw them."""
    asks: Asks
    """When each of them was asked for."""
    again: Remeasured | None = None
    """What the full budget said so far."""
    archive: Archive | None = field(default=None, repr=False, compare=False)
    """Where the evaluations grow; also those of longer runs that came from this one."""

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.directory.name

    @property
    def proxy(self) -> Proxy:
        """The accuracy proxy of the run, found again by its name.

        A user's own need not be at hand to read a run: where it is not found, the errors that it gave are compared as
        independent, and only a prediction is refused.
        """
        try:
            return resolve(self.manifest.proxy)
        except ProxyError as error:
            return FunctionProxy(self.manifest.proxy, partial(_refuse, error))

    @property
    def delay_ratios(self) -> tuple[float, float] | None:
        """10th and 90th percentile of measured over calibrated cycles; None under ideal time."""
        return delay_ratios(self.technology, self.manifest.fidelity)

    @property
    def full(self) -> Remeasured | None:
        """What the full budget says of the best designs; None unless all that was planned is measured."""
        return self.again if self.again is not None and self.again.of(self.evaluations) else None

    @cached_property
    def judged(self) -> Evaluations:
        """The evaluations, with the quality that the full budget found where it was asked."""
        full = self.full
        return self.evaluations if full is None else full.judged(self.evaluations, self.manifest.quality)

    @cached_property
    def remeasured(self) -> BoolArray:
        """(n,) True where the quality in `judged` is of the full budget."""
        found = np.zeros(len(self.evaluations), dtype=np.bool_)
        found[self.full.ids if self.full else []] = True
        return found

    @property
    def comparable(self) -> BoolArray:
        """(n,) feasible, and judged by the full budget if any design is: what picks and fronts choose among."""
        return np.asarray(self.judged.feasible & (self.remeasured | (self.full is None)))

    def front_ids(self) -> IntArray:
        """(k,) ids of the front, sorted by the first objective."""
        if self.full is None:
            return self.screened_front_ids()
        return front_ids(self.judged, self.space.objectives, self.comparable)

    def screened_front_ids(self) -> IntArray:
        """(k,) ids of the front as the search saw it, whatever the full budget said later."""
        if self.archive is not None and self.archive.evaluations is self.evaluations:
            return self.archive.front_ids(self.space.objectives)
        return front_ids(self.evaluations, self.space.objectives)

    def front(self) -> pandas.DataFrame:
        """Return the front as a table: a row a design (index: id), metrics, model and accelerator as columns."""
        from codesign.tables import front_table

        return front_table([(self, self.front_ids())])

    def knee(self) -> int:
        """Return the id of the front's knee."""
        return knee(self.judged, self.space.objectives, self.front_ids())

    def ratio_errors(self, ids: IntArray) -> FloatArray:
        """(k,) standard errors of the logarithm of quality over the baseline's; NaN where there is none."""
        if self.full is not None:
            known = np.full(len(self.evaluations), np.nan)
            known[self.full.ids] = self.full.ratio_errors
            return known[ids]
        # The errors are in the record, so a proxy that has no better way need not predict again.
        errors, shapes = self.evaluations.log_standard_error, self.space.decode(self.evaluations.genomes[ids]).shape
        return self.proxy.compare(shapes, self.space.baseline.shape, (errors[ids], errors[:1]))

    def gains(self) -> list[Gain]:
        """Return the EDP gains over the baseline within the two quality budgets."""
        if not len(self.evaluations):
            return []
        choices = np.flatnonzero(self.comparable | (np.arange(len(self.evaluations)) == 0))
        return gains(self.judged, choices, self.ratio_errors(choices), self.manifest.quality)

    def ties(self) -> Ties:
        """Return which designs of the front are in no certain order of quality.

        A proxy that measures is not asked to measure again: before its full budget has been spent, ties are unknown.
        """
        full = self.full
        if full is not None and full.noise is not None:
            front = np.array(full.noise.front, dtype=np.int64)
            errors = np.array(full.noise.standard_errors, dtype=np.float64)
            return ties_of(self.judged, self.manifest.quality, front, errors)
        front = by_quality(self.judged, self.manifest.quality, self.front_ids())
        errors = np.full(max(len(front) - 1, 0), np.nan)
        if full_rung(self.proxy) is None:
            errors = neighbour_errors(self.judged, self.space, self.proxy, front)
        return ties_of(self.judged, self.manifest.quality, front, errors)

    def hypervolume(self) -> float:
        """Return the hypervolume of the front, in logarithms of the objectives."""
        return front_volume(self.judged, self.space.objectives, self.front_ids())

    def extend(self, evaluations: Evaluations, asks: Asks) -> Run:
        """Append evaluations to the record and return the longer run.

        Raises:
            RunError: the disk is full or cannot be written; what was there before is kept.
        """
        record.append(self.directory, evaluations, asks, start=len(self.evaluations))
        return self.longer(evaluations, asks)

    def longer(self, evaluations: Evaluations, asks: Asks, ahead: int = 0) -> Run:
        """Return the run with evaluations that its record holds already, in time that depends on these alone.

        About so many more may lie `ahead`.
        """
        archive = self.archive
        if archive is None or archive.evaluations is not self.evaluations:  # another run grew longer in it
            archive = Archive(self.evaluations, self.asks)
        archive.add(evaluations, asks, ahead)
        return replace(self, evaluations=archive.evaluations, asks=archive.asks, archive=archive)


def create(directory: Path, manifest: Manifest) -> Run:
    """Start a run in a new directory, or in one that an earlier start left before anything was recorded.

    Raises:
        RunError: the directory holds something already, or cannot be written.
    """
    refuse_taken(directory, manifest)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for parent in directory.parents[:2]:  # runs/ may be as new as the directory in it
            journal.settle(parent)
        (directory / record.EVALUATIONS).touch()
        with record.writing(directory):
            refuse_occupied(directory, manifest)  # again: another process may have been faster
            # This also waits for the names of both files.
            write_manifest(directory, manifest.changed(search_crc32=manifest.crc32()))
    except OSError as error:
        raise RunError(f"{directory}: cannot be written: {error.strerror}") from error
    return open_run(directory)


def open_run(directory: str | Path) -> Run:
    """Read a run from its directory, or from a URL that fsspec knows. A torn last line is left out.

    Raises:
        RunError: no run there, its record is damaged, or the URL cannot be reached.
    """
    return grown(*begun(fetched(directory)))


def begun(directory: Path) -> tuple[Run, Reader]:
    """Return a run of whose record nothing is read yet, and what reads it (see `grown`).

    Raises:
        RunError: no run there, or an input text does not fit its hash.
    """
    manifest = read_manifest(directory)
    space, technology = recorded_inputs(directory, manifest)
    names = [manifest.quality, *cost_metrics(technology)]
    reader = Reader(directory, space, names, checksums=manifest.checksums)
    return Run(directory, manifest, space, technology, *reader.none()), reader


def grown(run: Run, reader: Reader) -> Run:
    """Return the run with all that its files hold now, of which `reader` reads what it has not read before.

    Raises:
        RunError: the record is damaged.
    """
    run = replace(run, manifest=read_manifest(run.directory))  # the budget may have been raised
    again = remeasured.content(run.directory)  # first: of no more evaluations than the record has, if it grows now
    for part in reader.more():
        run = run.longer(*part, reader.ahead())
    return replace(run, again=remeasured.read(run.directory, again, len(run.evaluations), run.manifest.checksums))


def _refuse(error: ProxyError, _: ModelShape) -> None:
    raise error
