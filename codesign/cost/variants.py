"""Cost models made from one: other DRAM, other voltage, all energies or areas times a factor.

Every changed number keeps its source and says what was done to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from codesign.cost.technology import Technology
from codesign.errors import InputError, unknown_name

ON_CHIP_ENERGY: Mapping[str, tuple[str, ...]] = {
    "register": ("energy_pj_per_byte", "partial_sum_energy_pj_per_byte", "streamed_energy_pj_per_byte"),
    "accumulator": ("energy_pj_per_word", "energy_pj_per_word_slope"),
    "scratchpad": ("energy_pj_per_word", "energy_pj_per_word_slope"),
    "l2": ("energy_pj_per_byte",),
    "vector_unit": ("energy_pj_per_element",),
}
"""With the energies of mac.formats, all dynamic energies but DRAM's."""
AREA: Mapping[str, tuple[str, ...]] = {
    "mac": ("area_mm2",),
    "accumulator": ("area_mm2_per_kib",),
    "scratchpad": ("area_mm2_per_kib",),
    "l2": ("area_mm2_per_kib",),
    "floorplan": ("base_area_mm2",),
}
LEAKAGE: Mapping[str, tuple[str, ...]] = {"leakage": ("power_mw_per_pe", "power_mw_per_kib", "fixed_power_mw")}


def times(technology: Technology, fields: Mapping[str, tuple[str, ...]], factor: float, why: str) -> Technology:
    """Multiply the named numbers of the named tables; tables that the technology lacks are passed over."""
    tables = {name: getattr(technology, name) for name in fields}
    changed = {name: _times(table, fields[name], factor, why) for name, table in tables.items() if table is not None}
    return msgspec.structs.replace(technology, **changed)


def times_on_chip_energy(technology: Technology, factor: float, why: str) -> Technology:
    """Multiply all dynamic energies but DRAM's."""
    numbers = ("multiplier_energy_pj", "adder_energy_pj")
    formats = {name: _times(table, numbers, factor, why) for name, table in technology.mac.formats.items()}
    mac = msgspec.structs.replace(technology.mac, formats=formats)
    return times(msgspec.structs.replace(technology, mac=mac), ON_CHIP_ENERGY, factor, why)


def _times(table: Any, names: tuple[str, ...], factor: float, why: str) -> Any:
    return msgspec.structs.replace(table, **{name: _changed(getattr(table, name), factor, why) for name in names})


def _changed(quantity: Any, factor: float, why: str) -> Any:
    source = f"{quantity.source}; x {factor:.4g}, {why}"
    return msgspec.structs.replace(quantity, value=quantity.value * factor, source=source)


def with_dram(technology: Technology, kind: str) -> Technology:
    """Return the technology with another kind of DRAM that its file names.

    Only the energy changes: bandwidth belongs to the accelerator.

    Raises:
        InputError: a kind that dram.kinds does not name.
    """
    if kind not in technology.dram.kinds:
        raise unknown_name("kind of DRAM (dram.kinds)", kind, technology.dram.kinds)
    energy = technology.dram.kinds[kind].energy_pj_per_byte
    return msgspec.structs.replace(
        technology, dram=msgspec.structs.replace(technology.dram, kind=kind, energy_pj_per_byte=energy)
    )


def at_voltage(technology: Technology, voltage_v: float) -> Technology:
    """Return the technology at another supply voltage.

    On-chip dynamic energies change with V ** 2, leakage with V, the frequency follows clock.points, linear between two
    of them. DRAM is on a supply of its own. An accelerator's dram_bytes_per_cycle stands for other bytes a second then:
    who varies the voltage beside one DRAM must change it too.

    Raises:
        InputError: no clock.points, or a voltage outside them.
    """
    clock = technology.clock
    volts, hertz = _points(technology)
    if not volts[0] <= voltage_v <= volts[-1]:
        raise InputError(f"voltage_v: expected {volts[0]:g} to {volts[-1]:g} as in clock.points, got {voltage_v:g}")
    ratio = voltage_v / clock.voltage_v.value
    why = f"{voltage_v:g} V instead of {clock.voltage_v.value:g} V"
    frequency = float(np.interp(voltage_v, volts, hertz))
    replaced = msgspec.structs.replace(
        technology,
        clock=msgspec.structs.replace(
            clock,
            voltage_v=_changed(clock.voltage_v, ratio, why),
            frequency_hz=_changed(clock.frequency_hz, frequency / clock.frequency_hz.value, f"clock.points, {why}"),
        ),
    )
    return times(times_on_chip_energy(replaced, ratio**2, f"V ** 2, {why}"), LEAKAGE, ratio, why)


def voltage_for(technology: Technology, frequency_hz: float) -> float:
    """Return the lowest voltage in V that sustains a frequency, linear between two clock.points.

    Below the table's slowest point that point's voltage is returned: a chip can always run slower.

    Raises:
        InputError: no clock.points, a frequency above them, or one that is not above zero.
    """
    volts, hertz = _points(technology)
    if not 0 < frequency_hz <= hertz[-1]:
        raise InputError(f"frequency_hz: expected above 0 and at most {hertz[-1]:g}, got {frequency_hz:g}")
    return float(np.interp(frequency_hz, hertz, volts))


def _points(technology: Technology) -> tuple[list[float], list[float]]:
    points = technology.clock.points
    if not points:
        raise InputError(
            "clock.points: expected voltage and frequency pairs in the cost model, got none; its voltage is fixed"
        )
    return [point.voltage_v for point in points], [point.frequency_hz for point in points]
