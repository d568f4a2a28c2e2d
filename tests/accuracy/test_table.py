"""Quality looked up in a table of measured shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codesign.accuracy.protocol import Quality
from codesign.accuracy.proxy import resolve, table_path
from codesign.accuracy.table import read_table, write_table
from codesign.errors import InputError, ProxyError
from codesign.space_file import read_space
from tests.optimize.spaces import space_of, tiny, tiny_text


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of all shapes of `tiny`."""
    shape = tiny().decode(tiny().enumerate_shapes()).shape
    value = 10.0 + np.arange(len(shape))
    quality = Quality("perplexity", value, np.full(len(shape), 0.01), np.zeros(len(shape), dtype=bool))
    write_table(tmp_path / "tiny.npz", shape, quality, "a test")
    return tmp_path / "tiny.npz"


def test_what_was_written_is_looked_up(table: Path) -> None:
    """Each shape has the quality that was written for it, in whatever order it is asked."""
    proxy = resolve(f"measured:{table}")
    genomes = tiny().enumerate_shapes()
    order = np.random.default_rng(0).permutation(len(genomes))
    found = proxy.predict(tiny().decode(genomes[order]).shape)
    np.testing.assert_allclose(found.value, 10.0 + order)
    np.testing.assert_allclose(found.log_standard_error, 0.01, rtol=1e-6)
    assert found.metric == "perplexity"


def test_what_is_not_in_the_table_is_refused(table: Path) -> None:
    """A space with other values or another family is refused by name, and so is a shape that is not there."""
    proxy = resolve(f"measured:{table}")
    wider = space_of(tiny_text({"hidden = { choices = [64, 96, 128] }": "hidden = { choices = [64, 96, 160] }"},
                               {"hidden = 128": "hidden = 160"}))  # fmt: skip
    with pytest.raises(ProxyError, match=r"hidden: expected values of its table \(64, 96, 128\), got 160"):
        proxy.check(wider.family, wider.choices())
    other = space_of(tiny_text({"final_norm = true": "final_norm = false"}))
    with pytest.raises(ProxyError, match="expected the family of its table"):
        proxy.check(other.family, other.choices())
    with pytest.raises(ProxyError, match="1 of 2 shapes are not in its table, the first is number 1"):
        proxy.predict(wider.decode(np.stack([wider.enumerate_shapes()[0], wider.enumerate_shapes()[-1]])).shape)


@pytest.mark.parametrize("content", [None, b"", b"no table"])
def test_a_file_that_is_no_table_is_refused(content: bytes | None, tmp_path: Path) -> None:
    """A missing or other file is named."""
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"x.npz: expected a table of measured shapes"):
        resolve(f"measured:{path}").predict(tiny().baseline.shape)


def test_the_shipped_table_is_what_the_network_says() -> None:
    """Every shape of sotu_grid is in the shipped table, with what the shipped network measures today."""
    space = read_space("sotu_grid").content
    shape, quality = read_table(table_path("measured"))
    genomes = space.enumerate_shapes()
    assert len(shape) == len(genomes) == 29_484
    assert np.isfinite(quality.value).all()
    some = space.decode(genomes[[5, 3_000, 20_000]]).shape
    measured, looked_up = resolve("supernet").predict(some), resolve("measured").predict(some)
    np.testing.assert_allclose(looked_up.value, measured.value, rtol=1e-4)
    np.testing.assert_allclose(looked_up.log_standard_error, measured.log_standard_error, rtol=1e-3)
