"""A published checkpoint, cut in many ways and measured on real sentences: MiniLM on VADER."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def run(sentences: Path) -> list[dict[str, Any]]:
    """Return accuracy of MiniLM after each surgery, with and without recovery, beside the whole network.

    Args:
        sentences: directory of VADER's files, `vader_*.tsv.gz`.

    Raises:
        InputError: no such files, or MiniLM is not installed.
    """
    from codesign.pretrained.minilm import minilm_figures

    return list(minilm_figures(sentences))
