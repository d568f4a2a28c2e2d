"""One position of a genome: which field it is about, and what that can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from codesign.design_file import ACCELERATOR_FIELDS

ALL_LAYERS = -1


@dataclass(frozen=True)
class Gene:
    """One position of the genome."""

    field: str
    layer: int
    """0-based for a gene of one layer, ALL_LAYERS otherwise."""
    values: tuple[Any, ...]
    ordered: bool
    """Whether neighbouring positions are similar, so that a step is a small change."""

    @property
    def name(self) -> str:
        """The field, with the layer where the gene has one."""
        return self.field if self.layer == ALL_LAYERS else f"{self.field}[{self.layer}]"

    @property
    def shared(self) -> bool:
        """Whether the gene belongs to no single layer."""
        return self.layer == ALL_LAYERS

    @property
    def on_accelerator(self) -> bool:
        """Whether the gene belongs to the accelerator, not to the model."""
        return self.field in ACCELERATOR_FIELDS
