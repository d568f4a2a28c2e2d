"""From one process node to another: energy, delay and area ratios, and whole cost models.

Source: A. Stillmaker and B. Baas, "Scaling equations for the accurate prediction of CMOS device performance from 180 nm
to 7 nm", Integration 58 (2017): polynomials in the supply voltage, fitted to circuit simulations (high performance
devices below 65 nm), and area factors. Between two nodes of the table, values are linear in the node.

Left out: wires, leakage, memories' sense amplifiers. Only logic, and roughly SRAM, scales like this; DRAM does not. The
delay polynomials are far flatter at low voltage than silicon, and not even monotone above nominal voltage: to vary the
voltage of one chip use clock.points (`variants.at_voltage`).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from codesign.cost.technology import Technology
from codesign.cost.variants import AREA, LEAKAGE, times, times_on_chip_energy
from codesign.errors import InputError

# Node in nm -> coefficients, highest power of the voltage first.
DELAY: Mapping[float, tuple[float, float, float, float]] = {
    65: (-53.3, 230.4, -333.9, 178.6),
    45: (-501.6, 1567, -1619, 566.1),
    32: (-1047, 2982, -2797, 873.5),
    20: (0, 34.63, -66.37, 41.15),
    16: (0, 24.8, -47.52, 28.87),
    14: (-40.66, 109.2, -100.6, 35.92),
    10: (-34.95, 93.65, -85.99, 30.4),
    7: (-28.58, 76.6, -70.26, 24.69),
}
ENERGY: Mapping[float, tuple[float, float, float]] = {
    65: (3.755, -4.398, 1.975),
    45: (1.018, -0.3107, 0.1539),
    32: (0.8367, -0.4341, 0.1701),
    20: (0.373, -0.1582, 0.04104),
    16: (0.2958, -0.1241, 0.03024),
    14: (0.2363, -0.09675, 0.02239),
    10: (0.2068, -0.09311, 0.02375),
    7: (0.1776, -0.09097, 0.02447),
}
AREA_FROM_45: Mapping[float, float] = {65: 1 / 0.66, 45: 1, 32: 0.46, 20: 0.21, 16: 0.19, 14: 0.17, 10: 0.10, 7: 0.059}

VOLTAGES = (0.5, 1.2)
"""Range in V in which the polynomials are used."""

STILLMAKER = "Stillmaker and Baas 2017"


def scale_energy(node_from: float, voltage_from: float, node_to: float, voltage_to: float) -> float:
    """Energy of the same logic at (node_to, voltage_to) over that at (node_from, voltage_from); nodes in nm, V.

    Raises:
        InputError: a node or voltage outside the table.
    """
    return _value(ENERGY, node_to, voltage_to) / _value(ENERGY, node_from, voltage_from)


def scale_delay(node_from: float, voltage_from: float, node_to: float, voltage_to: float) -> float:
    """Delay of the same logic at (node_to, voltage_to) over that at (node_from, voltage_from); nodes in nm, V.

    Raises:
        InputError: a node or voltage outside the table.
    """
    return _value(DELAY, node_to, voltage_to) / _value(DELAY, node_from, voltage_from)


def scale_area(node_from: float, node_to: float) -> float:
    """Area of the same logic at node_to over that at node_from; nodes in nm.

    Raises:
        InputError: a node outside the table.
    """
    return _between(AREA_FROM_45, node_to) / _between(AREA_FROM_45, node_from)


def scaled(technology: Technology, node_from: float, node_to: float, voltage_to: float) -> Technology:
    """Return a technology of node_from (in nm, at its clock.voltage_v) as it would be at node_to and voltage_to.

    Energies on chip, areas and the frequency scale; DRAM and everything in cycles stay. Leakage is not in the source:
    it is scaled as a dynamic power at equal frequency, an estimate. The V/F points are dropped: they belong to silicon.

    Raises:
        InputError: a node or voltage outside the table.
    """
    clock = technology.clock
    voltage_from = clock.voltage_v.value
    why = f"{node_from:g} nm {voltage_from:g} V to {node_to:g} nm {voltage_to:g} V ({STILLMAKER})"
    energy = scale_energy(node_from, voltage_from, node_to, voltage_to)
    slower = scale_delay(node_from, voltage_from, node_to, voltage_to)
    frequency = msgspec.structs.replace(
        clock.frequency_hz,
        value=clock.frequency_hz.value / slower,
        source=f"{clock.frequency_hz.source}; scaled, {why}",
    )
    voltage = msgspec.structs.replace(clock.voltage_v, value=voltage_to, source=why)
    result = msgspec.structs.replace(
        technology,
        description=f"{technology.description}; scaled from {node_from:g} to {node_to:g} nm",
        clock=msgspec.structs.replace(clock, frequency_hz=frequency, voltage_v=voltage, points=()),
    )
    result = times(times_on_chip_energy(result, energy, why), AREA, scale_area(node_from, node_to), why)
    return times(result, LEAKAGE, energy, f"an estimate: as dynamic energy, {why}")


def _value(table: Mapping[float, tuple[float, ...]], node: float, voltage_v: float) -> float:
    low, high = VOLTAGES
    if not low <= voltage_v <= high:
        raise InputError(f"voltage: expected {low:g} to {high:g} V, got {voltage_v:g}")
    return _between({key: float(np.polyval(coefficients, voltage_v)) for key, coefficients in table.items()}, node)


def _between(values: Mapping[float, float], node: float) -> float:
    nodes = sorted(values)
    if not nodes[0] <= node <= nodes[-1]:
        raise InputError(f"node: expected {nodes[0]:g} to {nodes[-1]:g} nm ({STILLMAKER}), got {node:g}")
    value = float(np.interp(node, nodes, [values[key] for key in nodes]))
    if value <= 0:
        raise InputError(f"node {node:g} nm: the polynomials of {STILLMAKER} are not positive at this voltage")
    return value
