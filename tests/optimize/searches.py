"""Small real searches, in this process and in others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

import codesign
from codesign.lines import SEAL_BYTES, sealed, unsealed
from codesign.record import EVALUATIONS, REMEASURED
from codesign.run import MANIFEST, Run

ROOT = Path(__file__).resolve().parents[2]


def small_search(directory: Path, budget: int = 60, population: int = 20, seed: int = 3, **options: Any) -> Run:
    """Search `tiny` under the unit cost model with NSGA-II, whose batches are all of one size."""
    space, cost_model = options.pop("space", "tiny"), options.pop("cost_model", "unit")
    options.setdefault("algorithm", "nsga2")
    return codesign.search(
        str(space), cost_model, budget=budget, population=population, seed=seed, directory=directory, **options
    )


def record_of(directory: Path) -> dict[str, bytes]:
    """The files of a run, byte for byte."""
    names = (MANIFEST, EVALUATIONS, REMEASURED)
    return {name: (directory / name).read_bytes() for name in names if (directory / name).exists()}


def restore(directory: Path, record: dict[str, bytes]) -> Path:
    """Write the files of a run."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in record.items():
        (directory / name).write_bytes(content)
    return directory


def resealed(text: bytes) -> bytes:
    """The lines of a file of a run after an edit, their checksums made to fit."""
    return b"".join(sealed(line[:-SEAL_BYTES] + b"}") + b"\n" for line in text.splitlines())


def edited_line(record: dict[str, bytes], number: int, **fields: Any) -> dict[str, bytes]:
    """The record with some fields of one evaluation replaced, and its checksum made to fit."""
    lines = record[EVALUATIONS].splitlines()
    lines[number] = sealed(msgspec.json.encode(json.loads(unsealed(lines[number])) | fields))
    return record | {EVALUATIONS: b"\n".join(lines) + b"\n"}


def command(*arguments: str | Path) -> list[str]:
    """The command line of `codesign` with these arguments."""
    return [sys.executable, "-m", "codesign", *map(str, arguments)]


def run_command(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `codesign` as a user does, and return what it printed."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=300, check=False, **({"cwd": ROOT} | options)
    )
