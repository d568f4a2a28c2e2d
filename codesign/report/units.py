"""How the page writes numbers: one unit a metric, the same number of digits everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from codesign.design import FloatArray

UNKNOWN = "not known"

GLUE = "\N{NO-BREAK SPACE}"
"""Between a number and its unit."""

# Metric -> what it is called, its unit, and whether engineering prefixes apply to the unit.
METRICS = {
    "edp_js": ("EDP", "J·s", True),
    "energy_j": ("Energy", "J", True),
    "delay_s": ("Delay", "s", True),
    "cycles": ("Cycles", "", True),
    "area_mm2": ("Area", "mm²", False),
    "macs": ("MACs", "", True),
    "parameters": ("Parameters", "", True),
    "dram_bytes": ("DRAM traffic", "B", True),
    "dram_footprint_bytes": ("DRAM footprint", "B", True),
    "peak_power_w": ("Peak power", "W", True),
    "leakage_j": ("Leakage", "J", True),
}

PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}


@dataclass(frozen=True)
class Unit:
    """The one unit in which a metric is shown on the whole page."""

    label: str
    unit: str
    factor: float
    """Value in base units / value shown."""

    @property
    def heading(self) -> str:
        """Label with the unit, as a column heading or axis name."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def in_words(self) -> str:
        """Label inside a sentence; abbreviations stay in capitals."""
        return self.label if self.label[1:2].isupper() else self.label[:1].lower() + self.label[1:]

    def text(self, value: float) -> str:
        """Return a value in base units as shown, without the unit."""
        return number(value / self.factor)

    def with_unit(self, value: float) -> str:
        """Return a value in base units as shown, with the unit."""
        return f"{self.text(value)}{GLUE}{self.unit}".strip() if math.isfinite(value) else UNKNOWN


def choose_unit(metric: str, values: FloatArray) -> Unit:
    """Choose the prefix that suits the middle of these values' range on a logarithmic scale.

    A metric that is not in METRICS is a proxy's: it has no unit, and its name is its label.
    """
    label, unit, prefixed = METRICS.get(metric, (metric.replace("_", " ").capitalize(), "", False))
    known = values[np.isfinite(values) & (values > 0)]
    if not prefixed or not len(known):
        return Unit(label, unit, 1.0)
    middle = math.log10(known.min()) / 2 + math.log10(known.max()) / 2
    power = min(max(3 * math.floor(middle / 3), min(PREFIXES)), max(PREFIXES))
    return Unit(label, PREFIXES[power] + unit, 10.0**power)


def number(value: float, digits: int = 4) -> str:
    """Return a number with this many significant digits and thousands separators."""
    if not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)))
    if power < -5 or power > 9:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    return f"{value:,.{max(digits - 1 - power, 0)}f}".replace("-", "−")


def large(count: int) -> str:
    """Return a count in full up to a million, beyond as 1.1 × 10¹⁶."""
    if count < 10**6:
        return f"{count:,}"
    digits, power = f"{count:.1e}".split("e+")
    return f"{digits} × 10{power.lstrip('0').translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def percent(change: float) -> str:
    """Return a relative change with its sign, such as +4.40 %."""
    if not math.isfinite(change):
        return UNKNOWN
    if abs(change) < 5e-5:
        return f"0.00{GLUE}%"
    digits = 2 if abs(change) < 0.0995 else 1 if abs(change) < 0.9995 else 0
    return f"{100 * change:+,.{digits}f}{GLUE}%".replace("-", "−")


def budget_name(budget: float) -> str:
    """Return an allowed change as it was stated, such as +0.45 % or +4.5 %."""
    return f"+{100 * budget:.4g}{GLUE}%"


def factor(ratio: float) -> str:
    """Return a gain, such as 5.43×."""
    return f"{number(ratio, 3)}×" if math.isfinite(ratio) else UNKNOWN


def against(value: float, reference: float) -> str:
    """Say how a value compares with the reference: 5.43× less, 1.20× more, or the same."""
    if not (math.isfinite(value) and math.isfinite(reference) and value > 0 and reference > 0):
        return UNKNOWN
    if abs(value / reference - 1) < 5e-4:
        return "the same"
    return (
        f"{number(reference / value, 3)}×{GLUE}less"
        if value < reference
        else f"{number(value / reference, 3)}×{GLUE}more"
    )


def rounded(values: Iterable[float], digits: int = 6) -> list[float | None]:
    """Round to significant digits, so that pages stay small and equal on all machines; NaN becomes None."""
    return [float(f"{value:.{digits - 1}e}") if math.isfinite(value) else None for value in map(float, values)]
