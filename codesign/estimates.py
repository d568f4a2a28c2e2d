"""`codesign estimate`: the cost of one design from a file or a run, or of a file of matmuls."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign import files
from codesign.breakdown import shares
from codesign.checks import check_scenario
from codesign.cost import technology as technologies
from codesign.cost.bounds import design_bounds, gaps
from codesign.cost.deployment import deployment
from codesign.cost.estimate import estimate
from codesign.cost.prepare import Fidelity
from codesign.cost.technology import Technology
from codesign.cost.unit_costs import reference_accelerator
from codesign.describe import describe_accelerator, describe_design
from codesign.design import Design, Family, FloatArray, ModelShape, Scenario
from codesign.design_file import is_exported_design, read_design, read_exported_design
from codesign.errors import InputError

LONGEST_DEFAULT = 512
"""Tokens of a Hugging Face model where no sequence length is given, unless the model has fewer positions."""


@dataclass(frozen=True)
class ScenarioOptions:
    """The deployment of a Hugging Face model, as given on the command line."""

    sequence_length: int | None
    target_length: int | None
    batch: int
    phase: str


def estimate_input(
    source: str, cost_model: str, options: ScenarioOptions, fidelity: Fidelity = "ideal"
) -> dict[str, Any]:
    """Cost one design.

    Args:
        source: a design file (.toml), a Hugging Face config (.json), or RUN#ID.
        cost_model: name or path.
        options: scenario of a Hugging Face config; refused where the source has its own.
        fidelity: of time.

    Returns:
        title, metrics, intervals (10th and 90th percentile of what depends on calibrated time), bounds (costs over what
        no mapping can beat), deployment (of decoders), breakdown (by operation, layer and level), model, accelerator,
        scenario; plain data.
    """
    technology = technologies.read(cost_model).content
    design, scenario = _read(source, technology, options)
    cost = estimate(design, scenario, technology, fidelity)
    if not cost.feasible[0]:
        raise InputError(f"{source}: no tile of some matmul fits into this accelerator's scratchpad and accumulator")
    described = describe_design(design)
    return {
        "format": 1,
        "title": _title(design, scenario),
        "fidelity": fidelity,
        "metrics": _first(cost.metrics()),
        "intervals": {name: [float(low[0]), float(high[0])] for name, (low, high) in cost.intervals().items()},
        "bounds": _first(gaps(cost, design_bounds(design, scenario, technology))),
        "deployment": _first(deployment(design, scenario, technology, fidelity)),
        "breakdown": shares(cost),
        **described,
        "scenario": {name: getattr(scenario, name) for name in scenario.__struct_fields__},
    }


def _first(columns: dict[str, FloatArray]) -> dict[str, float]:
    return {name: float(column[0]) for name, column in columns.items()}


def estimate_matmuls(
    source: Path,
    cost_model: str,
    target: Path,
    objective: Any,
    convention: Any,
    *,
    perfect_factors: bool,
    fidelity: Any,
    buffering: Any,
) -> tuple[int, int]:
    """Cost the matmuls of a CSV file; see `cost.matmul_file`. Returns the number of rows, and of infeasible ones."""
    from codesign.cost.matmul_file import estimate_file
    from codesign.cost.matmul_rows import Options

    technology = technologies.read(cost_model).content
    return estimate_file(
        source, target, technology, Options(objective, convention, perfect_factors, fidelity, buffering)
    )


def _read(source: str, technology: Technology, options: ScenarioOptions) -> tuple[Design, Scenario]:
    if "#" in source:
        _refuse_options(source, options)
        return _read_run(source)
    path = Path(source)
    if path.suffix == ".toml":
        _refuse_options(source, options)
        return read_design(path)
    if path.suffix == ".json" and is_exported_design(path):
        _refuse_options(source, options)
        return read_exported_design(path)
    if path.suffix == ".json":
        from codesign.huggingface import read_config

        shape = read_config(path)
        scenario = _scenario(shape.family, options)
        return Design(shape, reference_accelerator(technology)), scenario
    raise InputError(
        f"{source}: expected a design .toml, an exported design.json, a Hugging Face config.json, or RUN#ID"
    )


def read_shape(source: str) -> ModelShape:
    """Return the model shape (n = 1) of a design .toml, an exported design.json, or RUN#ID.

    Raises:
        InputError: none of these, or one that cannot be read.
    """
    path = Path(source)
    if "#" in source:
        return _read_run(source)[0].shape
    if path.suffix == ".toml":
        return read_design(path)[0].shape
    if path.suffix == ".json" and is_exported_design(path):
        return read_exported_design(path)[0].shape
    raise InputError(f"{source}: expected a design .toml, an exported design.json, or RUN#ID")


def _read_run(source: str) -> tuple[Design, Scenario]:
    from codesign.members import design_address
    from codesign.run import open_run

    directory, number = design_address(source) or source.rsplit("#", 1)
    run = open_run(directory)
    if not re.fullmatch(r"\d{1,18}", number) or int(number) >= len(run.evaluations):
        raise InputError(f"{source}: expected an id of 0..{len(run.evaluations) - 1} after #, got {number!r}")
    row = int(number)
    return run.space.decode(run.evaluations.genomes[row : row + 1]), run.space.scenario


def _refuse_options(source: str, options: ScenarioOptions) -> None:
    if options != ScenarioOptions(None, None, 1, "prefill"):
        raise InputError(
            f"{source}: it has a scenario of its own; --sequence-length, --target-length, --batch and --phase are for "
            "Hugging Face configs"
        )


def _scenario(family: Family, options: ScenarioOptions) -> Scenario:
    positions = family.position_count if family.positions == "learned" else LONGEST_DEFAULT
    length, target = options.sequence_length, options.target_length
    length = min(LONGEST_DEFAULT, positions) if length is None else length
    if target is None:
        target = length if len(family.stacks) == 2 else 0
    raw = {"sequence_length": length, "target_length": target, "batch": options.batch, "phase": options.phase}
    scenario = files.convert(raw, "scenario options", Scenario)
    check_scenario(family, scenario)
    return scenario


def _title(design: Design, scenario: Scenario) -> str:
    stacks = ", ".join(
        f"{int(depth)} {stack} layers"
        for stack, depth in zip(design.shape.family.stacks, design.shape.layers[0], strict=True)
    )
    chip = describe_accelerator(design.accelerator)
    target = f" and {scenario.target_length} target tokens" if scenario.target_length else ""
    return (
        f"{stacks}, hidden {int(design.shape.hidden[0])}; {scenario.phase} of {scenario.sequence_length} "
        f"tokens{target}, batch {scenario.batch}; {chip['pe_rows']}x{chip['pe_cols']} {chip['dataflow']} array, "
        f"scratchpad {chip['scratchpad_kib']} KiB, accumulator {chip['accumulator_kib']} KiB, "
        f"{chip['dram_bytes_per_cycle']:g} B/cycle"
    )
