"""Kernels as LLVM IR: what numba makes of them, for no machine in particular. The package comes with that of all.

So nobody waits for numba who has not changed a kernel. Whoever has makes the file again: `make kernels`.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

SOURCES = "sources"
"""The entry of the file that says which sources it was made from. The others are texts, by module and name."""


def shipped_path() -> Path:
    """Return where the file is."""
    return Path(__file__).with_name("kernels.json.xz")


@cache
def state_of_sources() -> str:
    """Return a name of all that kernels are made of, and of how; a kernel is made of parts from many modules."""
    texts = (path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return sha256(b"".join(text for text in texts if b"jit" in text or b"llvm" in text.lower())).hexdigest()


def packed(texts: Mapping[str, str]) -> bytes:
    """Return the content of the file, from texts by module and name; the same for the same texts."""
    content = json.dumps({SOURCES: state_of_sources(), **texts}, indent=0, sort_keys=True)
    return lzma.compress(content.encode(), preset=9 | lzma.PRESET_EXTREME)


@cache
def shipped() -> Mapping[str, str]:
    """Return the shipped texts by module and name; none if they are not of these sources, damaged, or not for here.

    numba writes the sizes of pointers and numbers into them: they are for machines of 64 bits, lowest byte first.
    """
    if sys.byteorder != "little" or sys.maxsize < 2**32:
        return {}
    try:
        content = json.loads(lzma.decompress(shipped_path().read_bytes()))
    except (OSError, lzma.LZMAError, EOFError, ValueError):
        return {}
    return content if content.get(SOURCES) == state_of_sources() else {}
