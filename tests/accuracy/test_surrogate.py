"""The fitted surrogate: its equation, its committed fit, its marks and its refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given

from codesign.accuracy.proxy import SURROGATES
from codesign.accuracy.surrogate import Surrogate, read_fit
from codesign.bench.surrogate import SOURCES
from codesign.design import ModelShape, Precision, Spans, Sparsity
from codesign.errors import ProxyError
from tests.accuracy.decoders import BASELINE, CHOICES, FAMILY, INSIDE, decoders
from tests.strategies import uniform_shape

SURROGATE = Surrogate("surrogate", read_fit("gpt2_wt103"))
ONES = np.ones_like(BASELINE.heads)


def decoder(**sizes: Any) -> ModelShape:
    """Return a plain decoder like INSIDE but for `sizes`."""
    usual: dict[str, Any] = {"layers": [6], "hidden": 512, "heads": 8, "head_width": 64, "ffn": 2048}
    return uniform_shape(FAMILY, **(usual | sizes))


def test_shipped_names_have_fits() -> None:
    """Each shipped surrogate has a committed fit of a set whose source is recorded."""
    assert set(SOURCES) == set(SURROGATES.values())
    for nets in SURROGATES.values():
        fit = read_fit(nets)
        assert (1, nets, SOURCES[nets], 200) == (fit.format, fit.nets, fit.source, fit.net_count)
        assert (len(fit.coefficients), np.shape(fit.covariance)) == (6, (6, 6))


def test_equation_by_hand() -> None:
    """The prediction is the documented quadratic of the logarithms of millions of parameters."""
    d, f, layers = 512, 2048, 6
    u, v = np.log(layers * (4 * d * d + 4 * d) / 1e6), np.log(layers * (2 * d * f + f + d) / 1e6)
    x = np.array([1, u, v, u * u, u * v, v * v])
    fit = SURROGATE.fit
    quality = SURROGATE.predict(INSIDE)
    leverage = x @ np.array(fit.covariance) @ x
    np.testing.assert_allclose([np.exp(x @ fit.coefficients)], quality.value)
    np.testing.assert_allclose([fit.residual_deviation * np.sqrt(1 + leverage)], quality.log_standard_error)


def test_baseline_is_extrapolated() -> None:
    """The case study's baseline has more FFN parameters than any fitted net and is marked; a net inside is not."""
    assert SURROGATE.predict(BASELINE).extrapolated.tolist() == [True]
    assert SURROGATE.predict(INSIDE).extrapolated.tolist() == [False]


def test_unusual_combination_is_extrapolated() -> None:
    """Counts inside both ranges, but in a proportion that no fitted net had, are marked."""
    lopsided = decoder(ffn=64)
    fit = SURROGATE.fit
    counts = (6 * (4 * 512**2 + 4 * 512), 6 * (2 * 512 * 64 + 64 + 512))
    assert fit.attention_range[0] < counts[0] < fit.attention_range[1]
    assert fit.ffn_range[0] < counts[1] < fit.ffn_range[1]
    assert SURROGATE.predict(lopsided).extrapolated.tolist() == [True]


@given(shape=decoders())
def test_error_of_a_ratio(shape: ModelShape) -> None:
    """A ratio is at least as uncertain as two independent residuals, and less than with independent coefficients."""
    ratio = SURROGATE.compare(shape, INSIDE)
    residual = SURROGATE.fit.residual_deviation
    assert np.all(ratio >= np.sqrt(2) * residual)
    # (x - x0)' C (x - x0) <= 2 (x' C x + x0' C x0), the parallelogram law
    apart = SURROGATE.predict(shape).log_standard_error ** 2 + SURROGATE.predict(INSIDE).log_standard_error ** 2
    assert np.all(ratio**2 <= 2 * apart)


def test_a_net_equals_itself() -> None:
    """The ratio of the baseline to itself is certain, however many empty layers either is padded with."""
    padded = replace(
        INSIDE,
        **{
            name: np.pad(getattr(INSIDE, name), ((0, 0), (0, 0), (0, 2)))
            for name in ("heads", "kv_heads", "head_width", "value_width", "ffn")
        },
    )
    assert SURROGATE.compare(INSIDE, INSIDE).tolist() == [0.0]
    assert SURROGATE.compare(padded, INSIDE).tolist() == [0.0]


