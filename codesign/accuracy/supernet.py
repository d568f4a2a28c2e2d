"""Perplexity measured on held-out text: each shape is a sub-network of one trained elastic network.

The loss of a shape is the mean over the tokens of fixed windows, the same for all shapes, so that differences between
shapes are paired: what is hard in the text is hard for all, and cancels. Its standard error is that of a mean over
windows. It is the error of the sample of text only: what a shape would reach if trained on its own is another question,
answered by the study in docs/accuracy.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from codesign.accuracy.identity import digest
from codesign.accuracy.paired import error_of_mean, perplexity
from codesign.accuracy.proxy import SHAPE_GENES, Errors, Quality
from codesign.design import BoolArray, Family, FloatArray, IntArray, ModelShape
from codesign.elastic.architecture import Architecture, check_setting, family_of
from codesign.elastic.reach import limited
from codesign.elastic.saved import Card, contents, load, read_card
from codesign.elastic.setting import LayerSetting, Setting, check_whole, settings
from codesign.elastic.trained_choices import is_trained
from codesign.errors import InputError, ProxyError

if TYPE_CHECKING:
    from codesign.elastic.transformer import Elastic
    from codesign.text.tokenizer import Tokenizer, Tokens

SCREENING_WINDOWS = 16
"""Windows of text on which a shape is measured in a search."""

FULL_WINDOWS = 256
"""Windows on which the front of a search is measured again: 32,768 tokens where a window has 128."""


@dataclass(frozen=True)
class Supernet:
    """A trained elastic network as a proxy; a shape's windows are remembered, so that it is measured once."""

    name: str
    directory: Path
    window_count: int = SCREENING_WINDOWS
    losses: dict[Setting, FloatArray] = field(default_factory=dict)
    reads: frozenset[str] = SHAPE_GENES - {"kv_heads", "value_width"}

    def check(self, family: Family, choices: Mapping[str, tuple[float, ...]]) -> None:
        """Refuse families and sizes that are no sub-network.

        Raises:
            ProxyError: names the field, what the network has, and what the space wants.
        """
        a = self.card.architecture
        ours = family_of(a)
        for name in family.__struct_fields__:
            if getattr(family, name) != getattr(ours, name):
                raise self._refusal(f"family.{name} = {getattr(family, name)!r}; it has {getattr(ours, name)!r}")
        most = {"hidden": a.hidden, "layers": a.layers, "heads": a.heads, "ffn": a.ffn}
        for name, largest in most.items():
            if max(choices[name]) > largest:
                raise self._refusal(f"{name} = {max(choices[name])}; it has at most {largest}")
        if set(choices["head_width"]) != {a.head_width}:
            raise self._refusal(f"head_width {sorted(set(choices['head_width']))}; its heads are {a.head_width} wide")
        try:
            if a.removal == "heads":
                check_whole(choices)
        except InputError as error:
            raise self._refusal(str(error)) from None

    def predict(self, shape: ModelShape) -> Quality:
        """Measure n shapes: perplexity per token, and the standard error of its logarithm.

        Extrapolated are those with a value that was not trained, see `is_trained`.

        Raises:
            ProxyError: a shape is no sub-network.
        """
        return perplexity(self.apart(shape), self._extrapolated(shape))

    def apart(self, shape: ModelShape) -> FloatArray:
        """Return (n, w) what each of n shapes does on each window, see `_rows`; none is measured twice."""
        return self._measured(self._settings(shape))

    def compare(
        self,
        shape: ModelShape,
        baseline: ModelShape,
        errors: Errors | None = None,  # noqa: ARG002 - the protocol's; paired windows tell more than the two errors
    ) -> FloatArray:
        """Return the standard error of the mean difference over windows; measures what it has not measured yet."""
        return error_of_mean(self.apart(shape) - self.apart(baseline))

    def full(self) -> Supernet | None:
        """Return the same network on FULL_WINDOWS windows; None where this one has as many."""
        if self.window_count >= FULL_WINDOWS:
            return None
        return replace(self, window_count=FULL_WINDOWS, losses={})

    def identity(self) -> str | None:
        """Return the hash of the network's files and of how much text is read; None of one whose card has no text.

        The card has the hash of the held-out text as numbers; another one is refused before it is measured on.
        """
        if not self.card.text_sha256:
            return None
        return digest(*contents(self.directory), str(self.window_count))

    @cached_property
    def card(self) -> Card:
        """What the network is."""
        return read_card(self.directory)

    @cached_property
    def _network(self) -> Elastic:
        from codesign.training.process import keep_freed_memory, one_thread_an_operation

        one_thread_an_operation()
        keep_freed_memory()
        model, _ = load(self.directory)
        return model

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from codesign.training.folder import tokenizer_of

        return tokenizer_of(self.directory, self.card)

    @cached_property
    def _windows(self) -> Tokens:
        """(w, window + 1) tokens of the validation text, spread evenly over it."""
        from codesign.training.publishing import held_out_windows

        cut = held_out_windows(self.directory, self.card, self._tokenizer)
        chosen: Tokens = cut[self.spread_over(len(cut))]
        return chosen

    def spread_over(self, count: int) -> IntArray:
        """Return which of so many windows of the validation text are measured: spread evenly over them."""
        return np.linspace(0, count - 1, min(self.window_count, count)).astype(np.int64)

    def _measured(self, wanted: list[Setting]) -> FloatArray:
        """(n, w) what each network did on each window, see `_rows`; none is measured twice."""
        if missing := [setting for setting in dict.fromkeys(wanted) if setting not in self.losses]:
            self.losses.update(zip(missing, self._rows(missing), strict=True))
        return np.stack([self.losses[setting] for setting in wanted])

    def _rows(self, settings: list[Setting]) -> list[FloatArray]:
        """(w,) mean loss of each window, in nats a token, of each network."""
        from codesign.training.evaluate import evaluate_apart

        # More windows at a time than these are slower: their activations leave the caches.
        batch = min(len(self._windows), SCREENING_WINDOWS)
        found = evaluate_apart(self._network, settings, self._windows, batch)
        return [one.window_losses for one in found]

    def _settings(self, shape: ModelShape) -> list[Setting]:
        a = self.card.architecture
        found = [limited(whole_spans(setting, a), self.card.reach, a) for setting in settings(shape, a.stack)]
        for setting in found:
            try:
                check_setting(a, setting)
            except InputError as error:
                raise self._refusal(str(error)) from None
        return found

    def _extrapolated(self, shape: ModelShape) -> BoolArray:
        a, choices = self.card.architecture, self.card.choices
        return np.array([not is_trained(setting, choices, a) for setting in settings(shape, a.stack)], dtype=np.bool_)

    def _refusal(self, what: str) -> ProxyError:
        return ProxyError(
            f"proxy {self.name!r} cannot measure {what}; change the search space, or train a network for it "
            "(codesign train) and use --proxy supernet:DIRECTORY"
        )


def whole_spans(setting: Setting, architecture: Architecture) -> Setting:
    """Return the setting with spans of the whole context named alike, so that equal networks are equal."""

    def layer(one: LayerSetting) -> LayerSetting:
        return LayerSetting(**{**vars(one), "span": 0 if one.span >= architecture.context else one.span})

    return Setting(setting.hidden, tuple(map(layer, setting.layers)))
