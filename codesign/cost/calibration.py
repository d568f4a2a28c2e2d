"""Coefficients of calibrated cycles, each with its source: the table [calibration] of a cost model.

`calibrated` has the equation that uses them.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from codesign.cost.quantity import PositiveInt, PositiveQuantity, Quantity, Source, Strict

Coefficients = tuple[float, float, float, float, float, float, float]
"""start_cycles, request_latency_cycles, preload_share, hidden_share, bandwidth_ratio, beat_bytes, line_bytes."""


class HiddenShare(Strict, frozen=True):
    """A share below one half, with its source: so that streaming more rows never takes fewer cycles."""

    value: Annotated[float, Meta(ge=0, le=0.5)]
    source: Source


class PreloadShare(Strict, frozen=True):
    """A number from 0 to 2, with its source: 2 = neither the load nor the swap of a register's double is hidden."""

    value: Annotated[float, Meta(ge=0, le=2)]
    source: Source


class Calibration(Strict, frozen=True):
    """Coefficients of calibrated cycles, and how far the cycles of layers left out of the fit lay from them."""

    source: Source
    pe_rows: PositiveInt
    """The array it was fitted on: rows, columns; and the DRAM bandwidth that the ideal model gives it."""
    pe_cols: PositiveInt
    dram_bytes_per_cycle: PositiveQuantity
    start_cycles: Quantity
    """Once a matmul: configuration and the first instructions."""
    request_latency_cycles: Quantity
    """Once a tile: from a request for its operands to the first bytes."""
    preload_share: PreloadShare
    """Share of the array's rows that a stationary piece stalls the array for, before anything hides it."""
    hidden_share: HiddenShare
    """Rows of preload hidden for each row streamed."""
    bandwidth_ratio: PositiveQuantity
    """Bytes a cycle that the DMA moves, over the DRAM bandwidth of the ideal model."""
    beat_bytes: PositiveQuantity
    """Width of the bus: a narrower row of a stored tile is read, changed and written as a line."""
    line_bytes: PositiveQuantity
    log_residual_sd: Quantity
    """Standard deviation of ln(measured / calibrated), layers left out of the fit."""
    low_ratio: PositiveQuantity
    """10th percentile of measured / calibrated, layers left out of the fit."""
    high_ratio: PositiveQuantity
    """90th percentile, likewise."""


def coefficients(calibration: Calibration) -> Coefficients:
    """Return the numbers in the order in which the kernel takes them."""
    return (
        calibration.start_cycles.value,
        calibration.request_latency_cycles.value,
        calibration.preload_share.value,
        calibration.hidden_share.value,
        calibration.bandwidth_ratio.value,
        calibration.beat_bytes.value,
        calibration.line_bytes.value,
    )
