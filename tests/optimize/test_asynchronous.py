"""Searches whose designs are recorded as their qualities come: nothing is lost, and what was asked can be replayed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codesign
from codesign.accuracy.protocol import Proxy
from codesign.evaluation import make_evaluator
from codesign.optimize import pools
from codesign.optimize.asynchronous import AHEAD
from codesign.optimize.plateau import stopped
from codesign.optimize.pool import Answer, InProcess
from codesign.optimize.steps import prepared
from codesign.run import Run

from .searches import record_of, restore, small_search

SIZE, BUDGET = 3, 45


class Shuffled(InProcess):
    """Gives some of the answers at a time, in any order."""

    size = SIZE

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(proxy)
        self._rng = np.random.default_rng(5)
        self._kept: list[tuple[int, Answer]] = []

    def answers(self, block: bool = True) -> list[tuple[int, Answer]]:
        """Give some."""
        while more := super().answers(block):
            self._kept += more
        self._rng.shuffle(self._kept)  # type: ignore[arg-type]
        count = int(self._rng.integers(1, 4))
        given, self._kept = self._kept[:count], self._kept[count:]
        return given


@pytest.fixture(autouse=True)
def _shuffled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches measure with a pool that shuffles."""

    @contextmanager
    def opened(where: object, proxy: Proxy, *_: object) -> Iterator[Shuffled]:
        yield Shuffled(proxy)

    monkeypatch.setattr(pools, "opened", opened)


def searched(directory: Path, algorithm: str, **options: Any) -> Run:
    """An asynchronous search."""
    return small_search(directory, budget=BUDGET, order="async", algorithm=algorithm, **options)


@pytest.mark.parametrize("algorithm", ["bilevel", "nsga2", "regularised", "survey", "random", "sobol", "sms_emoa"])
def test_what_was_asked_follows_from_what_was_told(algorithm: str, tmp_path: Path) -> None:
    """Told in the recorded order, and asked whenever it was asked, an algorithm asks for the recorded designs."""
    run = searched(tmp_path / "run", algorithm)
    assert sorted(run.asks.order) == list(range(BUDGET))
    assert (np.diff(run.asks.order) < 0).any()  # the answers were indeed shuffled
    asked, _ = prepared(run.manifest, make_evaluator(run.space, run.technology, run.proxy))
    by_order = np.argsort(run.asks.order)
    after, genomes = run.asks.after[by_order], run.evaluations.genomes[by_order]
    told = 0
    for now in np.unique(after).tolist():
        asked.tell(run.evaluations.take(slice(told, now)))
        rows, told = np.flatnonzero(after == now), now
        room, under_way = BUDGET - int(rows[0]), int(rows[0]) - now
        again = asked.ask(min(room, AHEAD * SIZE - under_way))[:room]
        np.testing.assert_array_equal(again, genomes[rows])


@pytest.mark.parametrize(("algorithm", "lines"), [("bilevel", 1), ("bilevel", 30), ("nsga2", 0), ("nsga2", 44)])
def test_an_interrupted_search_goes_on_from_what_is_recorded(algorithm: str, lines: int, tmp_path: Path) -> None:
    """What was recorded stays, the budget is used, and no design is evaluated twice."""
    searched(tmp_path / "run", algorithm)
    record = record_of(tmp_path / "run")
    kept = b"".join(record["evaluations.jsonl"].splitlines(keepends=True)[:lines])
    directory = restore(tmp_path / "cut", record | {"evaluations.jsonl": kept + b'{"id":'})
    run = codesign.resume(directory)
    assert record_of(directory)["evaluations.jsonl"].startswith(kept)
    assert len(np.unique(run.evaluations.genomes, axis=0)) == len(run.evaluations) == BUDGET
    assert len(np.unique(run.asks.order)) == BUDGET


def test_a_search_that_ended_at_a_plateau_does_not_grow(tmp_path: Path) -> None:
    """However often it is resumed; by another rule it goes on."""
    rule = {"patience": 20, "plateau": 0.3}
    run = small_search(tmp_path / "run", budget=400, order="async", **rule)
    record = record_of(tmp_path / "run")
    assert len(run.evaluations) < 400
    assert stopped(run).startswith("stopped: ")
    for _ in range(3):
        codesign.resume(tmp_path / "run")
        assert record_of(tmp_path / "run") == record
    longer = len(run.evaluations) + 30
    assert len(codesign.resume(tmp_path / "run", patience=0, budget=longer).evaluations) == longer