def test_equal_counts_are_not_equal_nets() -> None:
    """Two nets with the same parameter counts still differ by their residuals."""
    narrow_heads = decoder(heads=16, head_width=32)
    np.testing.assert_allclose([np.sqrt(2) * SURROGATE.fit.residual_deviation], SURROGATE.compare(narrow_heads, INSIDE))


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ({"stacks": ("encoder",)}, r"stacks \['encoder'\]; it was fitted on decoders"),
        ({"stacks": ("encoder", "decoder")}, r"stacks \['encoder', 'decoder'\]"),
        ({"shared_layers": True}, "shared_layers; in every fitted net each layer has weights of its own"),
        ({"gated_ffn": True}, "gated_ffn; in every fitted net the FFN has two matrices"),
    ],
)
def test_other_families_are_refused(family: dict[str, Any], message: str) -> None:
    """Families unlike the fitted nets are refused in a space and in a prediction, with what to use instead."""
    other = msgspec.structs.replace(FAMILY, **family)
    shape = uniform_shape(other, layers=[2] * len(other.stacks), hidden=64, heads=2, head_width=32, ffn=128)
    with pytest.raises(ProxyError, match=f"{message}; .*--proxy module:function"):
        SURROGATE.check(other, CHOICES)
    with pytest.raises(ProxyError, match=message):
        SURROGATE.predict(shape)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"ffn": (0, 768)}, "ffn = 0 removes the FFN of a layer"),
        ({"heads": (0, 4)}, "heads = 0 removes the attention of a layer"),
        ({"kv_heads": (2,)}, r"kv_heads \[2\] beside heads \[4, 6, 8, 10, 12\]"),
        ({"kv_heads": (4, 6, 8, 10, 12)}, r"kv_heads \[4, 6, 8, 10, 12\] beside heads"),  # varied on their own
        ({"value_width": (32, 64)}, r"value_width \[32, 64\] beside head_width \[64\]"),
        (
            {"heads": (4, 8), "head_width": (32, 64)},
            "4 heads of width 64 and 8 of width 32: both are 256 wide in total and would be called equal",
        ),
        ({"weight_bits": (4, 8), "activation_bits": (8,)}, r"weight_bits \[4, 8\]; every fitted net is dense"),
        ({"activation_bits": (8,)}, r"activation_bits \[8\]; every fitted net is dense, of one precision"),
        ({"attention_density": (0.5, 1.0), "ffn_density": (1.0,)}, r"attention_density \[0.5, 1.0\]"),
        ({"ffn_density": (0.5,)}, r"ffn_density \[0.5\]"),
        ({"span": (512,)}, r"span \[512\]"),
    ],
)
def test_genes_that_it_cannot_see_are_refused(choices: dict[str, tuple[float, ...]], message: str) -> None:
    """A space that varies what parameter counts hide is refused by gene and value, with what to use instead."""
    with pytest.raises(ProxyError, match=f"'surrogate' cannot judge {message}.*--proxy module:function"):
        SURROGATE.check(FAMILY, {**CHOICES, **choices})


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"ffn": 0}, r"ffn = 0 \(FFN removed\), in design 0 \(1 of 1\)"),
        ({"heads": 0, "kv_heads": 0}, r"heads = 0 \(attention removed\)"),
        ({"kv_heads": 2}, "kv_heads other than heads"),
        ({"value_width": 32}, "value_width other than head_width"),
    ],
)
def test_shapes_that_it_cannot_judge_are_refused(sizes: dict[str, int], message: str) -> None:
    """A shape that no fitted net resembles is refused also where no space was checked before."""
    with pytest.raises(ProxyError, match=f"{message}.*--proxy module:function"):
        SURROGATE.predict(decoder(**sizes))


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"precision": Precision(8 * ONES, 8 * ONES)}, "weight_bits"),
        ({"sparsity": Sparsity(1.0 * ONES, 0.5 * ONES)}, "ffn_density"),
        ({"spans": Spans(512 * ONES)}, "span"),
    ],
)
def test_compressed_shapes_are_refused(group: dict[str, Any], message: str) -> None:
    """Bits and spans, whatever they are, and densities below 1 are refused by name, fixed or not."""
    with pytest.raises(ProxyError, match=rf"cannot judge {message} \(every fitted net.*--proxy module:function"):
        SURROGATE.predict(replace(BASELINE, **group))


def test_dense_weights_are_plain() -> None:
    """Density 1 is what every fitted net has: accepted, predicted equal, and the same net in a comparison."""
    dense = replace(BASELINE, sparsity=Sparsity(1.0 * ONES, 1.0 * ONES))
    SURROGATE.check(FAMILY, {**CHOICES, "attention_density": (1.0,), "ffn_density": (1.0,)})
    assert SURROGATE.predict(dense).value == SURROGATE.predict(BASELINE).value
    assert SURROGATE.compare(dense, BASELINE) == 0
