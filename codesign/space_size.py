"""How many distinct designs a search space holds.

A design counts once however many genomes mean it: genes that no equation reads do not tell designs apart. What is read
depends on which layers attend and which have an FFN. Models in which some layer attends are those of any kind less
those in which none does; the same holds for FFNs, and a product over layers counts each of the four.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from codesign.genes import Gene
from codesign.layer_fields import WHERE_READ

if TYPE_CHECKING:
    from codesign.space import SearchSpace

ATTENTION_SWITCHES = ("heads", "span")
FFN_SWITCHES = ("ffn",)
"""Fields whose value 0 removes the sublayer."""


@dataclass(frozen=True)
class _Sublayer:
    """The ways in which the attentions (or the FFNs) of a model can be."""

    present: list[int]
    """How many there are in each layer, genes shared by all layers aside; 0 where it is always removed."""
    removable: list[int]
    """1 where a layer can be without it while another has one, 0 elsewhere."""
    all_removable: list[int]
    """1 where a layer can be without it while no other has one."""
    shared: int
    """Choices of the shared genes while some layer has one."""

    def terms(self, exists: bool) -> Iterator[tuple[int, list[int], list[int]]]:
        """Yield (factor, ways with, ways without) by layer; sums of products over them count models of one kind."""
        none = [0] * len(self.present)
        if exists:
            yield self.shared, self.present, self.removable
            yield -self.shared, none, self.removable
        else:
            yield 1, none, self.all_removable


def count_designs(space: SearchSpace) -> int:
    """Count the distinct designs of a space."""
    genes = {gene.field: gene for gene in space.genes}
    attention = _sublayer(space, genes, ATTENTION_SWITCHES, ("heads",))
    ffn = _sublayer(space, genes, FFN_SWITCHES, ("ffn",))
    either = [gene for field, gene in genes.items() if WHERE_READ.get(field) == ("heads", "ffn")]
    own = math.prod(len(gene.values) for gene in either if not gene.shared)
    shared = math.prod(len(gene.values) for gene in either if gene.shared)
    total = 0
    for depth, attends, feeds in product(space.values("layers", 0), (True, False), (True, False)):
        for (a, with_a, without_a), (f, with_f, without_f) in product(attention.terms(attends), ffn.terms(feeds)):
            layers = zip(with_a[:depth], without_a[:depth], with_f[:depth], without_f[:depth], strict=True)
            models = math.prod(own * (x * (y + no_y) + no_x * y) + no_x * no_y for x, no_x, y, no_y in layers)
            total += a * f * models * (shared if attends or feeds else 1)
    counted = {"layers", *ATTENTION_SWITCHES, *FFN_SWITCHES, *WHERE_READ}
    return total * math.prod(len(gene.values) for field, gene in genes.items() if field not in counted)


def _sublayer(
    space: SearchSpace, genes: dict[str, Gene], switches: tuple[str, ...], parts: tuple[str, ...]
) -> _Sublayer:
    """Describe the attentions or FFNs of a space; `switches` remove them, and what WHERE_READ says describes them."""
    read = [gene for gene in genes.values() if gene.field in switches or WHERE_READ.get(gene.field) == parts]
    shared = [gene for gene in read if gene.shared]
    own = [len(gene.values) for gene in read if not gene.shared and gene.field not in switches]
    used = [field for field in switches if field in space.layer_fields and genes.get(field) not in shared]
    values = [[space.values(field, layer) for field in used] for layer in range(space.max_layers)]
    removable = [int(any(0 in choices for choices in layer)) for layer in values]
    all_removed = any(0 in gene.values for gene in shared if gene.field in switches)
    return _Sublayer(
        present=[math.prod(own) * math.prod(sum(v != 0 for v in choices) for choices in layer) for layer in values],
        removable=removable,
        all_removable=[int(all_removed or bool(one)) for one in removable],
        shared=math.prod(sum(v != 0 or gene.field not in switches for v in gene.values) for gene in shared),
    )
