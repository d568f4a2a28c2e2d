"""Plain decoders of the kind that the surrogate was fitted on, as inputs of the accuracy tests."""

from collections.abc import Mapping

import numpy as np
from hypothesis import strategies as st

from codesign.design import Family, ModelShape
from tests.strategies import uniform_shape

FAMILY = Family(stacks=("decoder",), vocabulary=50257, position_count=512)

# The choices of the case study's search space (Kim et al. 2023, Tab. 8).
CHOICES: Mapping[str, tuple[int, ...]] = {
    "layers": (3, 4, 5, 6),
    "hidden": (384, 480, 576, 672, 768),
    "heads": (4, 6, 8, 10, 12),
    "head_width": (64,),
    "ffn": tuple(range(768, 3073, 128)),
}

BASELINE = uniform_shape(FAMILY, layers=[6], hidden=768, heads=12, head_width=64, ffn=3072)
INSIDE = uniform_shape(FAMILY, layers=[6], hidden=512, heads=8, head_width=64, ffn=2048)


@st.composite
def decoders(draw: st.DrawFn, max_designs: int = 4) -> ModelShape:
    """Draw shapes of the case study's search space, layers that differ included."""
    n, depth = draw(st.integers(1, max_designs)), 6
    layers = _column(draw, "layers", n)
    active = np.arange(depth)[None, None, :] < layers[:, None, None]
    heads = _column(draw, "heads", n * depth).reshape(n, 1, depth) * active
    ffn = _column(draw, "ffn", n * depth).reshape(n, 1, depth) * active
    width = 64 * active.astype(np.int64)
    return ModelShape(FAMILY, layers[:, None], _column(draw, "hidden", n), heads, heads, width, width, ffn)


def _column(draw: st.DrawFn, gene: str, count: int) -> np.ndarray:
    values = draw(st.lists(st.sampled_from(CHOICES[gene]), min_size=count, max_size=count))
    return np.array(values, dtype=np.int64)
