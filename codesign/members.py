"""Directories that hold a run for each of several seeds; `optimize.seeds` makes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from codesign.journal import MANIFEST
from codesign.remote.copies import is_url

MEMBER = "seed-{:03d}"
"""Names of the directories of the runs."""


def design_address(address: str) -> tuple[str, str] | None:
    """Split RUN#ID into the run and the id; None for any other address, such as a run whose name ends so."""
    named = re.fullmatch(r"(.+)#(\d{1,18})", address)
    if named is None or (not is_url(address) and (Path(address) / MANIFEST).exists()):
        return None
    return named[1], named[2]


def members(address: str | Path) -> list[str | Path]:
    """Return the runs of a directory that holds several; any other address alone."""
    if is_url(address) or (Path(address) / MANIFEST).exists():
        return [address]
    return [*inside(Path(address))] or [address]


def all_members(addresses: Sequence[str | Path]) -> list[str | Path]:
    """Return the runs of several addresses."""
    return [run for address in addresses for run in members(address)]


def inside(directory: Path) -> list[Path]:
    """Return the runs of several seeds that a directory holds; none if it is another one."""
    return sorted(path.parent for path in directory.glob(f"seed-*/{MANIFEST}"))
