"""Numbers as people read them."""

from __future__ import annotations

SCALES = (
    (1e-12, "p"),
    (1e-9, "n"),
    (1e-6, "µ"),
    (1e-3, "m"),
    (1.0, ""),
    (1e3, "k"),
    (1e6, "M"),
    (1e9, "G"),
    (1e12, "T"),
)


def engineering(value: float, unit: str = "") -> str:
    """Write a number with three to four digits and an SI prefix: 0.0653 J -> 65.3 mJ."""
    if value == 0 or value != value:
        return f"{value:g} {unit}".strip()
    scale, prefix = next((s for s in reversed(SCALES) if abs(value) >= s[0]), SCALES[0])
    return f"{value / scale:.4g} {prefix}{unit}".strip()


def interval_text(low: float, high: float) -> str:
    """Return an interval as text."""
    return "not known" if low != low else f"{low:.4g}..{high:.4g}"
