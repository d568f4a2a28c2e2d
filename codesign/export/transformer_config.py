"""The transformers configuration of the project's own kind, `model_type = "codesign"`."""

# mypy: disable-error-code="no-untyped-call"
# (transformers leaves the methods of its base classes untyped)

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from transformers import PreTrainedConfig

from codesign.design import LAYER_FIELDS, Family
from codesign.errors import InputError
from codesign.huggingface import config_shape


class CodesignConfig(PreTrainedConfig):
    """The words of a design file: `family` and the sizes, one list entry a layer (0 heads or FFN = removed)."""

    model_type = "codesign"
    attribute_map: ClassVar[dict[str, str]] = {"hidden_size": "hidden", "num_hidden_layers": "layers"}

    family: dict[str, Any]
    layers: int
    hidden: int
    heads: list[int]
    kv_heads: list[int]
    head_width: list[int]
    value_width: list[int]
    ffn: list[int]
    norm_epsilon: float = 1e-6
    rotary_base: float = 10000.0
    use_cache: bool = False
    """The model has no key/value cache; `generate` asks here."""

    def __post_init__(self, **kwargs: Any) -> None:
        """Check the sizes exactly as `codesign.huggingface` does when it reads the file."""
        words = ("model_type", "family", "layers", "hidden", *LAYER_FIELDS)
        config_shape({word: getattr(self, word) for word in words}, "CodesignConfig")
        if self.parts.positions == "relative":
            raise InputError("CodesignConfig: family.positions: expected learned, rotary or none, got relative")
        odd = [width for heads, width in zip(self.heads, self.head_width, strict=True) if heads and width % 2]
        if self.parts.positions == "rotary" and odd:
            raise InputError(f"CodesignConfig: head_width: expected even widths for rotary positions, got {odd[0]}")
        super().__post_init__(**kwargs)

    @property
    def parts(self) -> Family:
        """The parts of a layer, typed."""
        return msgspec.convert(self.family, Family)

    @property
    def vocab_size(self) -> int:
        """Rows of the token embedding."""
        return self.parts.vocabulary

    @vocab_size.setter
    def vocab_size(self, size: int) -> None:
        self.family = {**self.family, "vocabulary": size}

    @property
    def tie_word_embeddings(self) -> bool:
        """Whether the output projection is the token embedding."""
        return self.parts.tied_embeddings
