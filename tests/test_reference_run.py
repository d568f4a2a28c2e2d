"""The committed run: what the README's search finds, so that a change of any figure is seen in review."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import codesign
from codesign.accuracy.proxy import resolve
from codesign.evaluation import make_evaluator
from codesign.optimize.bilevel import FIRST

REFERENCE = Path(__file__).parent.parent / "runs" / "reference"


def test_reference_run_opens_and_answers() -> None:
    """The committed run has a front of at least 20 designs over a decade of EDP, and gains with intervals."""
    run = codesign.open_run(REFERENCE)
    front = run.front()
    assert len(front) >= 20
    assert front["edp_js"].max() / front["edp_js"].min() >= 10
    for gain in run.gains():
        assert gain.factor_low <= gain.factor <= gain.factor_high
        assert gain.change_low <= gain.change <= min(gain.change_high, gain.budget)


def test_what_was_found_is_judged_the_same() -> None:
    """Today's code gives every design of the committed run the same metrics (`make reference` replaces it)."""
    kept = codesign.open_run(REFERENCE)
    evaluator = make_evaluator(kept.space, kept.technology, resolve(kept.manifest.proxy), kept.manifest.fidelity)
    again = evaluator(kept.evaluations.genomes)
    for name, column in kept.evaluations.metrics.items():
        np.testing.assert_allclose(again.metrics[name], column, rtol=1e-9, err_msg=name)


def test_the_same_search_finds_as_much(tmp_path: Path) -> None:
    """Searching again finds the committed hypervolume to a thousandth.

    Which shapes are measured after the first ones depends on the last bits of the linear algebra at hand, so another
    processor may find others.
    """
    kept = codesign.open_run(REFERENCE)
    names = (kept.manifest.space.name, kept.manifest.cost_model.name)
    again = codesign.search(*names, budget=kept.manifest.budget, directory=tmp_path / "again")
    np.testing.assert_array_equal(again.evaluations.genomes[:FIRST], kept.evaluations.genomes[:FIRST])
    assert again.hypervolume() == pytest.approx(kept.hypervolume(), rel=1e-3)
