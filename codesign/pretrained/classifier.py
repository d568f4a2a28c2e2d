"""What `codesign prune --task` wrote for labelled sentences, as a function from sentences to classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from codesign.pretrained.checkpoint import read_checkpoint
from codesign.pretrained.classification import features_of, read_tokenizer, tokens_of
from codesign.pretrained.head import Head, check_width, read_head
from codesign.pretrained.model import Checkpoint


@dataclass(frozen=True)
class Classifier:
    """A network, its tokenizer and its head."""

    checkpoint: Checkpoint
    tokenizer: Any
    head: Head

    @torch.no_grad()
    def __call__(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[str]:
        """Return the name of the class of each text, or of each text and its second one."""
        tokens = tokens_of(texts, pairs, self.tokenizer, self.head.longest)
        found = self.head.map(features_of(self.checkpoint, tokens)).argmax(dim=1)
        return [self.head.classes[place] for place in found.tolist()]


def read_classifier(directory: Path) -> Classifier:
    """Read a directory of `codesign prune --task`.

    Raises:
        InputError: a part is missing or damaged, or the head is that of a network of another width.
    """
    made = Classifier(read_checkpoint(directory), read_tokenizer(directory), read_head(directory))
    check_width(directory, made.head, int(made.checkpoint.base.hidden[0]))
    return made
