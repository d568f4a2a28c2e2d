"""A surrogate fitted to measured sub-networks, as a proxy: `fitted:FILE`, where `codesign fit` wrote the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from codesign.accuracy.fitted import Fitted
from codesign.accuracy.fitted_features import features_of
from codesign.accuracy.fitted_file import Measured, read, read_measured
from codesign.accuracy.fitted_genes import unknown_values
from codesign.accuracy.identity import digest
from codesign.accuracy.proxy import FITTED_AT, SHAPE_GENES, Errors, Quality
from codesign.design import Family, FloatArray, ModelShape
from codesign.errors import ProxyError
from codesign.genes import Gene


@dataclass(frozen=True)
class FittedProxy:
    """Sizes and layout of a shape, or these and its genes, in; quality and its standard error out."""

    path: Path
    reads: frozenset[str] = SHAPE_GENES

    @property
    def name(self) -> str:
        """See `Proxy`."""
        return f"{FITTED_AT}{self.path}"

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """Refuse other families than the measured one, and fields or values that the fit has no column for.

        Raises:
            ProxyError: names the field, what was measured and what the space wants.
        """
        measured = self.measured.family
        for name in family.__struct_fields__:
            if getattr(family, name) != getattr(measured, name):
                raise self._refusal(f"family.{name} = {getattr(family, name)!r}; measured: {getattr(measured, name)!r}")
        if self.measured.genes:
            self._check_genes(choices)
        for name, values in choices.items():
            if len(values) > 1 and name not in self.measured.varied:
                raise self._refusal(f"{name}, which varies; measured shapes vary {', '.join(self.measured.varied)}")

    def predict(self, shape: ModelShape) -> Quality:
        """Predict n shapes; one beyond the fitted range of any column is marked as extrapolated."""
        features = features_of(shape, self._genes)
        logs, error = self.fitted.predict(features)
        outside = self.fitted.outside(features) | unknown_values(shape, self._genes)
        return Quality(self.measured.metric, np.exp(logs), error, outside)

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Errors | None = None) -> FloatArray:
        """Take both errors as independent; what two alike shapes share is not known, so this is an upper bound."""
        error, other = errors or (self._error(shape), self._error(baseline))
        return np.sqrt(error**2 + other**2)

    def identity(self) -> str:
        """Return the hash of the file.

        Raises:
            ProxyError: it cannot be read.
        """
        try:
            return digest(self.path.read_bytes())
        except OSError as error:
            raise ProxyError(f"proxy {self.name!r}: {self.path}: cannot be read: {error.strerror}") from None

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

    @cached_property
    def _genes(self) -> tuple[Gene, ...]:
        return tuple(Gene(gene.field, gene.layer, gene.values, ordered=True) for gene in self.measured.genes)

    def _check_genes(self, choices: Mapping[str, tuple[float, ...]]) -> None:
        """A column of a gene says nothing of values that the gene did not have: each must be among them."""
        known, space = self.measured.choices, self.measured.space
        for name in sorted(known.keys() | choices.keys()):
            if name not in known or name not in choices:
                has, lacks = ("this space", f"space {space}") if name in choices else (f"space {space}", "this space")
                raise self._refusal(f"genes of another space: {has} has {name}, {lacks} has none")
            if other := sorted(set(choices[name]) - set(known[name])):
                raise self._refusal(f"genes of another space: {name} can be {_listed(other)}; its genes are those of "
                                    f"space {space}, where {name} is {_listed(known[name])}")  # fmt: skip

    def _error(self, shape: ModelShape) -> FloatArray:
        return self.predict(shape).log_standard_error

    def _refusal(self, what: str) -> ProxyError:
        return ProxyError(f"proxy {self.name!r} cannot see {what}; use a proxy that measures, or fit it to such shapes")


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
