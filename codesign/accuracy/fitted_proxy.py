"""A surrogate fitted to measured sub-networks, as a proxy: `fitted:FILE`, where `codesign fit` wrote the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from codesign.accuracy.fitted import Fitted
from codesign.accuracy.fitted_features import shape_features
from codesign.accuracy.fitted_file import Measured, read, read_measured
from codesign.accuracy.proxy import FITTED_AT, SHAPE_GENES, Errors, Quality
from codesign.design import Family, FloatArray, ModelShape
from codesign.errors import ProxyError


@dataclass(frozen=True)
class FittedProxy:
    """Sizes and layout of a shape in, quality and its standard error out."""

    path: Path
    reads: frozenset[str] = SHAPE_GENES

    @property
    def name(self) -> str:
        """See `Proxy`."""
        return f"{FITTED_AT}{self.path}"

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """Refuse other families than the measured one, and fields that the fit has no column for.

        Raises:
            ProxyError: names the field, what was measured and what the space wants.
        """
        measured = self.measured.family
        for name in family.__struct_fields__:
            if getattr(family, name) != getattr(measured, name):
                raise self._refusal(f"family.{name} = {getattr(family, name)!r}; measured: {getattr(measured, name)!r}")
        for name, values in choices.items():
            if len(values) > 1 and name not in self.measured.varied:
                raise self._refusal(f"{name}, which varies; measured shapes vary {', '.join(self.measured.varied)}")

    def predict(self, shape: ModelShape) -> Quality:
        """Predict n shapes; one beyond the fitted range of any column is marked as extrapolated."""
        features = shape_features(shape)
        logs, error = self.fitted.predict(features)
        return Quality(self.measured.metric, np.exp(logs), error, self.fitted.outside(features))

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Errors | None = None) -> FloatArray:
        """Take both errors as independent; what two alike shapes share is not known, so this is an upper bound."""
        error, other = errors or (self._error(shape), self._error(baseline))
        return np.sqrt(error**2 + other**2)

    @cached_property
    def fitted(self) -> Fitted:
        """The surrogate."""
        return read(self.path)

    @cached_property
    def measured(self) -> Measured:
        """What it was fitted to.

        Raises:
            ProxyError: the file does not say.
        """
        found = read_measured(self.path)
        if found is None:
            raise ProxyError(f"proxy {self.name!r}: expected what was measured; write the file with codesign fit")
        return found

    def _error(self, shape: ModelShape) -> FloatArray:
        return self.predict(shape).log_standard_error

    def _refusal(self, what: str) -> ProxyError:
        return ProxyError(f"proxy {self.name!r} cannot see {what}; use a proxy that measures, or fit it to such shapes")
