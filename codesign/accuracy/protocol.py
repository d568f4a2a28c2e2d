"""What every accuracy proxy is: it predicts the quality of shapes, with its error and where it extrapolates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from codesign.design import LAYER_FIELDS, BoolArray, Family, FloatArray, ModelShape
from codesign.errors import ProxyError
from codesign.layer_fields import GROUPED

# Everything a shape may vary; what a function reads is not known, so its cache key is all of it.
SHAPE_GENES = frozenset(("layers", "hidden", *LAYER_FIELDS, *GROUPED))

# Log standard errors of n shapes (n,) and of the baseline that they are compared with (1,).
Errors = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class Quality:
    """The predicted quality of n shapes. Lower is better."""

    metric: str
    """Name of the column that users see: "perplexity", "error", or any other."""
    value: FloatArray  # (n,) finite and positive
    log_standard_error: FloatArray  # (n,) standard error of ln(value); NaN where the proxy gives none
    extrapolated: BoolArray  # (n,) True outside what the proxy was fitted or measured on


@runtime_checkable
class Proxy(Protocol):
    """What every proxy can do."""

    @property
    def name(self) -> str:
        """The name that `resolve` finds it by; part of the key under which predictions are kept."""

    @property
    def reads(self) -> frozenset[str]:
        """The fields of a model shape that a prediction depends on: shapes equal in these need one prediction."""

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """Refuse a search space that varies what this proxy cannot see.

        Args:
            family: the family that all shapes of the space share.
            choices: all values that a gene can take anywhere (layers, hidden, heads, head_width, ffn; kv_heads and
                value_width where they do not follow heads and head_width; optional ones where the space has them).

        Raises:
            ProxyError: names the genes and values, and what to use instead.
        """

    def predict(self, shape: ModelShape) -> Quality:
        """Predict the quality of n shapes."""

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Errors | None = None) -> FloatArray:
        """Return the (n,) standard error of ln(value / value of the baseline); NaN where there is none.

        Args:
            shape: n shapes.
            baseline: one shape. Errors that it shares with a shape cancel, so this can be smaller than both errors
                taken together.
            errors: (n,) and (1,) log standard errors of shape and baseline, where they are known already: a proxy
                that measures need not measure again.
        """


@runtime_checkable
class Laddered(Protocol):
    """What a proxy has besides that can measure more dearly: its next and last rung."""

    def full(self) -> Proxy | None:
        """Return the proxy that measures the same metric at the full budget; None where this one does already.

        One that measures dearly at its only budget may return itself: its answers are taken again, and the noise within
        the front is recorded, so that reading a run measures nothing.
        """


def full_rung(proxy: Proxy) -> Proxy | None:
    """Return the proxy's dearer rung, if it has one.

    Raises:
        ProxyError: what `full` returns is no proxy.
    """
    found = proxy.full() if isinstance(proxy, Laddered) else None
    if found is not None and not isinstance(found, Proxy):
        raise ProxyError(f"proxy {proxy.name!r}: full: expected a proxy or None, got {type(found).__name__}")
    return found
