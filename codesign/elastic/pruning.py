"""Which weights a density keeps: by magnitude or movement, single ones, rows of a matrix, heads or FFN units.

Matrices are (copies, outputs, inputs): query, key and value are three copies, all others one. A mask is made on the
slice that a setting uses, so the density of every sub-network is exact to rounding, matrix by matrix, as
`codesign.parameters` counts it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from codesign.elastic.architecture import Architecture
from codesign.elastic.parts import Matrix
from codesign.elastic.setting import LayerSetting

ATTENTION_MATRICES = ("qkv", "output")
FFN_MATRICES = ("gate", "up", "down", "linear")

Matrices = Mapping[str, Tensor]
"""Name, of those above, -> (copies, outputs, inputs); a removed matrix is not there."""


class MovementScores(nn.Module):
    """One trainable score for each weight that a density can remove; the highest are kept (Sanh 2020).

    Scores start at 0 and, trained by gradient descent, collect -dL/dW W: what moves away from zero is kept.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        inner = a.heads * a.head_width
        sizes = {"qkv": (3 * inner, a.hidden), "output": (a.hidden, inner), "up": (a.ffn, a.hidden),
                 "down": (a.hidden, a.ffn)}  # fmt: skip
        if a.gated_ffn:
            sizes["gate"] = sizes["up"]
        if a.ffn_reparametrised:
            sizes["linear"] = (a.hidden, a.hidden)
        layers = range(1 if a.shared_layers else a.layers)
        self.layers = nn.ModuleList(
            nn.ModuleDict({name: Matrix(*size, bias=False) for name, size in sizes.items()}) for _ in layers
        )

    def of(self, layer: int, name: str, outputs: int, inputs: int) -> Tensor:
        """Return the (outputs, inputs) scores of the slice of a matrix that a sub-network uses."""
        matrices = self.layers[layer % len(self.layers)]
        assert isinstance(matrices, nn.ModuleDict)
        matrix = matrices[name]
        assert isinstance(matrix, Matrix)
        return matrix.first(outputs, inputs).weight


def kept(scores: Tensor, count: int) -> Tensor:
    """Return the (..., n) mask of the `count` highest of (..., n) scores; of equal ones the first."""
    n = scores.shape[-1]
    if count in (0, n):
        return torch.full_like(scores, count == n, dtype=torch.bool)
    threshold = scores.kthvalue(n - count + 1, dim=-1, keepdim=True).values
    above, ties = scores > threshold, scores == threshold
    room = count - above.sum(dim=-1, keepdim=True)
    return above | (ties & (ties.cumsum(dim=-1) <= room))


@torch.no_grad()
def masks(scores: Matrices, setting: LayerSetting, a: Architecture) -> dict[str, Tensor]:
    """Return what the densities of a layer keep, for each matrix that they thin; broadcasts to the matrix.

    Args:
        scores: how much each weight matters: its magnitude, or its movement score. A row, head or unit matters as
            much as the sum of its weights.
        setting: gives the densities.
        a: says what is removed at a time.
    """
    found: dict[str, Tensor] = {}
    for names, density in ((ATTENTION_MATRICES, setting.attention_density), (FFN_MATRICES, setting.ffn_density)):
        thinned = {name: scores[name] for name in names if name in scores}
        if density < 1 and thinned:
            found |= _joint(thinned, density, a) if a.removal == "heads" else _apart(thinned, density, a)
    return found


def _apart(scores: Matrices, density: float, a: Architecture) -> dict[str, Tensor]:
    """Keep round(density x elements) weights of each matrix (Han 2015), or round(density x inputs) of its rows."""
    if a.removal == "rows":
        rows = {name: score.sum(dim=1, keepdim=True) for name, score in scores.items()}
        return {name: kept(row, round(density * row.shape[2])) for name, row in rows.items()}
    flat = {name: score.flatten(1) for name, score in scores.items()}
    return {name: kept(one, round(density * one.shape[1])).view_as(scores[name]) for name, one in flat.items()}


def _joint(scores: Matrices, density: float, a: Architecture) -> dict[str, Tensor]:
    """Keep round(density x heads) heads, or FFN units, in all their matrices (Lagunas 2021, hybrid pruning).

    The merged linear branch has no units and stays dense.
    """
    width = a.head_width if "output" in scores else 1
    # Units are inputs of the matrix that leads back into the residual stream, and outputs of the others.
    back = {name: name in ("output", "down") for name in scores if name != "linear"}
    if not back:
        return {}
    sums = [scores[name].sum(dim=(0, 1 if inputs else 2)).view(-1, width).sum(dim=1) for name, inputs in back.items()]
    total = torch.stack(sums).sum(dim=0)  # (heads or units,)
    chosen = kept(total, round(density * len(total))).repeat_interleave(width)
    return {name: chosen.view(1, 1, -1) if inputs else chosen.view(1, -1, 1) for name, inputs in back.items()}


def masked(weight: Tensor, mask: Tensor | None, score: Tensor | None) -> Tensor:
    """Return the weight where the mask is True, else 0; without a mask all of it.

    Kept weights get their gradient, removed ones none; a movement score gets dL/d(masked weight) x weight as if there
    were no mask (Sanh 2020, eq. 3).
    """
    pruned = weight if mask is None else weight * mask
    return pruned if score is None else pruned + weight.detach() * (score - score.detach())
