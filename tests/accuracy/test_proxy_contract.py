"""What every proxy must do, and what is refused of a user's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codesign.accuracy import Proxy, Quality, resolve
from codesign.design import Family, FloatArray, ModelShape
from codesign.errors import InputError, ProxyError
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
    """No proxy refuses the case study's search space."""
    proxy.check(FAMILY, CHOICES)


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


def test_known_errors_are_not_measured_again() -> None:
    """A function is not called to compare designs whose errors are given."""

    def must_not_run(shape: ModelShape) -> Quality:
        raise AssertionError(shape)

    known = (np.array([0.3]), np.array([0.4]))
    np.testing.assert_allclose([0.5], resolve(must_not_run).compare(BASELINE, BASELINE, known))


def test_own_proxy_keeps_its_check() -> None:
    """A proxy object refuses what it says it cannot see."""
    with pytest.raises(ProxyError, match="own: no"):
        resolve(OwnProxy()).check(FAMILY, {**CHOICES, "ffn": (0, 768)})


def test_answers_of_an_own_proxy_are_validated() -> None:
    """Proxy objects are held to the same columns as functions."""
    with pytest.raises(ProxyError, match=r"'own'.*finite positive numbers, got nan for design 0 \(1 of 1"):
        resolve(OwnProxy(value=np.nan)).predict(BASELINE)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda n: {"e": np.ones(n + 1)}, r"column 'e': value: expected 1 numbers, one a design, got shape \(2,\)"),
        (lambda _: {"e": 1.0}, r"got shape \(\)"),
        (lambda n: {"e": np.full(n, np.inf)}, "expected finite positive numbers, got inf for design 0"),
        (lambda n: {"e": np.zeros(n)}, "expected finite positive numbers, got 0.0"),
        (lambda n: {"e": ["good"] * n}, "expected 1 numbers, one a design, got values of type <U4"),
        (lambda _: {"e": [[1.0, 2.0], [3.0]]}, "expected 1 numbers, one a design, got list"),
        (lambda n: {"e": [None] * n}, "got values of type object"),
        (lambda n: {"e": np.ones(n, dtype=bool)}, "got values of type bool"),
        (
            lambda n: {"e": np.ones(n), "f": np.ones(n)},
            "a dict of one column {metric: values}, got a dict of 2 columns",
        ),
        (lambda _: {}, "got a dict of 0 columns"),
        (lambda n: np.ones(n), "expected a Quality or a dict of one column {metric: values}, got ndarray"),
        (lambda _: None, "got NoneType"),
        (
            lambda n: Quality("e", np.ones(n), -np.ones(n), np.zeros(n, bool)),
            "log_standard_error: expected numbers >= 0",
        ),
        (lambda n: Quality("e", np.ones(n), np.ones(n), np.zeros(n)), "extrapolated: expected 1 booleans"),
    ],
)
def test_unusable_answers_are_refused(answer: Callable[[int], Any], message: str) -> None:
    """An answer that is not one positive number a design names the function, what was expected and what came."""

    def my_metric(shape: ModelShape) -> Any:
        return answer(len(shape))

    with pytest.raises(ProxyError, match=message) as refusal:
        resolve(my_metric).predict(BASELINE)
    assert "my_metric" in str(refusal.value)


def test_function_in_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module beside the user is found without being installed."""
    (tmp_path / "beside_the_user.py").write_text("def half(shape):\n    return {'error': shape.hidden / 2}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert resolve("beside_the_user:half").predict(BASELINE).value.tolist() == [384.0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:f", "module 'no_such_module' cannot be imported .*ModuleNotFoundError"),
        ("codesign.design:nothing", "codesign.design has no function 'nothing'; it has: .*ModelShape"),
        ("codesign.design:DATAFLOWS", "expected a function of a ModelShape or a Proxy, got tuple"),
        (":f", "expected module:function, such as my_proxies:perplexity"),
        ("codesign.design:", "expected module:function"),
    ],
)
def test_names_that_lead_nowhere_are_refused(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module or function that cannot be imported says which and why."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ProxyError, match=message):
        resolve(name)


def test_unknown_name_lists_the_known_ones() -> None:
    """A misspelt proxy is answered with all names, and how to give one of your own."""
    with pytest.raises(
        InputError, match=r"unknown proxy 'surogate'; known: module:function .*surrogate, surrogate_txl"
    ):
        resolve("surogate")


def test_neither_name_nor_function_is_refused() -> None:
    """A number is no proxy."""
    with pytest.raises(ProxyError, match="expected a function of a ModelShape or a Proxy, got int"):
        resolve(3)  # type: ignore[arg-type]
