"""Answers are shared by all that ask the same of the same proxy, and by nobody else."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import codesign
from codesign.accuracy import cache
from codesign.accuracy.cache import Cached, cache_directory, cached, keys_of, uncached
from codesign.accuracy.protocol import SHAPE_GENES, Errors, Quality
from codesign.accuracy.proxy import resolve
from codesign.design import FloatArray, ModelShape
from codesign.errors import ProxyError
from codesign.space import SearchSpace
from codesign.space_file import read_space
from tests.accuracy.test_memory import rows
from tests.accuracy.test_proxy_contract import OwnProxy
from tests.optimize.searches import record_of, small_search

SPACE = read_space("tiny").content


@pytest.fixture(autouse=True)
def _all_is_worth_keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of tests take no time; how long they took is not what these tests are about."""
    monkeypatch.setattr(cache, "WORTH_S", 0.0)


@dataclass(frozen=True)
class Dear(OwnProxy):
    """A proxy with an identity and a dearer rung, that writes down what it is asked."""

    reads: frozenset[str] = frozenset({"layers", "hidden", "heads", "ffn"})
    says: str = "dear"
    asked: list[tuple[str, int]] = field(default_factory=list)

    def identity(self) -> str:
        """See `Identified`."""
        return self.says

    def predict(self, shape: ModelShape) -> Quality:
        """Something that differs for different shapes; 64 wide ones may fail."""
        self.asked.append((self.says, len(shape)))
        if self.value < 0 and (shape.hidden == 64).any():
            raise ProxyError("cannot measure 64")
        value = 100 / np.log(shape.hidden + shape.ffn.sum(axis=(1, 2)) / 7 + shape.heads[:, 0, 0] / 3)
        error = np.where(shape.hidden > 64, value / 1000, np.nan)
        return Quality("perplexity", value + len(self.says), error, shape.hidden > 64)

    def compare(self, shape: ModelShape, baseline: ModelShape, errors: Errors | None = None) -> FloatArray:  # noqa: ARG002
        """The distance of the widths."""
        self.asked.append(("compare", len(shape)))
        return np.abs(shape.hidden - baseline.hidden) / 1000 + len(self.says) / 100

    def full(self) -> Dear | None:
        """See `Laddered`."""
        return None if self.says == "dearest" else replace(self, says="dearest")

    def total(self) -> int:
        """How many shapes were asked for."""
        return sum(count for _, count in self.asked)


