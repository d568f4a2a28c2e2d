"""A proxy around another one: what `Checked`, `Cached` and `Remembering` have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from codesign.accuracy.identity import identity_of
from codesign.accuracy.protocol import Errors, Proxy, Quality, full_rung
from codesign.design import Family, FloatArray, ModelShape


@dataclass(frozen=True)
class Wrapping(ABC):
    """Another proxy, to which everything is passed on that a subclass does not do itself."""

    proxy: Proxy

    @property
    def name(self) -> str:
        """See `Proxy`."""
        return self.proxy.name

    @property
    def reads(self) -> frozenset[str]:
        """See `Proxy`."""
        return self.proxy.reads

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """See `Proxy`."""
        self.proxy.check(family, choices)

    @abstractmethod
    def predict(self, shape: ModelShape) -> Quality:
        """See `Proxy`."""

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Errors | None = None) -> FloatArray:
        """See `Proxy`."""
        return self.proxy.compare(shape, baseline, errors)

    def full(self) -> Proxy | None:
        """See `Laddered`; the dearer rung is wrapped in the same way."""
        dearer = full_rung(self.proxy)
        return None if dearer is None else self.around(dearer)

    @abstractmethod
    def around(self, proxy: Proxy) -> Proxy:
        """Wrap another rung."""

    def identity(self) -> str | None:
        """See `identity_of`."""
        return identity_of(self.proxy)
