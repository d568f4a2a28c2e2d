"""Lines of evaluations.jsonl as columns, many at a time: a record of a million designs is read in seconds.

Memory stays that of the columns: a block of lines is decoded, checked as arrays, and forgotten. Only where something is
wrong are its lines looked at one by one, to say which of them and why.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from codesign.design import IntArray
from codesign.errors import RunError
from codesign.evaluation import Evaluations
from codesign.lines import SEAL, SEAL_BYTES, unsealed, whole_blocks, whole_lines
from codesign.record import EVALUATIONS, Asks, Line
from codesign.space import SearchSpace

BYTE_VALUES = 256

AHEAD = 1.05
"""Room for lines that are shorter than those before."""

LINE_FIELDS = Line.__struct_fields__


class Reader:
    """Reads the evaluations of a run, and later those that were appended since."""

    def __init__(self, directory: Path, space: SearchSpace, names: Sequence[str], checksums: bool) -> None:
        """Read nothing yet.

        Args:
            directory: of the run.
            space: whose genomes the lines hold.
            names: of the metrics, quality first.
            checksums: whether each line ends with one; in runs of format 1 none does.
        """
        self._path, self._space, self._names, self._checksums = directory / EVALUATIONS, space, list(names), checksums
        self._decode = decoder(self._names)
        self._bytes, self._count = 0, 0

    def none(self) -> tuple[Evaluations, Asks]:
        """Return no evaluations, as columns."""
        return self._columns([])

    def more(self) -> Iterator[tuple[Evaluations, Asks]]:
        """Yield the evaluations that were not read yet, in portions. A torn last line is left out.

        Raises:
            RunError: no such file, or it is damaged; names the line.
        """
        try:
            for block in whole_blocks(self._path, self._bytes):
                part = self._block(whole_lines(block))
                self._bytes, self._count = self._bytes + len(block), self._count + len(part[0])
                yield part
        except OSError as error:
            raise RunError(f"{self._path}: cannot be read: {error.strerror}; restore the file from a copy") from None

    def ahead(self) -> int:
        """Return about how many evaluations are left to read, rather too many, after some were read."""
        left = max(self._path.stat().st_size - self._bytes, 0)
        return int(left * self._count / max(self._bytes, 1) * AHEAD)

    def _block(self, lines: list[bytes]) -> tuple[Evaluations, Asks]:
        text = _joined_sealed(lines) if self._checksums else b"[" + b",".join(lines) + b"]"
        try:
            decoded = self._decode(text)
            if len(decoded) == len(lines) and [line.id for line in decoded] == list(
                range(self._count, self._count + len(lines))
            ):
                return self._columns(decoded)
        except (ValueError, msgspec.DecodeError) as error:
            raise self._refusal(lines, str(error)) from None
        raise self._refusal(lines, "its lines do not stand one after the other")

    def _columns(self, lines: list[Any]) -> tuple[Evaluations, Asks]:
        """Return decoded lines as columns.

        Raises:
            ValueError: a genome has another length or is out of range.
        """
        rows = zip(*map(msgspec.structs.astuple, lines), strict=True) if lines else ((),) * len(LINE_FIELDS)
        column = dict(zip(LINE_FIELDS, rows, strict=True))
        values = np.array(list(map(msgspec.structs.astuple, column["metrics"])), dtype=np.float64)
        values = values.reshape(len(lines), len(self._names))
        evaluations = Evaluations(
            genomes=_genomes(column["genome"], self._space.sizes),
            metrics=dict(zip(self._names, np.ascontiguousarray(values.T), strict=True)),
            log_standard_error=np.array(column["log_standard_error"], dtype=np.float64),
            extrapolated=np.array(column["extrapolated"], dtype=np.bool_),
            violation=np.array(column["violation"], dtype=np.float64),
            failure=np.array(column["failure"], dtype=np.object_),
        )
        order = [id_ if place is None else place for id_, place in zip(column["id"], column["order"], strict=True)]
        after = np.array(column["after"], dtype=np.int64)
        return evaluations, Asks(after, np.array(order, dtype=np.int64))

    def _refusal(self, lines: list[bytes], otherwise: str) -> RunError:
        """Return what is wrong with the first bad line of a block; `otherwise` if each is right by itself."""
        start = self._bytes
        for number, raw in enumerate(lines, self._count):
            where = f"{self._path}: line {number + 1}"
            try:
                line = msgspec.json.decode(unsealed(raw) if self._checksums else raw, type=Line)
            except (ValueError, msgspec.DecodeError) as error:
                rest = f"restore the file from a copy, or keep only what stands before it: truncate -s {start}"
                return RunError(f"{where} is damaged: {error}; {rest} {self._path}")
            if wrong := self._wrong(line, number):
                return RunError(f"{where}: {wrong}")
            start += len(raw) + 1
        last = self._count + len(lines)
        return RunError(f"{self._path}: lines {self._count + 1}..{last} are damaged: {otherwise}; restore the file")

    def _wrong(self, line: Line, number: int) -> str:
        """Return what is wrong with a line that could be decoded; empty if nothing is."""
        if line.id != number:
            return f"expected id {number}, got {line.id}; lines were lost or moved"
        if list(line.metrics) != self._names:
            return f"expected the metrics {', '.join(self._names)}, got {', '.join(line.metrics) or 'none'}"
        genes = self._space.genes
        if len(line.genome) != len(genes):
            return f"expected a genome of {len(genes)} genes, got {len(line.genome)}"
        for gene, position in zip(genes, line.genome, strict=True):
            if not 0 <= position < len(gene.values):
                return f"gene {gene.name}: expected 0..{len(gene.values) - 1}, got {position}"
        return ""


def decoder(names: list[str]) -> Any:
    """Return what decodes a JSON array of lines whose metrics have these names.

    The lines are as `Line` says, but that metrics are a struct, which is faster than a dict, and neither is looked at
    by the garbage collector.
    """
    fields = [(f"column{place}", float | None) for place in range(len(names))]  # a name may be no identifier
    rename = {f"column{place}": name for place, name in enumerate(names)}
    struct = partial(msgspec.defstruct, frozen=True, forbid_unknown_fields=True, gc=False)
    metrics = struct("Metrics", fields, rename=rename)
    line = struct(
        "FastLine",
        [
            (field.name, metrics if field.name == "metrics" else field.type)
            if field.required
            else (field.name, field.type, field.default)
            for field in msgspec.structs.fields(Line)
        ],
    )
    return msgspec.json.Decoder(list[line]).decode  # type: ignore[valid-type]


def _joined_sealed(lines: list[bytes]) -> bytes:
    """Return lines with checksums as one JSON array without them.

    Lines whose checksum does not fit give text that is no JSON, so that they are refused like any other damage.
    """
    crc32 = zlib.crc32
    bodies = [line[:-SEAL_BYTES] for line in lines]
    expected = SEAL * len(lines) % tuple([crc32(b"}", crc32(body)) for body in bodies])
    if b"".join([line[-SEAL_BYTES:] for line in lines]) != expected:
        return b""
    return b"[" + b"},".join(bodies) + b"}]"


def _genomes(rows: Sequence[list[int]], sizes: IntArray) -> IntArray:
    """(n, genes) the rows as an array.

    Raises:
        ValueError: one has another length, or a position beyond (genes,) the sizes.
    """
    if not set(map(len, rows)) <= {len(sizes)}:
        raise ValueError("a genome has another length")
    if sizes.max(initial=0) <= BYTE_VALUES:  # twice as fast; bytes() refuses what does not fit into one
        flat = np.frombuffer(b"".join(map(bytes, rows)), dtype=np.uint8).astype(np.int64)
    else:
        flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=len(rows) * len(sizes))
    genomes: IntArray = flat.reshape(len(rows), len(sizes))
    if ((genomes < 0) | (genomes >= sizes)).any():
        raise ValueError("a position is out of range")
    return genomes
