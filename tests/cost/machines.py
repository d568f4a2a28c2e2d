"""Random and named cost models and accelerators for the tests of the cost model."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import numpy as np

from codesign.cost import technology
from codesign.cost.prepare import hardware_rates, unit_energies_pj, widths
from codesign.cost.quantity import PositiveQuantity, Quantity
from codesign.cost.technology import Technology
from codesign.cost.technology_tables import Dram
from codesign.cost.unit_costs import reference_accelerator
from codesign.design import Accelerator
from tests.cost.walk import Problem, Widths


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


def problem(extents: np.ndarray, chip: Accelerator, model: Technology, convention: Any) -> Problem:
    """Return one matmul on one accelerator (a column of one row) in plain numbers."""
    words = Widths(*widths(model, convention)[1:])
    scratchpad_words = int(chip.scratchpad_bytes[0] // words.operand)
    accumulator_words = int(chip.accumulator_bytes[0] // words.accumulator)
    M, K, N = extents.tolist()
    return Problem(
        weight_stationary=bool(chip.dataflow[0] == 0),
        extents=(M, K, N),
        array=(int(chip.pe_rows[0]), int(chip.pe_cols[0])),
        words=(scratchpad_words, accumulator_words),
        widths=words,
        rates=tuple(hardware_rates(model, chip)[0].tolist()),
        energies=tuple(unit_energies_pj(model, chip)[0].tolist()),
    )
