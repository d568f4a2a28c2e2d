"""On how much text a trained network measures, as part of a proxy's name."""

from __future__ import annotations

import pytest

from codesign.accuracy import resolve
from codesign.accuracy.supernet import FULL_WINDOWS
from codesign.errors import InputError
from codesign.space_file import read_space


def test_the_budget_is_part_of_the_name() -> None:
    """More windows, a smaller error; the dearer rung is the same for all and absent where it would be cheaper."""
    shape = read_space("sotu_lm").content.baseline.shape
    few, more = (resolve(name).predict(shape) for name in ("supernet@4", "supernet@32"))
    assert few.value[0] != more.value[0]
    assert few.log_standard_error[0] > more.log_standard_error[0]
    assert resolve("supernet@4").full() is not None
    assert resolve(f"supernet@{FULL_WINDOWS}").full() is None


@pytest.mark.parametrize("name", ["supernet@1", "supernet:somewhere@0"])
def test_a_budget_without_an_error_is_refused(name: str) -> None:
    """One window tells no standard error."""
    with pytest.raises(InputError, match="expected at least 2 windows after @, got"):
        resolve(name)
