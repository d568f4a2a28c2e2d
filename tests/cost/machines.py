"""Random and named cost models and accelerators for the tests of the cost model."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import numpy as np

from codesign.cost import technology
from codesign.cost.matmul import MatmulCosts
from codesign.cost.prepare import Operands, hardware_rates, unit_energies_pj, widths
from codesign.cost.quantity import PositiveQuantity, Quantity, Share
from codesign.cost.technology import Technology
from codesign.cost.technology_tables import Dram
from codesign.cost.unit_costs import reference_accelerator
from codesign.design import Accelerator
from tests.cost.enumeration import Problem
from tests.cost.walk import Widths


@cache
def cost_model(name: str) -> Technology:
    """Return a shipped cost model."""
    return technology.read(name).content


def accelerator(**columns: Any) -> Accelerator:
    """Return accelerators that are 2 x 2, 1 KiB, weight stationary and 1 B/cycle where nothing else is said."""
    reference = reference_accelerator(cost_model("unit"))
    named = {name: getattr(reference, name) for name in reference.__dataclass_fields__} | columns
    return Accelerator(*np.broadcast_arrays(*(np.atleast_1d(column) for column in named.values())))


def random_technology(rng: np.random.Generator) -> Technology:
    """Return the 40 nm model with random energies, widths and buffer bandwidths; some energies are zero."""
    model = cost_model("gemmini_40nm")

    def number() -> Quantity:
        return Quantity(value=float(rng.choice([0.0, 1.0, 10.0]) * rng.uniform(0.1, 1)), source="random")

    def buffer(sram: Any, **ports: Quantity) -> Any:
        return msgspec.structs.replace(
            sram,
            energy_pj_per_word=number(),
            energy_pj_per_word_slope=number(),
            words_per_cycle_per_column=PositiveQuantity(value=float(rng.uniform(0.2, 3)), source="random"),
            **ports,
        )

    form = msgspec.structs.replace(model.mac.formats["int"], multiplier_energy_pj=number())
    return msgspec.structs.replace(
        model,
        mac=msgspec.structs.replace(model.mac, formats={"int": form}),
        register=msgspec.structs.replace(
            model.register, energy_pj_per_byte=number(), partial_sum_energy_pj_per_byte=number()
        ),
        accumulator=buffer(model.accumulator),
        scratchpad=buffer(
            model.scratchpad, words_per_cycle_per_row=Quantity(value=float(rng.uniform(0, 2)), source="random")
        ),
        dram=Dram(energy_pj_per_byte=Quantity(value=float(rng.uniform(1, 100)), source="random")),
        tensors=msgspec.structs.replace(
            model.tensors, operand_bits=int(rng.choice([8, 16])), output_bits=int(rng.choice([8, 16, 32]))
        ),
    )


def unified(model: Technology) -> Technology:
    """Return a cost model without accumulator: outputs are in the scratchpad."""
    return msgspec.structs.replace(model, accumulator=None)


def with_array(model: Technology, overlap: float, stream_limit: int) -> Technology:
    """Return a cost model whose array hides less of loading and draining, and reloads what it holds."""
    share = Share(value=overlap, source="a test")
    return msgspec.structs.replace(
        model, array=msgspec.structs.replace(model.array, overlap=share, stream_limit=stream_limit)
    )


def with_registers(model: Technology, weight_words: int, input_words: int, output_words: int) -> Technology:
    """Return a cost model whose PEs hold several words."""
    register = msgspec.structs.replace(
        model.register, weight_words=weight_words, input_words=input_words, output_words=output_words
    )
    return msgspec.structs.replace(model, register=register)


def random_accelerators(rng: np.random.Generator, n: int) -> Accelerator:
    """Return n small accelerators, most of them too small for the matmuls of `random_extents`."""
    return accelerator(
        pe_rows=rng.integers(1, 7, n),
        pe_cols=rng.integers(1, 7, n),
        dataflow=rng.integers(0, 2, n),
        scratchpad_bytes=np.ceil(2 ** rng.uniform(0, 9, n)).astype(np.int64),
        accumulator_bytes=np.ceil(2 ** rng.uniform(1, 10, n)).astype(np.int64),
        dram_bytes_per_cycle=2 ** rng.uniform(-2, 5, n),
        vector_lanes=np.ones(n, dtype=np.int64),
    )


def random_extents(rng: np.random.Generator, n: int, largest: int) -> np.ndarray:
    """(n, 3) M, K, N; primes, powers of two and 1 among them."""
    return rng.integers(1, largest + 1, size=(n, 3))


def random_operands(rng: np.random.Generator, n: int, model: Technology) -> Operands:
    """Return n pairs of operands, of widths that the cost model has, half of the weights sparse."""
    widths_of = model.mac.formats[model.tensors.number_format].widths
    return Operands(
        rng.choice(widths_of, n), rng.choice(widths_of, n), np.where(rng.random(n) < 0.5, 1.0, rng.uniform(0.05, 1, n))
    )


def problem(
    extents: np.ndarray,
    chip: Accelerator,
    model: Technology,
    convention: Any,
    operands: Operands | None = None,
    **more: Any,
) -> Problem:
    """Return one matmul on one accelerator (a column of one row) in plain numbers; `more` are fields of Problem."""
    given = widths(model, convention)
    weight_stationary = bool(chip.dataflow[0] == 0)
    inputs = weights = float(given[0])
    if operands is not None:
        input_bits, weight_bits = float(operands.input_bits[0]), float(operands.weight_bits[0])
        inputs, density = input_bits / 8, float(operands.weight_density[0])
        weights = min(weight_bits, weight_bits * density + 1) / 8  # a bitmask and the values that are not zero
    M, K, N = extents.tolist()
    return Problem(
        weight_stationary=weight_stationary,
        extents=(M, K, N),
        array=(int(chip.pe_rows[0]), int(chip.pe_cols[0])),
        capacity=(float(chip.scratchpad_bytes[0]), float(chip.accumulator_bytes[0])),
        unified=model.accumulator is None,
        words=(inputs, weights, model.tensors.accumulator_bits / 8),
        widths=Widths(inputs, weights, *given[2:]),
        rates=tuple(hardware_rates(model, chip)[0].tolist()),
        energies=tuple(unit_energies_pj(model, chip, operands)[0].tolist()),
        stream_limit=model.array.stream_limit,
        blocks=tuple(blocks(model, weight_stationary)),
        **more,
    )


def blocks(model: Technology, weight_stationary: bool) -> list[tuple[int, int]]:
    """The largest (rows, columns) of what is stationary that one PE's registers hold, with words of the others."""
    register = model.register
    held, by_column = (
        (register.weight_words, register.output_words)
        if weight_stationary
        else (register.output_words, register.weight_words)
    )
    fitting = [
        (rows, columns)
        for rows in range(1, register.input_words + 1)
        for columns in range(1, by_column + 1)
        if rows * columns <= held
    ]
    return [one for one in fitting if not any(a >= one[0] and b >= one[1] and (a, b) != one for a, b in fitting)]


def value(costs: MatmulCosts, objective: str) -> np.ndarray:
    """(r,) what the mapper minimised; infinite where nothing fits."""
    values = {
        "edp": costs.cycles * costs.total_energy_pj,
        "energy": costs.total_energy_pj,
        "delay": costs.cycles,
    }
    return np.where(costs.feasible, values[objective], np.inf)
