"""Proxies whose answers are checked before anybody believes them: any object of the protocol, or a user's function."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from codesign.accuracy.identity import digest, function_identity, identity_of
from codesign.accuracy.protocol import SHAPE_GENES, Errors, Proxy, Quality
from codesign.accuracy.wrapping import Wrapping
from codesign.design import BoolArray, Family, FloatArray, ModelShape
from codesign.errors import CodesignError, ProxyError


def validated(quality: Quality, count: int, source: str) -> Quality:
    """Return the quality as (count,) columns of plain numbers, or refuse it.

    Raises:
        ProxyError: names `source`, the column, what was expected and what came.
    """
    where = f"proxy {source!r}: column {quality.metric!r}"
    value = _column(quality.value, count, "numbers", f"{where}: value").astype(np.float64)
    error = _column(quality.log_standard_error, count, "numbers", f"{where}: log_standard_error").astype(np.float64)
    extrapolated = _column(quality.extrapolated, count, "booleans", f"{where}: extrapolated").astype(np.bool_)
    _refuse(~(np.isfinite(value) & (value > 0)), value, f"{where}: value: expected finite positive numbers")
    # NaN means that there is no error estimate; it passes both comparisons.
    bad_error = (error < 0) | np.isinf(error)
    _refuse(bad_error, error, f"{where}: log_standard_error: expected numbers >= 0, or NaN for none")
    return Quality(quality.metric, value, error, extrapolated)


@dataclass(frozen=True)
class Checked(Wrapping):
    """Any proxy, with its predictions validated."""

    def predict(self, shape: ModelShape) -> Quality:
        """See `Proxy`; refuses columns of the wrong length or with values that are not finite and positive."""
        quality = _asked(self.name, self.proxy.predict, shape)
        return validated(quality, len(shape), self.name)

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Errors | None = None) -> FloatArray:
        """See `Proxy`; refuses a column of the wrong length or with negative or infinite values."""
        where = f"proxy {self.name!r}: compare"
        error = _asked(self.name, self.proxy.compare, shape, baseline, errors)
        column = _column(error, len(shape), "numbers", where).astype(np.float64)
        _refuse((column < 0) | np.isinf(column), column, f"{where}: expected numbers >= 0, or NaN for none")
        return column

    def around(self, proxy: Proxy) -> Checked:
        """See `Wrapping`."""
        return Checked(proxy)

    def identity(self) -> str | None:
        """See `identity_of`; two kinds of proxies that say the same of themselves are told apart."""
        found, kind = _asked(self.name, identity_of, self.proxy), type(self.proxy)
        return None if found is None else digest(f"{kind.__module__}:{kind.__qualname__}", found)


@dataclass(frozen=True)
class FunctionProxy:
    """A user's function of a model shape. It is taken to see everything: what it cannot see it has to refuse itself."""

    name: str
    function: Callable[[ModelShape], Any]
    """Returns a `Quality`, or a dict of one column {metric: (n,) values}; lower is better."""
    reads: frozenset[str] = SHAPE_GENES

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """Accept every space: nobody but its author knows what the function cannot see."""

    def predict(self, shape: ModelShape) -> Quality:
        """Call the function; a dict carries no error estimate and no extrapolation mark."""
        answer = self.function(shape)
        if isinstance(answer, Quality):
            return answer
        if not isinstance(answer, dict) or len(answer) != 1:
            got = f"a dict of {len(answer)} columns" if isinstance(answer, dict) else type(answer).__name__
            expected = "a Quality or a dict of one column {metric: values}"
            raise ProxyError(f"proxy {self.name!r}: expected {expected}, got {got}")
        ((metric, values),) = answer.items()
        return Quality(str(metric), values, np.full(len(shape), np.nan), np.zeros(len(shape), np.bool_))

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Errors | None = None) -> FloatArray:
        """Take both errors as independent: sqrt(error² + baseline error²). Calls the function if they are not known."""
        error, baseline_error = errors or (self._error(shape), self._error(baseline))
        return np.sqrt(error**2 + baseline_error**2)

    def identity(self) -> str | None:
        """See `function_identity`."""
        return function_identity(self.name, self.function)

    def _error(self, shape: ModelShape) -> FloatArray:
        return validated(self.predict(shape), len(shape), self.name).log_standard_error


def _asked(name: str, question: Callable[..., Any], *arguments: Any) -> Any:
    """Ask a proxy; whatever a user's own raises becomes one message that says where."""
    try:
        return question(*arguments)
    except CodesignError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise ProxyError(
            f"proxy {name!r} raised {type(error).__name__}: {error} ({place.filename}, line {place.lineno})"
        ) from error


def _column(
    values: Any, count: int, kind: Literal["numbers", "booleans"], where: str
) -> np.ndarray[Any, np.dtype[Any]]:
    expected = f"expected {count} {kind}, one a design"
    try:
        column = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ProxyError(f"{where}: {expected}, got {type(values).__name__}: {error}") from None
    if column.dtype.kind not in {"numbers": "iuf", "booleans": "b"}[kind]:
        raise ProxyError(f"{where}: {expected}, got values of type {column.dtype}")
    if column.shape != (count,):
        raise ProxyError(f"{where}: {expected}, got shape {column.shape}")
    return column


def _refuse(bad: BoolArray, values: FloatArray, message: str) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        raise ProxyError(
            f"{message}, got {values[first]} for design {first} ({int(bad.sum())} of {len(bad)} are wrong)"
        )
