"""What every proxy must do, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.accuracy import Proxy, Quality, resolve
from codesign.design import Family, FloatArray, ModelShape
from codesign.errors import ProxyError
from codesign.parameters import total_parameters
from tests.accuracy.decoders import BASELINE, CHOICES, FAMILY, decoders


def error_by_size(shape: ModelShape) -> dict[str, FloatArray]:
    """A user's function at its simplest: one column."""
    return {"error": 1e6 / total_parameters(shape)}


def measured(shape: ModelShape) -> Quality:
    """A user's function that knows its error."""
    n = len(shape)
    return Quality("loss", np.log(shape.hidden), np.full(n, 0.3), shape.hidden > 700)


@dataclass(frozen=True)
class OwnProxy:
    """A user's proxy that is more than a function; `value` is what it answers. It need not use all it is given."""

    value: float = 2.0
    name: str = "own"
    reads: frozenset[str] = frozenset({"hidden"})

    def check(self, family: Family, choices: Mapping[str, tuple[int, ...]]) -> None:  # noqa: ARG002
        """See the protocol."""
        if 0 in choices["ffn"]:
            raise ProxyError("own: no")

    def predict(self, shape: ModelShape) -> Quality:
        """See the protocol."""
        n = len(shape)
        return Quality("loss", np.full(n, self.value), np.zeros(n), np.zeros(n, dtype=bool))

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Any = None) -> FloatArray:  # noqa: ARG002
        """See the protocol."""
        return np.zeros(len(shape))


# Each law runs once a proxy; a shared machine may be slow.
few = settings(max_examples=20, deadline=None)

PROXIES: dict[str, Any] = {
    "surrogate": "surrogate",
    "surrogate_txl": "surrogate_txl",
    "module:function": "tests.accuracy.test_proxy_contract:error_by_size",
    "callable": measured,
    "object": OwnProxy(),
}


@pytest.fixture(scope="module", params=list(PROXIES))
def proxy(request: pytest.FixtureRequest) -> Proxy:
    """Return each kind of proxy in turn."""
    return resolve(PROXIES[request.param])


def columns(quality: Quality) -> np.ndarray:
    """(n, 3) all columns as numbers."""
    return np.stack([quality.value, quality.log_standard_error, quality.extrapolated], axis=1)


@few
@given(shape=decoders())
def test_batch_equals_one_by_one(proxy: Proxy, shape: ModelShape) -> None:
    """A design's quality does not depend on the designs beside it."""
    alone = [columns(proxy.predict(shape.take(np.array([row])))) for row in range(len(shape))]
    np.testing.assert_allclose(columns(proxy.predict(shape)), np.concatenate(alone), rtol=1e-12)


@few
@given(shape=decoders(), data=st.data())
def test_permuted_designs_give_permuted_columns(proxy: Proxy, shape: ModelShape, data: st.DataObject) -> None:
    """The order of the designs is the order of the columns."""
    order = np.array(data.draw(st.permutations(range(len(shape)))))
    np.testing.assert_allclose(
        columns(proxy.predict(shape.take(order))), columns(proxy.predict(shape))[order], rtol=1e-12
    )


@few
@given(shape=decoders())
def test_columns_are_valid(proxy: Proxy, shape: ModelShape) -> None:
    """Values are finite and positive, errors are not negative, and all columns have one row a design."""
    quality = proxy.predict(shape)
    assert (len(shape), 3) == columns(quality).shape
    assert np.all(np.isfinite(quality.value) & (quality.value > 0))
    assert not np.any(quality.log_standard_error < 0)
    assert quality.extrapolated.dtype == np.bool_


@few
@given(shape=decoders())
def test_input_stays_as_it_was(proxy: Proxy, shape: ModelShape) -> None:
    """Predicting and comparing change no column of the shapes."""
    before = {f.name: np.copy(getattr(shape, f.name)) for f in fields(ModelShape) if f.name != "family"}
    proxy.predict(shape)
    proxy.compare(shape, BASELINE)
    for name, column in before.items():
        np.testing.assert_array_equal(getattr(shape, name), column)


@few
@given(shape=decoders())
def test_only_genes_that_are_read_matter(proxy: Proxy, shape: ModelShape) -> None:
    """Shapes equal in the genes that a proxy reads are predicted equal, whatever the rest is."""
    unread = {f.name for f in fields(ModelShape)} - proxy.reads - {"family"}
    changed = {name: getattr(shape, name) * 2 for name in unread if name in ("hidden", "ffn")}
    values = {f.name: getattr(shape, f.name) for f in fields(ModelShape)} | changed
    np.testing.assert_array_equal(columns(proxy.predict(shape)), columns(proxy.predict(ModelShape(**values))))


def test_case_study_is_accepted(proxy: Proxy) -> None:
    """No proxy refuses the case study's search space, and each judges its baseline."""
    proxy.check(FAMILY, CHOICES)
    assert proxy.predict(BASELINE).value > 0


def test_a_name_survives_a_resolve(proxy: Proxy) -> None:
    """Resolving a proxy again changes nothing that identifies it."""
    assert (proxy.name, proxy.reads) == (resolve(proxy).name, resolve(proxy).reads)


def test_function_is_named_by_its_place() -> None:
    """A callable is called after its module and qualified name, the same as where it is given by that name."""
    name = "tests.accuracy.test_proxy_contract:error_by_size"
    assert name == resolve(name).name
    assert resolve(measured).name.endswith("test_proxy_contract:measured")


def test_function_without_errors_gives_none() -> None:
    """A dict of values has neither an error nor an extrapolation mark, and its comparison has no error either."""
    quality = resolve(error_by_size).predict(BASELINE)
    assert quality.metric == "error"
    assert np.isnan(quality.log_standard_error).all()
    assert not quality.extrapolated.any()
    assert np.isnan(resolve(error_by_size).compare(BASELINE, BASELINE)).all()


def test_errors_of_a_function_are_independent() -> None:
    """Two measured values have the error of their ratio: the root of the sum of squares."""
    np.testing.assert_allclose([0.3 * np.sqrt(2)], resolve(measured).compare(BASELINE, BASELINE))
