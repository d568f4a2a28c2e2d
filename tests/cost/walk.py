"""Two counts of a tiled matmul that share nothing with the package: a walk through the loops, and plain enumeration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import numpy as np

Number = Any  # a float, or an array with one entry a tiling


class Widths(NamedTuple):
    """Bytes of a word, and what is counted: the fields of access.Conventions."""

    operand: float
    output: float
    accumulator: float
    spill: float
    first_read: float
    drain: float


class Counted(NamedTuple):
    """The fields of access.Counts, of one tiling or of many."""

    compute: Number
    register: Number
    accumulator: Number
    scratchpad: Number
    dram: Number


def pieces(length: int, size: int) -> list[int]:
    """Cut a length into pieces of `size`; the last holds the rest."""
    return [min(size, length - start) for start in range(0, length, size)]


@dataclass
class Machine:
    """What is on chip during a walk, and the accesses so far."""

    weight_stationary: bool
    array: tuple[int, int]
    single: bool  # no tile is larger than the array: a register keeps its content from tile to tile
    widths: Widths
    reduction: int  # K: an output is finished once so many products are in it
    compute: float = 0
    register: float = 0
    accumulator: float = 0
    scratchpad: float = 0
    dram: float = 0
    on_chip: dict[str, tuple[int, int] | None] = field(default_factory=lambda: {"W": None, "I": None, "O": None})
    output_words: int = 0  # of the output tile on chip
    products: dict[tuple[int, int], int] = field(default_factory=dict)  # in each output tile, so far
    updated: set[tuple[int, int]] = field(default_factory=set)  # output tiles whose accumulators hold something

    def step(self, tile: tuple[int, int, int], lengths: tuple[int, int, int]) -> None:
        """Multiply one pair of tiles; `tile` is its position in the M, K and N loops."""
        (m, k, n), (M, K, N) = tile, lengths
        new_weights, new_outputs = self.on_chip["W"] != (k, n), self.on_chip["O"] != (m, n)
        self._fetch("W", (k, n), K * N)
        self._fetch("I", (m, k), M * K)
        if new_outputs:
            self.evict()
            if (m, n) in self.products:  # an unfinished tile comes back
                self.dram += M * N * self.widths.spill
            self.on_chip["O"], self.output_words = (m, n), M * N
        if self.weight_stationary:
            self._weight_stationary((m, n), lengths, load=new_weights or not self.single)
        else:
            self._output_stationary((m, n), lengths, update=new_outputs or not self.single)
        self.products[m, n] = self.products.get((m, n), 0) + K

    def evict(self) -> None:
        """Write the output tile on chip to DRAM, as a partial sum where it is not finished."""
        tile = self.on_chip["O"]
        if tile is not None:
            finished = self.products[tile] == self.reduction
            self.accumulator += self.output_words * (self.widths.drain if finished else 1)
            self.dram += self.output_words * (self.widths.output if finished else self.widths.spill)

    def _fetch(self, tensor: str, tile: tuple[int, int], words: int) -> None:
        if self.on_chip[tensor] != tile:
            self.on_chip[tensor] = tile
            self.dram += words * self.widths.operand  # read there,
            self.scratchpad += words  # written here

    def _weight_stationary(self, output: tuple[int, int], lengths: tuple[int, int, int], load: bool) -> None:
        M, K, N = lengths
        for i, (rows, cols) in enumerate(product(pieces(K, self.array[0]), pieces(N, self.array[1]))):
            first = output not in self.updated and i < len(pieces(N, self.array[1]))  # the first piece of K
            if load:
                self.scratchpad += rows * cols
                self.register += rows * cols * self.widths.operand
            self.scratchpad += M * rows  # inputs stream through
            self.register += M * rows * cols * self.widths.operand  # each product reads its weight
            self._update(M * cols, first)
            self.compute += M
        self.updated.add(output)

    def _output_stationary(self, output: tuple[int, int], lengths: tuple[int, int, int], update: bool) -> None:
        M, K, N = lengths
        for rows, cols in product(pieces(M, self.array[0]), pieces(N, self.array[1])):
            self.scratchpad += K * (rows + cols)  # inputs enter by row, weights by column
            self.register += 2 * rows * cols * K * self.widths.accumulator  # read and written by each product
            if update:
                self._update(rows * cols, output not in self.updated)
            self.compute += K
        self.updated.add(output)

    def _update(self, words: int, first: bool) -> None:
        """Write partial sums into the accumulator, and read what was there before unless they are the first."""
        self.accumulator += words
        if not first or self.widths.first_read:
            self.accumulator += words


def walk(
    weight_stationary: bool,
    extents: tuple[int, int, int],
    tiles: tuple[int, int, int],
    array: tuple[int, int],
    order: tuple[int, int, int],
    widths: Widths,
) -> Counted:
    """Walk through the DRAM loops in `order` (dimensions, outermost first) and count."""
    on_array = (tiles[1 if weight_stationary else 0], tiles[2])
    single = on_array[0] <= array[0] and on_array[1] <= array[1]
    machine = Machine(weight_stationary, array, single, widths, extents[1])
    cut = [pieces(extent, tile) for extent, tile in zip(extents, tiles, strict=True)]
    for position in product(*(range(len(cut[dimension])) for dimension in order)):
        m, k, n = (position[order.index(dimension)] for dimension in range(3))
        machine.step((m, k, n), (cut[0][m], cut[1][k], cut[2][n]))
    machine.evict()
    return Counted(machine.compute, machine.register, machine.accumulator, machine.scratchpad, machine.dram)


class Problem(NamedTuple):
    """One matmul on one accelerator, in plain numbers."""

    weight_stationary: bool
    extents: tuple[int, int, int]
    array: tuple[int, int]
    words: tuple[int, int]  # that the scratchpad and the accumulator hold
    widths: Widths
    rates: tuple[float, float, float]  # scratchpad words, accumulator words per column, DRAM bytes a cycle
    energies: tuple[float, float, float, float, float]  # pJ: MAC, register, accumulator, scratchpad, DRAM


def fitting_tiles(problem: Problem) -> Iterator[tuple[int, int, int]]:
    """All whole tile sizes that fit on chip."""
    for m, k, n in product(*(range(1, extent + 1) for extent in problem.extents)):
        if m * k + k * n <= problem.words[0] and m * n <= problem.words[1]:
            yield m, k, n


def objective_of(problem: Problem, counted: Counted, columns: Number, objective: str) -> Number:
    """Weigh counted accesses, numbers or arrays; `columns` of the array are in use on average."""
    scratchpad_rate, accumulator_rate, dram_rate = problem.rates
    slowest = np.maximum(counted.compute, counted.accumulator / (accumulator_rate * columns))
    slowest = np.maximum(slowest, np.maximum(counted.scratchpad / scratchpad_rate, counted.dram / dram_rate))
    cycles = np.ceil(slowest * (1 - 1e-12))
    accesses = (float(np.prod(problem.extents)), *counted[1:])
    energy = sum(pj * count for pj, count in zip(problem.energies, accesses, strict=True))
    return {"edp": cycles * energy, "energy": energy, "delay": cycles}[objective]


def best_walk(problem: Problem, objective: str) -> float:
    """Walk through every tiling that fits in each of the six orders; return the least objective."""
    best = np.inf
    orders: list[tuple[int, int, int]] = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    for tiles in fitting_tiles(problem):
        across = sum(len(pieces(tile, problem.array[1])) for tile in pieces(problem.extents[2], tiles[2]))
        for order in orders:
            counted = walk(problem.weight_stationary, problem.extents, tiles, problem.array, order, problem.widths)
            best = min(best, objective_of(problem, counted, problem.extents[2] / across, objective))
    return best


def best_enumerated(problem: Problem, objective: str, perfect: bool) -> float:
    """Cost all tile sizes in three orders by the closed form, as arrays; return the least objective."""
    M, K, N = problem.extents
    m, k, n = (axis.ravel() for axis in np.meshgrid(*(np.arange(1, e + 1) for e in problem.extents), indexing="ij"))
    keep = (m * k + k * n <= problem.words[0]) & (m * n <= problem.words[1])
    if perfect:
        keep &= (M % m == 0) & (K % k == 0) & (N % n == 0)
    m, k, n = m[keep], k[keep], n[keep]
    on_rows, extent = (k, K) if problem.weight_stationary else (m, M)
    down = steps(extent, problem.array[0], perfect)[on_rows]
    across = steps(N, problem.array[1], perfect)[n]
    single = (on_rows <= problem.array[0]) & (n <= problem.array[1])
    best = np.inf
    for innermost in "MKN":
        trips = {name: -(-e // tile) for name, e, tile in (("M", M, m), ("K", K, k), ("N", N, n))}
        counted = closed_form(problem, trips, down, across, single, innermost)
        best = min(best, objective_of(problem, counted, N / across, objective).min(initial=np.inf))
    return best


def steps(extent: int, lanes: int, perfect: bool) -> np.ndarray:
    """(extent + 1,) array-sized pieces of a dimension, by tile size; entry 0 is unused."""
    result = np.zeros(extent + 1, dtype=np.int64)
    for tile in range(1, extent + 1):
        if perfect:
            equal = max(size for size in range(1, min(lanes, tile) + 1) if tile % size == 0)
            result[tile] = extent // equal
        else:
            result[tile] = sum(-(-length // lanes) for length in pieces(extent, tile))
    return result


def closed_form(
    problem: Problem,
    trips: dict[str, np.ndarray],
    down: np.ndarray,
    across: np.ndarray,
    single: np.ndarray,
    innermost: str,
) -> Counted:
    """Counts of many tilings, each field an array: what a tensor is fetched does not grow with the loop it lacks."""
    M, K, N = problem.extents
    widths = problem.widths
    once = {name: np.where(innermost == name, 1, trips[name]) for name in "MKN"}
    weights, inputs, outputs = K * N * once["M"], M * K * once["N"], M * N * once["K"]
    if problem.weight_stationary:
        loads = K * N * np.where(single, once["M"], trips["M"])
        register, updates = (M * K * N + loads) * widths.operand, M * N * down
        scratchpad, compute = weights + inputs + loads + M * K * across, M * down * across
    else:
        register = 2 * M * K * N * widths.accumulator * np.ones_like(down)
        updates = M * N * np.where(single, once["K"], trips["K"])
        scratchpad, compute = weights + inputs + M * K * across + K * N * down, K * down * across
    reads = updates - (0 if widths.first_read else M * N)
    accumulator = widths.drain * M * N + (outputs - M * N) + updates + reads
    dram = (weights + inputs) * widths.operand + M * N * widths.output + 2 * (outputs - M * N) * widths.spill
    return Counted(compute, register, accumulator, scratchpad, dram)
