"""Perplexity from two parameter counts: a quadratic fitted to published trained language models.

ln p = b0 + b1 u + b2 v + b3 u² + b4 u v + b5 v² + e,  u = ln(A / 10⁶),  v = ln(F / 10⁶)

where:
    p  validation perplexity per token of the fitted nets' own vocabulary
    A  attention parameters: query, key, value and output projections of all layers, biases included
    F  FFN parameters of all layers, biases included
    e  what the counts do not explain: normal, with standard deviation s

The nets are the WikiText-103 sets of LiteTransformerSearch (Javaheripi 2022, arXiv:2203.02094): random decoders with
heads × head width = hidden size. Fitted by ordinary least squares in `codesign.bench.surrogate`.

Left out: everything that leaves A and F as they are: head counts, the order of layers, depth against width, attention
spans, sparsity, context length, vocabulary. `check` and `predict` refuse the ones that a shape can express and that
would be called equal, or that no fitted net had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import msgspec
import numpy as np

from codesign.accuracy.identity import digest
from codesign.accuracy.proxy import INSTEAD, Errors, Quality
from codesign.design import LAYER_FIELDS, BoolArray, Family, FloatArray, IntArray, ModelShape
from codesign.errors import ProxyError
from codesign.layer_fields import DENSITIES, GROUPED
from codesign.parameters import parameters

ALIKE: dict[str, set[float]] = {name: set() for name in GROUPED} | {name: {1.0} for name in DENSITIES}
"""Values of optional fields that mean what every fitted net is; widths and spans are not known of any."""

ALL_DENSE = "every fitted net is dense, of one precision and attends to its whole context"

# A fitted net at the edge must stay inside although other machines round its leverage differently.
ROUNDING = 1e-9


class Fit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fitted surrogate, as committed in coefficients/: what it takes to predict, never the nets themselves."""

    format: int
    nets: str
    """Name of the set that it was fitted on."""
    source: str
    """Repository, commit and licence of the trained nets."""
    perplexity: str
    """Column of the set that was fitted."""
    net_count: int
    coefficients: tuple[float, ...]
    """b0 ... b5."""
    covariance: tuple[tuple[float, ...], ...]
    """(XᵀX)⁻¹, (6, 6); times s² it is the covariance of the coefficients."""
    residual_deviation: float
    """s, with net_count - 6 degrees of freedom."""
    attention_range: tuple[int, int]
    """Fewest and most attention parameters among the nets."""
    ffn_range: tuple[int, int]
    max_leverage: float
    """Largest xᵀ(XᵀX)⁻¹x among the nets."""


def read_fit(nets: str) -> Fit:
    """Read the committed fit of a set: "gpt2_wt103" or "txl_wt103"."""
    text = files("codesign.accuracy").joinpath("coefficients", f"{nets}.json").read_bytes()
    return msgspec.json.decode(text, type=Fit)


def terms(attention: IntArray, ffn: IntArray) -> FloatArray:
    """Return the (n, 6) terms 1, u, v, u², uv, v² of (n,) parameter counts."""
    u, v = np.log(attention / 1e6), np.log(ffn / 1e6)
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=1)


