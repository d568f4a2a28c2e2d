"""What `codesign prune --task-format squad` wrote, as a function from questions and contexts to answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.errors import InputError
from codesign.pretrained.answering import SIDES, answers_of
from codesign.pretrained.checkpoint import read_checkpoint
from codesign.pretrained.classification import read_tokenizer
from codesign.pretrained.head import TOKENS, check_width, read_head
from codesign.pretrained.objective import Network
from codesign.pretrained.question_windows import windows_of


@dataclass(frozen=True)
class Answerer:
    """A network with its head, and its tokenizer."""

    network: Network
    tokenizer: Any
    longest: int

    def __call__(self, questions: Sequence[str], contexts: Sequence[str], none: bool = False) -> list[str]:
        """Return the answer of each question, a text of its context; "" for none, where `none` allows that.

        Raises:
            InputError: the network computes no numbers.
        """
        windows = windows_of(list(zip(questions, contexts, strict=True)), self.tokenizer, self.longest)
        found = answers_of(self.network, contexts, windows, none)
        if None in found:
            raise InputError("answers: expected numbers, got logits that are infinite or NaN")
        return [answer or "" for answer in found]


def read_answerer(directory: Path) -> Answerer:
    """Read a directory of `codesign prune --task-format squad`.

    Raises:
        InputError: a part is missing or damaged, or the head is that of another task or of a network of another width.
    """
    checkpoint, head = read_checkpoint(directory), read_head(directory, TOKENS)
    check_width(directory, head, int(checkpoint.base.hidden[0]))
    if head.classes != SIDES:
        raise InputError(f"{directory}: expected a head that tells {', '.join(SIDES)}, got {', '.join(head.classes)}")
    return Answerer(Network(checkpoint, head.map), read_tokenizer(directory), head.longest)
