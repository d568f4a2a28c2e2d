"""Perplexity after a training of its own: each shape is trained from scratch by a recipe, then measured.

The dearest proxy, and with a short recipe a proxy of a longer one. All shapes see the same windows in the same order
and are measured on the same validation windows, so differences are paired. The standard error is that of a mean over
windows: what another seed would change is not in it (docs/accuracy.md, "The study", measures that).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from codesign.accuracy.identity import digest
from codesign.accuracy.paired import error_of_mean, perplexity
from codesign.accuracy.proxy import SHAPE_GENES, TRAINED_AT, Errors, Quality
from codesign.accuracy.supernet import whole_spans
from codesign.design import Family, FloatArray, ModelShape
from codesign.elastic.architecture import Architecture, architecture_of
from codesign.elastic.setting import Setting, settings
from codesign.errors import InputError, ProxyError

if TYPE_CHECKING:
    from codesign.training.data import TrainingText
    from codesign.training.recipe import Recipe

Key = tuple[Architecture, Setting]
"""What is trained: the smallest architecture that holds a setting, and the setting."""


@dataclass(frozen=True)
class Trained:
    """Stand-alone training as a proxy; a shape's windows are remembered, so that it is trained once."""

    recipe_name: str
    """A shipped recipe or a path."""
    losses: dict[Key, FloatArray] = field(default_factory=dict)
    reads: frozenset[str] = SHAPE_GENES - {"kv_heads", "value_width"}

    @property
    def name(self) -> str:
        """See `Proxy`."""
        return f"{TRAINED_AT}{self.recipe_name}"

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """Refuse families that the recipe's text does not fit, or of which no network can be built.

        Raises:
            ProxyError: names the field, what was expected and what came.
        """
        text = self.recipe.text
        table = text.window if family.positions == "learned" else 0
        from codesign.training.compression import check_compression

        # lm_head only says whether costs count the output projection: a language model always has one.
        expected = {"stacks": ("decoder",), "vocabulary": text.vocabulary, "position_count": table}
        for name, wanted in expected.items():
            if getattr(family, name) != wanted:
                raise self._refusal(f"family.{name} = {getattr(family, name)!r}; by this recipe it is {wanted!r}")
        if family.positions not in ("learned", "none"):
            raise self._refusal(f"family.positions = {family.positions!r}; it has learned ones or none")
        try:
            check_compression(self.recipe, family, choices)
        except InputError as error:
            raise self._refusal(f"this space: {error}") from None
        for name, leader in (("kv_heads", "heads"), ("value_width", "head_width")):
            if name in choices and (len(set(choices[name])) > 1 or set(choices[name]) != set(choices[leader])):
                raise self._refusal(f"shapes whose {name} are not {leader}")

    def predict(self, shape: ModelShape) -> Quality:
        """Train and measure n shapes, equal ones once: perplexity per token, the standard error of its logarithm.

        Raises:
            ProxyError: a shape that cannot be built.
            TrainingError: a training diverges.
        """
        return perplexity(self._measured(shape), np.zeros(len(shape), dtype=np.bool_))

    def compare(
        self,
        shape: ModelShape,
        baseline: ModelShape,
        errors: Errors | None = None,  # noqa: ARG002 - the protocol's; paired windows tell more than the two errors
    ) -> FloatArray:
        """Return the standard error of the mean difference over windows; trains what it has not trained yet."""
        return error_of_mean(self._measured(shape) - self._measured(baseline))

    def full(self) -> Trained:
        """Return itself: nothing is dearer, but the noise within the front is recorded, and reading trains nothing."""
        return self

    def identity(self) -> str:
        """Return the hash of the recipe and of its text, which is read for it."""
        from codesign.training.data import documents_of

        text = documents_of(self.recipe.text)
        return digest(msgspec.json.encode(self.recipe), *text.train, *text.validation)

    @cached_property
    def recipe(self) -> Recipe:
        """How it trains."""
        from codesign.training.alone import without_sandwich
        from codesign.training.recipe import read_recipe

        return without_sandwich(read_recipe(self.recipe_name).content)

    @cached_property
    def _text(self) -> TrainingText:
        from codesign.training.data import training_text

        return training_text(self.recipe.text)

    def _measured(self, shape: ModelShape) -> FloatArray:
        """(n, w) mean loss of each validation window, in nats a token."""
        from codesign.training.alone import train_alone

        keys = self._keys(shape)
        for key in dict.fromkeys(keys):
            if key not in self.losses:
                self.losses[key] = train_alone(*key, self.recipe, self._text).measured.window_losses
        return np.stack([self.losses[key] for key in keys])

    def _keys(self, shape: ModelShape) -> list[Key]:
        from codesign.training.alone import architecture_of_setting
        from codesign.training.compression import parts_of

        context, vocabulary = self.recipe.text.window, self._text.tokenizer.vocabulary
        try:
            parts = {"vocabulary": vocabulary, "context": context, "task": "language_model", **parts_of(self.recipe)}
            whole = architecture_of(shape, **parts)
        except InputError as error:
            raise self._refusal(f"a shape: {error}") from None
        found = [whole_spans(setting, whole) for setting in settings(shape)]
        return [(architecture_of_setting(whole, setting), setting) for setting in found]

    def _refusal(self, what: str) -> ProxyError:
        return ProxyError(f"proxy {self.name!r} cannot train {what}; change the search space or the recipe")
