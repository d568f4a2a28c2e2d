"""The committed run: what the README's search finds, so that a change of any figure is seen in review."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np
import pytest

import codesign

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


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="the path of a search depends on the last bits of the math library; the reference was made on Linux x86-64",
)
def test_the_same_search_finds_the_same(tmp_path: Path) -> None:
    """Today's code makes the committed run again (`make reference` replaces it; review the difference)."""
    kept = codesign.open_run(REFERENCE)
    manifest = kept.manifest
    again = codesign.search(
        manifest.space.name,
        manifest.cost_model.name,
        algorithm=manifest.algorithm,
        budget=manifest.budget,
        population=manifest.population,
        seed=manifest.seed,
        directory=tmp_path / "again",
    )
    assert again.space.genes == kept.space.genes
    np.testing.assert_array_equal(again.evaluations.genomes, kept.evaluations.genomes)
    for name, column in kept.evaluations.metrics.items():
        np.testing.assert_allclose(again.evaluations.metrics[name], column, rtol=1e-9, err_msg=name)