def spread(rows: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return (n,) xᵀ(XᵀX)⁻¹x of (n, 6) rows: the leverage of nets, or of the difference between two nets."""
    return np.asarray(np.einsum("ni,ij,nj->n", rows, covariance, rows))


@dataclass(frozen=True)
class Surrogate:
    """The fitted quadratic as a proxy; see the module for the equation."""

    name: str
    fit: Fit
    reads: frozenset[str] = frozenset({"layers", "hidden", "heads", "head_width", "kv_heads", "value_width", "ffn"})

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """Refuse what the fitted nets did not vary or the two counts cannot tell apart.

        Args:
            family: must be a plain decoder: no encoder, no shared layers, no gated FFN.
            choices: must keep every attention and FFN, one key and value head a query head, values as wide as keys,
                and no two head counts of one total width; no bits, no span, no density but 1.
        """
        self._check_family(family)
        for gene, part in (("heads", "attention"), ("ffn", "FFN")):
            if 0 in choices[gene]:
                raise self._refusal(
                    f"{gene} = 0 removes the {part} of a layer; every fitted net has both in all layers"
                )
        for gene, reference in (("kv_heads", "heads"), ("value_width", "head_width")):
            own = set(choices.get(gene, ()))
            if own and (own != set(choices[reference]) or len(own) > 1):
                got = f"{gene} {sorted(own)} beside {reference} {sorted(set(choices[reference]))}"
                raise self._refusal(f"{got}; in every fitted net {gene} equals {reference}")
        for gene, values in choices.items():
            if set(values) - ALIKE.get(gene, set(values)):
                raise self._refusal(f"{gene} {sorted(set(values))}; {ALL_DENSE}")
        self._check_total_widths(choices)

    def predict(self, shape: ModelShape) -> Quality:
        """Return the perplexity exp(xᵀb), a median, with the standard error s √(1 + xᵀ(XᵀX)⁻¹x) of its logarithm.

        Marked as extrapolated: attention or FFN parameters beyond those of the fitted nets, or a combination with
        more leverage than any of them.
        """
        self._check_shape(shape)
        attention, ffn = _counts(shape)
        x = terms(attention, ffn)
        leverage = spread(x, np.array(self.fit.covariance))
        return Quality(
            metric="perplexity",
            value=np.exp((x * np.array(self.fit.coefficients)).sum(axis=1)),  # not x @ b: its last bits depend on n
            log_standard_error=self.fit.residual_deviation * np.sqrt(1 + leverage),
            extrapolated=_outside(attention, self.fit.attention_range)
            | _outside(ffn, self.fit.ffn_range)
            | (leverage > self.fit.max_leverage * (1 + ROUNDING)),
        )

    def compare(
        self,
        shape: ModelShape,
        baseline: ModelShape,
        errors: Errors | None = None,  # noqa: ARG002 - the protocol's; the fit knows more than the two errors
    ) -> FloatArray:
        """Return s √(2 + (x - x₀)ᵀ(XᵀX)⁻¹(x - x₀)), and 0 for the baseline itself.

        The coefficients are the same in both predictions, so only their error along x - x₀ counts; what the two counts
        do not explain is taken as independent between two different nets, which is the larger error of the two.
        """
        x, x0 = terms(*_counts(shape)), terms(*_counts(baseline))
        error = self.fit.residual_deviation * np.sqrt(2 + spread(x - x0, np.array(self.fit.covariance)))
        return np.where(_same(shape, baseline), 0.0, error)

    def identity(self) -> str:
        """Return the hash of the fit."""
        return digest(msgspec.json.encode(self.fit))

    def _check_family(self, family: Family) -> None:
        if family.stacks != ("decoder",):
            raise self._refusal(f"stacks {list(family.stacks)}; it was fitted on decoders")
        if family.shared_layers:
            raise self._refusal("shared_layers; in every fitted net each layer has weights of its own")
        if family.gated_ffn:
            raise self._refusal("gated_ffn; in every fitted net the FFN has two matrices")

    def _check_total_widths(self, choices: Mapping[str, tuple[float, ...]]) -> None:
        by_width: dict[float, tuple[float, float]] = {}
        for heads in sorted(set(choices["heads"])):
            for width in sorted(set(choices["head_width"])):
                other = by_width.setdefault(heads * width, (heads, width))
                if other != (heads, width):
                    raise self._refusal(
                        f"{other[0]} heads of width {other[1]} and {heads} of width {width}: both are {heads * width} "
                        "wide in total and would be called equal"
                    )

    def _check_shape(self, shape: ModelShape) -> None:
        self._check_family(shape.family)
        self._refuse_rows(shape, shape.heads == 0, "heads = 0 (attention removed)")
        self._refuse_rows(shape, shape.ffn == 0, "ffn = 0 (FFN removed)")
        self._refuse_rows(shape, shape.kv_heads != shape.heads, "kv_heads other than heads")
        self._refuse_rows(shape, shape.value_width != shape.head_width, "value_width other than head_width")
        columns = shape.layer_columns()
        for gene in [gene for gene in ALIKE if gene in columns]:
            self._refuse_rows(shape, ~np.isin(columns[gene], list(ALIKE[gene])), f"{gene} ({ALL_DENSE})")

    def _refuse_rows(self, shape: ModelShape, bad: BoolArray, what: str) -> None:
        rows = np.asarray((bad & shape.active).any(axis=(1, 2)))
        if rows.any():
            raise self._refusal(
                f"{what}, in design {np.argmax(rows)} ({rows.sum()} of {len(rows)}); no fitted net has it"
            )

    def _refusal(self, what: str) -> ProxyError:
        return ProxyError(f"proxy {self.name!r} cannot judge {what}; {INSTEAD}")


def _counts(shape: ModelShape) -> tuple[IntArray, IntArray]:
    counted = parameters(shape)
    return counted["attention"], counted["ffn"]


def _outside(counts: IntArray, limits: tuple[int, int]) -> BoolArray:
    return np.asarray((counts < limits[0]) | (counts > limits[1]))


def _same(shape: ModelShape, baseline: ModelShape) -> BoolArray:
    """(n,) True where a shape has the sizes of the one baseline."""
    depth = max(shape.heads.shape[2], baseline.heads.shape[2])
    return np.asarray((_sizes(shape, depth) == _sizes(baseline, depth)).all(axis=1))


def _sizes(shape: ModelShape, depth: int) -> IntArray:
    """(n, sizes) all sizes side by side, with `depth` layers; layers that do not exist are zeros already."""
    columns = [shape.layers, shape.hidden, *(getattr(shape, name) for name in LAYER_FIELDS)]
    missing = depth - shape.heads.shape[2]
    padded = [np.pad(c, ((0, 0), (0, 0), (0, missing))) if c.ndim == 3 else c for c in columns]
    return np.concatenate([c.reshape(len(shape), -1) for c in padded], axis=1)