def shapes(seed: int, count: int = 30, space: SearchSpace = SPACE) -> ModelShape:
    """Random shapes."""
    return space.decode(space.sample(np.random.default_rng(seed), count)).shape


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_are_those_of_the_proxy_and_are_asked_for_once(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Over two processes with overlapping shapes, answers are equal to the last bit and no shape is measured twice."""
    directory, first, second = tmp_path_factory.mktemp("cache"), Dear(), Dear()
    both = shapes(seed, 60)
    one = both.take(slice(0, 30))
    for proxy, shape in ((first, one), (second, both), (second, both)):
        kept = Cached(resolve(proxy), directory)
        direct = Dear()
        assert str(rows(kept.predict(shape))) == str(rows(direct.predict(shape)))
        baseline = shape.take(slice(3, 4))
        np.testing.assert_array_equal(kept.compare(shape, baseline), direct.compare(shape, baseline))
    known = set(keys_of(one, Dear().reads))
    new = sum(key not in known for key in keys_of(both, Dear().reads))
    assert second.asked == ([("dear", new), ("compare", new)] if new else [])


def test_only_what_is_read_matters(tmp_path: Path) -> None:
    """Shapes equal in the fields that are read share an answer; unread fields and the order of asking do not matter."""
    one = shapes(1)
    other = replace(one, kv_heads=one.kv_heads + 1)
    assert keys_of(one, Dear().reads) == keys_of(other, Dear().reads)
    assert set(keys_of(one, SHAPE_GENES)).isdisjoint(keys_of(other, SHAPE_GENES))
    first, second = Dear(), Dear()
    Cached(first, tmp_path).predict(one)
    Cached(second, tmp_path).predict(other.take(np.arange(len(one))[::-1]))
    assert second.asked == []


def test_a_shape_is_the_same_in_a_space_of_deeper_ones_and_another_in_another_family() -> None:
    """Layers that a shape does not have are not part of it; the family is."""
    one = shapes(2)
    padding = ((0, 0), (0, 0), (0, 3))
    deeper = replace(one, **{name: np.pad(getattr(one, name), padding) for name in codesign.design.LAYER_FIELDS})
    assert keys_of(one, SHAPE_GENES) == keys_of(deeper, SHAPE_GENES)
    assert len(set(keys_of(one, SHAPE_GENES))) == len(set(map(tuple, numbers(one))))
    other = replace(one, family=msgspec.structs.replace(one.family, norm="rmsnorm"))
    assert set(keys_of(one, SHAPE_GENES)).isdisjoint(keys_of(other, SHAPE_GENES))


def numbers(shape: ModelShape) -> list[list[int]]:
    """All numbers of each shape."""
    columns = [
        shape.layers,
        shape.hidden[:, None],
        *(c.reshape(len(shape), -1) for c in shape.layer_columns().values()),
    ]
    return np.concatenate(columns, axis=1).tolist()


def test_another_identity_is_asked_anew(tmp_path: Path) -> None:
    """What another network said, or the same on more text, is no answer of this one; each keeps its own."""
    for says in ("dear", "other", "dearest"):
        proxy = Dear(says=says)
        for _ in range(2):
            found = Cached(resolve(proxy), tmp_path).predict(shapes(1))
            assert str(rows(found)) == str(rows(Dear(says=says).predict(shapes(1))))
        assert proxy.total() == 30
    assert len(list(tmp_path.iterdir())) == 3


def test_a_copy_in_another_process_reads_for_itself(tmp_path: Path) -> None:
    """What is sent to a worker is the proxy and the place, not all that was read."""
    kept = Cached(resolve(Dear()), tmp_path)
    size = len(pickle.dumps(kept))
    kept.predict(shapes(1))
    copy = pickle.loads(pickle.dumps(kept))
    assert len(pickle.dumps(Cached(resolve(Dear()), tmp_path))) == size
    assert "answers" not in vars(copy)
    assert str(rows(copy.predict(shapes(1)))) == str(rows(kept.predict(shapes(1))))


def test_failures_are_not_kept(tmp_path: Path) -> None:
    """A shape that could not be measured is asked for again; what was measured before stays."""
    broken, mended = Dear(value=-1.0), Dear()
    wide = shapes(1).take(np.flatnonzero(shapes(1).hidden > 64))
    Cached(broken, tmp_path).predict(wide)
    with pytest.raises(ProxyError):
        Cached(broken, tmp_path).predict(shapes(1))
    Cached(mended, tmp_path).predict(shapes(1))
    assert mended.total() == 30 - len(wide)


def test_what_is_cheap_or_unknown_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equations, functions without a name, answers faster than WORTH_S, and any without a directory."""
    for proxy in ("surrogate", "published_mnli"):
        assert cached(resolve(proxy), tmp_path).name == proxy
        assert not isinstance(cached(resolve(proxy), tmp_path), Cached)
    plain = resolve(Dear())
    assert cached(plain, None) is uncached(plain) is uncached(cached(plain, tmp_path)) is plain
    cached(resolve(lambda shape: {"loss": shape.hidden * 1.0}), tmp_path).predict(shapes(1))
    monkeypatch.setattr(cache, "WORTH_S", 1e9)
    quick = cached(resolve(Dear()), tmp_path)
    quick.predict(shapes(1))
    quick.compare(shapes(1), shapes(2, 1))
    assert list(tmp_path.iterdir()) == []


def test_what_was_measured_elsewhere_is_remembered_and_recalled(tmp_path: Path) -> None:
    """A driver whose workers measure asks for what is known, and keeps what they found."""
    more = shapes(1, 8)
    one = more.take(slice(0, 5))
    driver = Cached(resolve(Dear()), tmp_path)
    assert driver.recall(one) is None
    driver.remember([(one, Dear().predict(one), 1.0)])
    found = Cached(resolve(Dear()), tmp_path).recall(more)
    assert found is not None
    np.testing.assert_array_equal(found.value[:5], Dear().predict(one).value)
    known = set(keys_of(one, Dear().reads))
    np.testing.assert_array_equal(np.isnan(found.value), [key not in known for key in keys_of(more, Dear().reads)])


def test_the_directory_is_the_given_one_else_the_variable_else_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in turn; "none" in any place is none."""
    monkeypatch.setenv("CODESIGN_CACHE", "/from/variable")
    assert cache_directory("/given") == Path("/given")
    assert cache_directory("none") is None
    assert cache_directory() == Path("/from/variable")
    monkeypatch.setenv("CODESIGN_CACHE", "none")
    assert cache_directory() is None
    monkeypatch.delenv("CODESIGN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_directory() == Path("/xdg/codesign/answers")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_directory() == Path("/home/somebody/.cache/codesign/answers")


def test_a_search_records_the_same_with_and_without_and_a_second_one_measures_nothing(tmp_path: Path) -> None:
    """Byte for byte, the re-measured front included; and resuming measures nothing either."""
    asked: list[Dear] = []

    def run(name: str, kept: str | Path) -> dict[str, bytes]:
        asked.append(Dear())
        small_search(tmp_path / name, proxy=asked[-1], cache=kept)
        return record_of(tmp_path / name)

    plain = run("plain", "none")
    assert len(plain) == 3  # it has a re-measured front
    assert run("first", tmp_path / "cache") == plain
    assert run("second", tmp_path / "cache") == plain
    assert asked[1].total() <= asked[0].total()
    assert asked[2].asked == []
    (tmp_path / "first" / "evaluations.jsonl").write_bytes(plain["evaluations.jsonl"][:2000])
    (tmp_path / "first" / "remeasured.jsonl").unlink()
    resumed = Dear()
    codesign.resume(tmp_path / "first", proxy=resumed, cache=tmp_path / "cache")
    assert record_of(tmp_path / "first") == plain
    assert resumed.asked == []
