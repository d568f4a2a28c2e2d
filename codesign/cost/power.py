"""Power of whole designs."""

from __future__ import annotations

import numpy as np

from codesign.design import BoolArray, FloatArray, IntArray


def peak_power_w(
    cycles: FloatArray, energy_pj: FloatArray, owner: IntArray, beside: BoolArray, frequency_hz: float
) -> FloatArray:
    """Return (n,) W of the hungriest operation: its dynamic energy over its time, leakage not included.

    A mean over that operation, not an instantaneous peak: within it, filling a tile may draw more.

    Args:
        cycles: (n, P + V) of P matmuls, then V vector operations; of one that runs beside its matmul, 0.
        energy_pj: (n, P + V).
        owner: (V,) the matmul that a vector operation follows; -1 = none.
        beside: (n, V) the vector operation runs beside that matmul.
        frequency_hz: of the clock.
    """
    matmuls = cycles.shape[1] - len(owner)
    of_matmul = (owner[:, None] == np.arange(matmuls)).astype(np.float64)  # (V, P)
    energy = energy_pj.copy()
    energy[:, :matmuls] += np.where(beside, energy_pj[:, matmuls:], 0.0) @ of_matmul
    power = np.divide(energy, cycles, out=np.zeros_like(energy), where=cycles > 0)
    return np.asarray(power.max(axis=1, initial=0.0) * 1e-12 * frequency_hz)
