"""`codesign fit`: a surrogate fitted to what runs have measured, in a file that `--proxy fitted:FILE` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codesign.accuracy.fitted import Fitted, Method, fit
from codesign.accuracy.fitted_features import shape_features
from codesign.accuracy.fitted_file import Measured, save
from codesign.accuracy.memory import Remembering
from codesign.comparison import check_comparable
from codesign.design import ModelShape
from codesign.errors import InputError
from codesign.run import Run


def fit_runs(runs: Sequence[Run], path: Path, method: Method = "auto") -> Fitted:
    """Fit a surrogate to the distinct shapes that runs of one space have measured, and write it.

    The quality is that of the search, the same text for all shapes, not that of the full budget.

    Args:
        runs: with the same search space, proxy and scenario.
        path: of the .npz file; one that is there is replaced.
        method: see `codesign.accuracy.fitted`.

    Raises:
        InputError: runs that do not compare or are of several spaces, or too few shapes; nothing is written.
    """
    check_comparable(runs)
    space = runs[0].space
    for run in runs[1:]:
        if run.manifest.space.sha256 != runs[0].manifest.space.sha256:
            raise InputError(f"{run.directory}: search space: expected that of {runs[0].directory}, got another")
    genomes = np.concatenate([run.evaluations.genomes for run in runs])
    values = np.concatenate([run.evaluations.metrics[run.manifest.quality] for run in runs])
    shapes: ModelShape = space.decode(genomes).shape
    first = Remembering(runs[0].proxy).first_rows(shapes)
    fitted = fit(shape_features(shapes.take(first)), np.log(values[first]), method)
    varied = tuple(name for name, choices in space.choices().items() if len(choices) > 1)
    save(fitted, path, Measured(metric=runs[0].manifest.quality, family=space.family, varied=varied))
    return fitted
