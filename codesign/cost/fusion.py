"""Which vector operations run beside the matmul whose results they take, and on what condition.

Element by element (activations, gates): always, tile by tile. On whole rows: softmax and the norm after the output
projection where that costs least, which takes a mapping that keeps finished rows in the accumulator until they are
complete. Never the norm after the second FFN matmul: its reduction is too long for such tiles (Kim et al. 2023,
arXiv 2302.14017, Sec. 5.5.2: 27 % worse in every case, against 78 % less for scores and softmax).
"""

from __future__ import annotations

from enum import IntEnum

from codesign.operations import Label, VectorOperations


class Fusing(IntEnum):
    """How a matmul's followers run."""

    NONE = 0  # there are none
    ALWAYS = 1  # beside the matmul, under any mapping
    CHOICE = 2  # beside a matmul that keeps whole rows, or after it, through DRAM
    NEVER = 3  # after it, through DRAM


FOLLOWERS: dict[str, tuple[Fusing, tuple[str, ...]]] = {
    "scores": (Fusing.CHOICE, ("position_bias", "softmax")),
    "cross_scores": (Fusing.CHOICE, ("cross_softmax",)),
    "output": (Fusing.CHOICE, ("attention_residual", "attention_norm")),
    "cross_output": (Fusing.CHOICE, ("cross_residual", "cross_norm")),
    "ffn_gate": (Fusing.ALWAYS, ("activation",)),
    "ffn_up": (Fusing.ALWAYS, ("activation", "gate")),
    "ffn_down": (Fusing.NEVER, ("ffn_residual", "ffn_norm")),
    "pooler": (Fusing.ALWAYS, ("pooler_activation",)),
}
"""Matmul -> vector operations of the same place that take its results; an operation follows the first that is there."""


def followers(matmuls: tuple[Label, ...], vectors: VectorOperations) -> list[tuple[Fusing, tuple[int, ...]]]:
    """Return for each matmul how its followers run, and their positions among the vector operations."""
    position = {label: i for i, label in enumerate(vectors.labels)}
    taken: set[int] = set()
    found = []
    for label in matmuls:
        fusing, names = FOLLOWERS.get(label.operation, (Fusing.NONE, ()))
        wanted = (position.get(label._replace(operation=name)) for name in names)
        own = tuple(i for i in wanted if i is not None and i not in taken)
        taken.update(own)
        found.append((fusing if own else Fusing.NONE, own))
    return found
