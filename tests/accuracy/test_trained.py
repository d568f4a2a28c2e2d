"""Stand-alone training as a proxy: the laws of every proxy, on networks that train in a second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from codesign.accuracy import Proxy, resolve
from codesign.accuracy.trained import Trained
from codesign.design import ModelShape
from codesign.errors import InputError, ProxyError
from codesign.space import SearchSpace
from codesign.space_file import parse_space
from tests.training.conftest import SPACE, write_recipe


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """What a training sets is undone."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    """Return decoders of one or two layers."""
    return parse_space(SPACE, "small", "small.toml").content


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of a recipe of eight steps on a hundred paragraphs."""
    return write_recipe(tmp_path_factory.mktemp("recipe") / "tiny.toml", {})


@pytest.fixture(scope="module")
def proxy(recipe: Path) -> Proxy:
    """Return the proxy by its name."""
    return resolve(f"trained:{recipe}")


def shapes(space: SearchSpace) -> ModelShape:
    """Four shapes, the last equal to the first."""
    drawn = space.decode(space.sample(np.random.default_rng(1), 3)).shape
    return drawn.take(np.array([0, 1, 2, 0]))


def test_a_shape_does_not_depend_on_its_neighbours(proxy: Proxy, space: SearchSpace, recipe: Path) -> None:
    """Alone or in another order, a shape is trained to the same bits; values are valid."""
    together, drawn = proxy.predict(shapes(space)), shapes(space)
    fresh = Trained(str(recipe))
    for row in (2, 0):
        assert fresh.predict(drawn.take(np.array([row]))).value[0] == together.value[row]
    assert together.metric == "perplexity"
    assert ((together.value > 1) & np.isfinite(together.value)).all()
    assert (together.log_standard_error > 0).all()
    assert not together.extrapolated.any()


def test_equal_shapes_are_trained_once(proxy: Proxy, space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was trained is remembered, and what differs in no gene that is read is the same."""
    first = proxy.predict(shapes(space))
    monkeypatch.setattr("codesign.training.alone.train_alone", lambda *_, **__: pytest.fail("trained again"))
    again = proxy.predict(shapes(space))
    np.testing.assert_array_equal(again.value, first.value)
    assert first.value[0] == first.value[3]


def test_differences_are_paired(proxy: Proxy, space: SearchSpace) -> None:
    """A shape differs from itself by nothing, without error; shared errors cancel."""
    drawn = shapes(space)
    error = proxy.compare(drawn, drawn.take(np.array([0])))
    assert error[0] == error[3] == 0.0
    both = proxy.predict(drawn).log_standard_error
    assert 0 < error[1] < np.hypot(both[0], both[1])


def test_input_stays_as_it_was(proxy: Proxy, space: SearchSpace) -> None:
    """Predicting changes no column of the shapes."""
    drawn = shapes(space)
    before = {f.name: np.copy(getattr(drawn, f.name)) for f in fields(ModelShape) if f.name != "family"}
    proxy.predict(drawn)
    for name, column in before.items():
        np.testing.assert_array_equal(getattr(drawn, name), column)


def test_a_name_survives_a_resolve(proxy: Proxy) -> None:
    """Resolving a proxy again changes nothing that identifies it."""
    assert (proxy.name, proxy.reads) == (resolve(proxy).name, resolve(proxy).reads)


def test_the_space_of_the_text_is_accepted(proxy: Proxy, space: SearchSpace) -> None:
    """A space with the recipe's vocabulary and window can be searched."""
    proxy.check(space.family, space.choices())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("vocabulary", 301, r"family\.vocabulary = 301; by this recipe it is 300"),
        ("position_count", 32, r"family\.position_count = 32; by this recipe it is 16"),
        ("stacks", ("encoder",), r"family\.stacks"),
    ],
)
def test_what_the_text_does_not_fit_is_refused(
    proxy: Proxy, space: SearchSpace, field: str, value: object, message: str
) -> None:
    """The message names the field, what came and what the recipe gives."""
    with pytest.raises(ProxyError, match=message):
        proxy.check(msgspec.structs.replace(space.family, **{field: value}), space.choices())


def test_shared_key_heads_are_refused(proxy: Proxy, space: SearchSpace) -> None:
    """Networks with fewer key heads than heads cannot be built."""
    with pytest.raises(ProxyError, match="kv_heads are not heads"):
        proxy.check(space.family, space.choices() | {"kv_heads": (1.0,)})


def test_an_unknown_recipe_is_told() -> None:
    """The known ones are listed."""
    with pytest.raises(InputError, match="sotu_study"):
        resolve("trained:nonsense").predict(None)  # type: ignore[arg-type]
