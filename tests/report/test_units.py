"""Numbers as the page writes them."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.report.units import against, choose_unit, large, number, percent


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(1234.5), "1,234"),
        (number(0.012345), "0.01235"),
        (number(-5.0, 3), "−5.00"),
        (number(0.0), "0"),
        (number(float("nan")), "not known"),
        (number(3.2e-9), "3.200e−09"),
        (percent(0.0439748), "+4.40 %"),
        (percent(-0.1311), "−13.1 %"),
        (percent(1e-7), "0.00 %"),
        (against(1.0, 5.43), "5.43× less"),
        (against(2.4, 2.0), "1.20× more"),
        (against(2.0, 2.0), "the same"),
        (against(float("nan"), 2.0), "not known"),
        (large(13_824), "13,824"),
        (large(11_100_000_000_000_000), "1.1 × 10¹⁶"),
        (choose_unit("edp_js", np.array([2e-5, 6e-3])).with_unit(1.2e-3), "1,200 µJ·s"),
        (choose_unit("area_mm2", np.array([0.5])).heading, "Area (mm²)"),
        (choose_unit("top1_error", np.array([0.5])).heading, "Top1 error"),
    ],
)
def test_numbers_are_written_for_engineers(written: str, expected: str) -> None:
    """Four digits, thousands separators, one prefix a metric, true minus signs, and no NaN."""
    assert written.replace("\N{NO-BREAK SPACE}", " ") == expected
