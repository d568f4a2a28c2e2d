"""A walk through the loops of any nest that shares nothing with the package: what is on chip, what has to be fetched.

Dimensions are M, K, N = 0, 1, 2 and tensors I, W, O = 0, 1, 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

DIMENSIONS = ((0, 1), (1, 2), (0, 2))
"""Those that index I, W, O."""
FREE = (2, 0, 1)
"""The one that does not."""

Span = tuple[int, int]
Spans = tuple[Span, Span, Span]


class Widths(NamedTuple):
    """Bytes of a word, and what is counted: the fields of count.Widths."""

    input: float
    weight: float
    output: float
    accumulator: float
    spill: float
    first_read: float
    drain: float
    saved: float


class Counted(NamedTuple):
    """The fields of count.Counts, of one mapping or of many."""

    compute: Any
    register: Any
    accumulator: Any
    inputs: Any
    weights: Any
    dram: Any


class Nest(NamedTuple):
    """Loops, outermost first, each cutting what is left of its dimension into pieces; and where tensors are kept."""

    loops: tuple[tuple[int, int], ...]  # (dimension, size)
    depth: tuple[int, int, int]  # of I, W, O: how many loops are above its tile on chip


def cut(length: int, size: int) -> list[int]:
    """Cut a length into pieces of `size`; the last holds the rest."""
    return [min(size, length - start) for start in range(0, length, size)]


def spans(span: Span, size: int) -> list[Span]:
    """Cut a span into spans of `size`; the last holds the rest."""
    return [(start, min(start + size, span[1])) for start in range(*span, size)]


def length(span: Span) -> int:
    """Return how long a span is."""
    return span[1] - span[0]


@dataclass
class Machine:
    """What is on chip during a walk, and the accesses so far.

    Each block ends with the PEs as a full-sized one would leave them: where loops over what they hold are inside of the
    one that advances, they are loaded again, even if these loops have a single trip left at the edge of the matmul.
    """

    weight_stationary: bool
    extents: tuple[int, int, int]
    array: tuple[int, int]
    widths: Widths
    stream_limit: int = 0
    updates: int = 0
    compute: float = 0
    register: float = 0
    accumulator: float = 0
    inputs: float = 0
    weights: float = 0
    dram: float = 0
    on_chip: list[tuple[Span, ...] | None] = field(default_factory=lambda: [None, None, None])
    peak: list[int] = field(default_factory=lambda: [0, 0, 0])  # most words on chip
    products: dict[tuple[Span, ...], int] = field(default_factory=dict)  # in each output tile, so far
    stationary: tuple[Span, Span] | None = None  # what the PEs hold,
    streamed: int = 0  # and how much has passed it
    advanced: int = 0  # the outermost loop that has advanced since the last block

    def walk(self, nest: Nest) -> Counted:
        """Walk through a nest and count."""
        M, K, N = self.extents
        self._loops(nest, 0, ((0, M), (0, K), (0, N)))
        self._evict()
        if not self.weight_stationary and self.updates == M * N:  # all outputs were finished in one go
            self.accumulator -= self.widths.saved * M * N
        return Counted(self.compute, self.register, self.accumulator, self.inputs, self.weights, self.dram)

    def _loops(self, nest: Nest, depth: int, at: Spans) -> None:
        for tensor in range(3):
            if nest.depth[tensor] == depth:
                self._keep(tensor, tuple(at[d] for d in DIMENSIONS[tensor]))
        if depth == len(nest.loops):
            if not self._stays(nest):
                self.stationary = None
            self.advanced = depth
            self._multiply(at)
            return
        dimension, size = nest.loops[depth]
        for span in spans(at[dimension], size):
            if span[0] != at[dimension][0]:
                self.advanced = min(self.advanced, depth)
            inner = list(at)
            inner[dimension] = span
            self._loops(nest, depth + 1, (inner[0], inner[1], inner[2]))

    def _stays(self, nest: Nest) -> bool:
        """Whether the PEs may still hold what the next block needs, its true size left aside."""
        sizes = list(self.extents)
        for depth, (dimension, size) in enumerate(nest.loops):
            held = dimension in DIMENSIONS[1 if self.weight_stationary else 2]
            if depth > self.advanced and held and size < sizes[dimension]:
                return False
            sizes[dimension] = min(size, sizes[dimension])
        return sizes[1 if self.weight_stationary else 0] <= self.array[0] and sizes[2] <= self.array[1]

    def _keep(self, tensor: int, tile: tuple[Span, ...]) -> None:
        """Make a tile the one on chip."""
        if self.on_chip[tensor] == tile:
            return
        words = length(tile[0]) * length(tile[1])
        self.peak[tensor] = max(self.peak[tensor], words)
        if tensor == 2:
            self._evict()
            if tile in self.products:  # an unfinished tile comes back
                self.dram += words * self.widths.spill
        else:
            self.dram += words * self.widths[tensor]
        self.inputs += words * (tensor == 0)
        self.weights += words * (tensor == 1)
        self.on_chip[tensor] = tile

    def _evict(self) -> None:
        """Write the output tile on chip to DRAM, as a partial sum where it is not finished."""
        tile = self.on_chip[2]
        if tile is None:
            return
        words = length(tile[0]) * length(tile[1])
        finished = self.products[tile] == words * self.extents[1]
        self.accumulator += words * (self.widths.drain if finished else 1)
        self.dram += words * (self.widths.output if finished else self.widths.spill)

    def _multiply(self, at: Spans) -> None:
        """Work through one innermost block, one array-sized piece after the other."""
        on_rows, stream = (at[1], at[0]) if self.weight_stationary else (at[0], at[1])
        for rows, columns in product(spans(on_rows, self.array[0]), spans(at[2], self.array[1])):
            start = stream[0]
            while start < stream[1]:
                if self.stationary != (rows, columns) or (self.stream_limit and self.streamed == self.stream_limit):
                    self.stationary, self.streamed = (rows, columns), 0
                    self._load(length(rows) * length(columns), first=start == 0)
                left = self.stream_limit - self.streamed if self.stream_limit else stream[1]
                now = min(stream[1] - start, left)
                start, self.streamed = start + now, self.streamed + now
            self._pass(length(stream), length(rows), length(columns), first=rows[0] == 0)
        tile = self.on_chip[2]
        assert tile is not None
        self.products[tile] = self.products.get(tile, 0) + length(at[0]) * length(at[1]) * length(at[2])

    def _load(self, words: int, first: bool) -> None:
        """Load weights into the PEs; or start outputs there, which are written back once."""
        if self.weight_stationary:
            self.weights += words
            self.register += words * self.widths.weight
        else:
            self._update(words, first)
            if not first:  # a sum that comes back is written, and was read to go
                self.register += 2 * words * self.widths.accumulator

    def _pass(self, stream: int, rows: int, columns: int, first: bool) -> None:
        """Stream past what the PEs hold."""
        self.compute += stream
        self.inputs += stream * rows
        if self.weight_stationary:
            self.register += stream * rows * columns * self.widths.weight  # each product reads its weight
            self._update(stream * columns, first)
        else:
            self.register += 2 * stream * rows * columns * self.widths.accumulator  # each reads and writes its sum
            self.weights += stream * columns

    def _update(self, words: int, first: bool) -> None:
        """Write partial sums into the accumulator, and read what was there before unless they are the first."""
        self.accumulator += words
        self.updates += words
        if not first or self.widths.first_read:
            self.accumulator += words


def form_nest(x: int, z: int, tiles: tuple[int, int, int], part: int, line: bool) -> Nest:
    """Write a form as loops: x's tiles, x's free dimension, parts of y's free dimension, with z in them.

    Where z only passes through, line by line, each line is a loop of its own.
    """
    y = 3 - x - z
    outer = [(FREE[z], tiles[FREE[z]]), (FREE[y], tiles[FREE[y]])]
    loops = [*outer, (FREE[x], tiles[FREE[x]]), (FREE[y], part)]
    if line:
        loops.append((FREE[x], 1))
    depth = [0, 0, 0]
    depth[x], depth[y], depth[z] = 2, 3, len(loops)
    return Nest(tuple(loops), (depth[0], depth[1], depth[2]))
