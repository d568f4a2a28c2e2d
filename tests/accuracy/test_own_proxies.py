"""What is made of a user's own proxy, and what is refused of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.accuracy import Quality, resolve
from codesign.design import ModelShape
from codesign.errors import InputError, ProxyError
from tests.accuracy.decoders import BASELINE, CHOICES, FAMILY
from tests.accuracy.test_proxy_contract import OwnProxy


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
        InputError, match=r"unknown proxy 'surogate'; known: fitted:FILE .*module:function .*surrogate, surrogate_txl"
    ):
        resolve("surogate")


def test_neither_name_nor_function_is_refused() -> None:
    """A number is no proxy."""
    with pytest.raises(ProxyError, match="expected a function of a ModelShape or a Proxy, got int"):
        resolve(3)  # type: ignore[arg-type]
