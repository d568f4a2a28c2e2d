"""ZigZag's search of one matmul on a machine of the comparison: its files, and its stages with register reads counted.

ZigZag (Mei et al., IEEE TC 2021; LOMA, Symons et al., AICAS 2021) is an extra: `pip install codesign[peers]`.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.bench.peer_data import Definition, Machine

LOOP_FACTOR_LIMIT = 6
INSTALL = 'not installed; pip install "codesign[peers]" (zigzag-dse, six)'

WIDE = 2**16
"""Bits a cycle of ports on chip: as good as unlimited. Energy goes by the bits moved, so their width is no cost."""
REGISTER_PORT = 64
PORT_NAMES = {"read": "r", "write": "w", "read_write": "rw"}


@dataclass(frozen=True)
class Found:
    """ZigZag's best mapping of a matmul."""

    energy_pj: float
    cycles: float
    """max(compute, DRAM accesses): without the stalls and loads that ideal time does not have."""


def installed() -> bool:
    """Whether ZigZag can be imported."""
    from importlib.util import find_spec

    return find_spec("zigzag") is not None and find_spec("six") is not None


def search(definition: Definition, machine: str, matmuls: list[str], folder: Path) -> list[Found]:
    """Search matmuls on one machine for the least EDP.

    Args:
        definition: of machines and matmuls.
        machine: its name.
        matmuls: their names.
        folder: where the files that ZigZag reads are written.
    """
    hardware = definition.hardware[machine]
    paths = {"accelerator": folder / "accelerator.yaml", "mapping": folder / "mapping.yaml"}
    contents = {
        "accelerator": accelerator_file(hardware, definition.energy_pj["mac_int8_per_op"]),
        "mapping": mapping_file(hardware),
    }
    for name, content in contents.items():
        paths[name].write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return [_search_one(workload_file(definition.workloads[name]), paths) for name in matmuls]
    finally:
        logging.disable(disabled)


def _search_one(workload: list[dict[str, Any]], paths: dict[str, Path]) -> Found:
    from zigzag.mapping.temporal_mapping import TemporalMappingType
    from zigzag.stages.evaluation.cost_model_evaluation import CostModelStage
    from zigzag.stages.main import MainStage
    from zigzag.stages.mapping.spatial_mapping_generation import SpatialMappingGeneratorStage
    from zigzag.stages.mapping.temporal_mapping_generator_stage import TemporalMappingGeneratorStage
    from zigzag.stages.parser.accelerator_parser import AcceleratorParserStage
    from zigzag.stages.parser.workload_parser import WorkloadParserStage
    from zigzag.stages.results.reduce_stages import MinimalEDPStage, SumStage
    from zigzag.stages.workload_iterator import WorkloadStage

    stages = [WorkloadParserStage, AcceleratorParserStage, SumStage, WorkloadStage, MinimalEDPStage]
    stages += [SpatialMappingGeneratorStage, MinimalEDPStage, TemporalMappingGeneratorStage, CostModelStage]
    found = MainStage(
        stages,
        workload=workload,
        **{name: str(path) for name, path in paths.items()},
        loma_lpf_limit=LOOP_FACTOR_LIMIT,
        loma_show_progress_bar=False,
        nb_mappings_generated=1,
        enable_mix_spatial_mapping_generation=False,
        access_same_data_considered_as_no_access=False,  # each MAC reads its register
        temporal_mapping_type=TemporalMappingType.UNEVEN,
    ).run()[0][0]
    moved = sum(sum(levels[-1].data.values()) for levels in found.memory_word_access.values())  # DRAM, a cycle each
    return Found(float(found.energy_total), float(max(found.ideal_temporal_cycle, moved)))


def workload_file(extents: dict[str, int]) -> list[dict[str, Any]]:
    """Return one matmul as a layer; D0, D1, D2 are M, K, N."""
    layer = {
        "id": 0,
        "name": "matmul",
        "operator_type": "Gemm",
        "equation": "O[d0][d2]+=I[d0][d1]*W[d1][d2]",
        "loop_dims": ["D0", "D1", "D2"],
        "loop_sizes": [extents[name] for name in "MKN"],
        "operand_precision": {"W": 8, "I": 8, "O": 32, "O_final": 8},
        "operand_source": {"W": 0, "I": 0},
    }
    return [layer]


def mapping_file(machine: Machine) -> list[dict[str, Any]]:
    """Return what the array carries."""
    rows, columns = machine.spatial
    named = {"M": "D0", "K": "D1", "N": "D2"}
    spatial = {"D1": [f"{named[rows.loop]}, {rows.size}"], "D2": [f"{named[columns.loop]}, {columns.size}"]}
    links = {"O": "O", "W": "I2", "I": "I1"}
    return [{"name": "default", "spatial_mapping": spatial, "memory_operand_links": links}]


def accelerator_file(machine: Machine, mac_pj: float) -> dict[str, Any]:
    """Return the machine, memories from the registers outwards."""
    memories: dict[str, Any] = {}
    operands = {"I": "I1", "W": "I2", "O": "O"}
    for level in reversed(machine.levels_outer_to_inner):
        held = [operands[tensor] for tensor in level.holds]
        if level.bytes is None:
            port, served = int(machine.dram_bytes_per_cycle_shared_rw * 8), ["D1", "D2"]
        else:
            in_pe = level.name.endswith("REG")
            port, served = (REGISTER_PORT, []) if in_pe else (WIDE, ["D1", "D2"])
        memories[level.name.lower()] = {
            "size": 8 * (level.bytes or 2**30),
            "r_cost": level.pj_per_byte * port / 8,
            "w_cost": level.pj_per_byte * port / 8,
            "area": 0,
            "latency": 1,
            "auto_cost_extraction": False,
            "operands": held,
            "ports": _ports(held, port, shared=level.bytes is None),
            "served_dimensions": served,
        }
    array = {"input_precision": [8, 8], "unit_energy": mac_pj, "unit_area": 1, "dimensions": ["D1", "D2"]}
    sizes = [side.size for side in machine.spatial]
    return {"name": "machine", "memories": memories, "operational_array": array | {"sizes": sizes}}


def _ports(held: list[str], width: int, *, shared: bool) -> list[dict[str, Any]]:
    """Return a port for each direction, or one for all of them; tl, fh = to low, from high, and so on."""
    moves = {"read": ["tl"], "write": ["fh"]} if "O" not in held else {}
    ports = [(kind, [f"{name}, {move}" for name in held for move in of_kind]) for kind, of_kind in moves.items()]
    if "O" in held:
        ports = [("read", ["O, tl"]), ("read", ["O, th"]), ("write", ["O, fh"]), ("write", ["O, fl"])]
    if shared:
        every = ["fh", "tl", "fl", "th"]
        moves_of = {name: every if name == "O" else every[:2] for name in held}
        ports = [("read_write", [f"{name}, {move}" for name in held for move in moves_of[name]])]
    return [
        {
            "name": f"{PORT_NAMES[kind]}_port_{number}",
            "type": kind,
            "bandwidth_min": 8,
            "bandwidth_max": width,
            "allocation": allocation,
        }
        for number, (kind, allocation) in enumerate(ports)
    ]
