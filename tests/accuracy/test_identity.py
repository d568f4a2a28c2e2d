"""What makes the answers of a proxy."""

from __future__ import annotations

import importlib
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.accuracy.identity import digest, identity_of
from codesign.accuracy.own import adopted
from codesign.accuracy.proxy import PUBLISHED, SUPERNETS, SURROGATES, resolve, shipped_network
from codesign.accuracy.surrogate import Surrogate, read_fit
from codesign.design import ModelShape
from codesign.elastic.saved import CARD
from codesign.errors import ProxyError
from tests.accuracy.test_proxy_contract import OwnProxy

SHIPPED = [*SURROGATES, *SUPERNETS, *PUBLISHED, "score:synflow", "score:flops", "trained:sotu_study", "supernet@64"]

MODULE = "FACTOR = {factor}\ndef loss(shape):\n    return {{'loss': FACTOR * shape.hidden * 1.0}}\n"


def test_shipped_proxies_have_identities_of_their_own() -> None:
    """Each has one, the same each time, and no two have the same."""
    found = [identity_of(resolve(name)) for name in SHIPPED]
    assert found == [identity_of(resolve(name)) for name in SHIPPED]
    assert None not in found
    assert len(set(found)) == len(SHIPPED)


def test_a_network_is_known_by_its_files_and_not_by_its_place(tmp_path: Path) -> None:
    """A copy is the same proxy, one of other weights or card another, one whose text nobody knows none."""
    copy = tmp_path / "copy"
    shutil.copytree(shipped_network("supernet"), copy)
    shipped, copied = resolve("supernet"), f"supernet:{copy}"
    assert identity_of(resolve(copied)) == identity_of(shipped)
    card = (copy / CARD).read_text()
    (copy / CARD).write_text(card.replace('"seed": ', '"seed": 1'))
    assert identity_of(resolve(copied)) not in (identity_of(shipped), None)
    (copy / CARD).write_text(re.sub(r'"text_sha256": "\w+"', '"text_sha256": ""', card))
    assert identity_of(resolve(copied)) is None


def test_coefficients_make_the_identity_of_a_fit() -> None:
    """A surrogate whose last coefficient differs in its last bit is another one."""
    fit = read_fit("gpt2_wt103")
    other = replace_last(fit)
    assert Surrogate("surrogate", fit).identity() != Surrogate("surrogate", other).identity()


def replace_last(fit: Any) -> Any:
    """The fit with the next double as its last coefficient."""
    import msgspec

    last = float(np.nextafter(fit.coefficients[-1], np.inf))
    return msgspec.structs.replace(fit, coefficients=(*fit.coefficients[:-1], last))


def test_a_function_is_known_by_its_name_and_the_source_of_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by name or given itself it is the same; after an edit of its module it is another."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "identity_of_mine.py").write_text(MODULE.format(factor=1))
    named = resolve("identity_of_mine:loss")
    module = importlib.import_module("identity_of_mine")
    first = identity_of(named)
    assert first is not None
    assert identity_of(adopted(module.loss)) == first
    (tmp_path / "identity_of_mine.py").write_text(MODULE.format(factor=2))
    assert identity_of(named) not in (first, None)


def test_what_no_name_leads_to_has_no_identity() -> None:
    """Lambdas, functions made by a call, partial ones, callable objects and silent proxy objects: nobody knows."""

    def inner(shape: ModelShape) -> dict[str, Any]:
        return {"loss": shape.hidden * 1.0}

    class Callable:
        def __call__(self, shape: ModelShape) -> dict[str, Any]:
            return inner(shape)

    for one in (lambda shape: inner(shape), inner, partial(inner), Callable(), OwnProxy()):
        assert identity_of(resolve(one)) is None


class Saying(OwnProxy):
    """A user's proxy that says what makes its answers."""

    says: Any = "mine"

    def identity(self) -> Any:
        """See `Identified`."""
        return self.says


class Other(Saying):
    """Another kind that says the same."""


def test_own_proxies_say_what_makes_their_answers() -> None:
    """Two kinds that say the same are told apart; what is no text is refused."""
    assert identity_of(resolve(Saying())) == identity_of(resolve(Saying()))
    assert identity_of(resolve(Saying())) not in (identity_of(resolve(Other())), None)
    wrong = Saying()
    wrong.says = 3
    with pytest.raises(ProxyError, match="identity: expected a text or None, got int"):
        identity_of(resolve(wrong))


def test_texts_are_told_apart_from_the_same_letters_cut_elsewhere() -> None:
    """The hash of several texts says where each ends."""
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ab") == digest(b"ab")
