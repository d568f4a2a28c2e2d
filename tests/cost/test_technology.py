"""Cost model files: what the shipped ones say, and how everything wrong is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from codesign.cost.estimate import check_dataflows
from codesign.cost.technology import (
    PositiveQuantity,
    Quantity,
    Technology,
    accumulator_energy_pj,
    area_mm2,
    read,
    reference_accelerator,
    scratchpad_energy_pj,
)
from codesign.errors import InputError
from codesign.files import locate, shipped
from tests.cost.machines import accelerator, cost_model

SHIPPED = sorted(shipped("cost model"))
TEXT = locate("cost model", "gemmini_40nm").read_text()
DRAM = TEXT[TEXT.index("[dram]") : TEXT.index("[vector_unit]")]


def quantities(table: Any, path: str = "") -> dict[str, float]:
    """Return every number with a source, by its key path."""
    if isinstance(table, Quantity | PositiveQuantity):
        return {path: table.value}
    if not isinstance(table, msgspec.Struct):
        return {}
    found = {}
    for name in table.__struct_fields__:
        found |= quantities(getattr(table, name), f"{path}.{name}".lstrip("."))
    return found


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_are_read(name: str) -> None:
    """Each shipped file is read, verbatim, and gives positive energies and areas on its reference accelerator."""
    document = read(name)
    assert document.text == locate("cost model", name).read_text()
    reference = reference_accelerator(document.content, 2)
    for column in (scratchpad_energy_pj, accumulator_energy_pj, area_mm2):
        values = column(document.content, reference)
        assert values.shape == (2,)
        assert (values > 0).all()


def test_unit_model_is_all_ones() -> None:
    """Every coefficient is 1 but the two that would make energy differ from a count of accesses."""
    zeros = {"accumulator.energy_pj_per_word_slope", "scratchpad.energy_pj_per_word_slope"}
    values = quantities(cost_model("unit"))
    assert {path: float(path not in zeros) for path in values} == values
    tensors = cost_model("unit").tensors
    assert (tensors.operand_bits, tensors.output_bits, tensors.accumulator_bits) == (8, 8, 8)


def test_buffer_energies_are_those_of_dosa() -> None:
    """0.02513 KiB + 0.49 a scratchpad byte; 0.1005 KiB / columns + 1.94 an accumulator word (DOSA, 40 nm)."""
    chips = accelerator(pe_cols=16, scratchpad_bytes=np.array([64, 256]) * 1024, accumulator_bytes=256 * 1024)
    model = cost_model("gemmini_40nm")
    np.testing.assert_allclose(scratchpad_energy_pj(model, chips), [2.09832, 6.92328])
    np.testing.assert_allclose(accumulator_energy_pj(model, chips), [3.548, 3.548])


def test_area_is_the_sum_of_its_parts() -> None:
    """0.0196 + 4.216e-4 D^2 + 2.597e-3 scratchpad KiB + 5.545e-3 accumulator KiB, in mm2."""
    chips = accelerator(pe_rows=16, pe_cols=8, scratchpad_bytes=64 * 1024, accumulator_bytes=256 * 1024)
    expected = 0.0196 + 4.216e-4 * 16 * 8 + 2.597e-3 * 64 + 5.545e-3 * 256
    np.testing.assert_allclose(area_mm2(cost_model("gemmini_40nm"), chips), [expected])


def test_buffers_follow_a_power_law() -> None:
    """Energy per word = fixed + slope x KiB of one bank ** exponent."""
    model = cost_model("gemmini_40nm")
    exponent = PositiveQuantity(value=0.5, source="a test")
    square_root = msgspec.structs.replace(
        model,
        scratchpad=msgspec.structs.replace(model.scratchpad, energy_exponent=exponent),
        accumulator=msgspec.structs.replace(model.accumulator, energy_exponent=exponent),
    )
    chip = accelerator(pe_cols=4, scratchpad_bytes=64 * 1024, accumulator_bytes=64 * 1024)
    np.testing.assert_allclose(scratchpad_energy_pj(square_root, chip), [0.49 + 0.02513 * 8])
    np.testing.assert_allclose(accumulator_energy_pj(square_root, chip), [1.94 + 0.1005 * 4])


def value(text: str) -> tuple[str, str]:
    """Return the edit that gives the DRAM energy another value."""
    return DRAM, f'[dram]\nenergy_pj_per_byte = {{ value = {text}, source = "a test" }}\n'


PATH = r"dram\.energy_pj_per_byte"
REFUSED = {
    "unknown key": (("[dram]\n", "[dram]\nlatency_ns = 3\n"),
        "dram: unknown field latency_ns; known: energy_pj_per_byte"),
    "unknown section": (("[dram]", "[ddr]"), "top level: unknown field ddr; known: format, .*, dram, .*floorplan"),
    "unknown key of a number": ((DRAM, '[dram]\nenergy_pj_per_byte = { value = 1, source = "abc", unit = "pJ" }\n'),
        f"{PATH}: unknown field unit; known: value, source"),
    "key given twice": ((DRAM, DRAM + DRAM[len("[dram]\n"):]),
        "not valid TOML .a key given twice also reads like this"),
    "section given twice": ((DRAM, DRAM + "[dram]\n"), "not valid TOML .a key given twice"),
    "missing section": ((DRAM, ""), "top level: missing required field dram"),
    "missing key": ((DRAM, "[dram]\n"), "dram: missing required field energy_pj_per_byte"),
    "missing source": ((DRAM, "[dram]\nenergy_pj_per_byte = { value = 1.0 }\n"), f"{PATH}: missing required .* source"),
    "empty source": ((DRAM, '[dram]\nenergy_pj_per_byte = { value = 1.0, source = "" }\n'),
        rf"{PATH}\.source: Expected str of length >= 3, got ''"),
    "bare number": ((DRAM, "[dram]\nenergy_pj_per_byte = 100.0\n"),
        rf"{PATH}: Expected a table with value, source, got 100\.0"),
    "text for a number": (value('"1"'), rf"{PATH}\.value: Expected float, got '1'"),
    "truth for a number": (value("true"), rf"{PATH}\.value: Expected float, got True"),
    "negative energy": (value("-1.0"), rf"{PATH}\.value: Expected float >= 0\.0, got -1\.0"),
    "energy that is no number": (value("nan"), rf"{PATH}\.value: Expected float >= 0\.0, got nan"),
    "infinite energy": (value("inf"), rf"{PATH}\.value: Expected float < 1e\+30, got inf"),
    "no frequency": (("{ value = 1e9", "{ value = 0"), r"clock\.frequency_hz\.value: Expected float > 0\.0, got 0"),
    "no rows": (("pe_rows = 16", "pe_rows = 0"), r"reference_accelerator\.pe_rows: Expected int >= 1, got 0"),
    "half a row": (("pe_rows = 16", "pe_rows = 16.5"), r"reference_accelerator\.pe_rows: Expected int, got 16\.5"),
    "bits that are no bytes": (("operand_bits = 8", "operand_bits = 4"),
        r"tensors\.operand_bits: expected a multiple of 8, got 4"),
    "too many bits": (("operand_bits = 8", "operand_bits = 72"), r"tensors\.operand_bits: Expected int <= 64, got 72"),
    "unknown banks": (('banks = "one"', 'banks = "two"'),
        r"scratchpad\.banks: Expected one of one, per_column, got 'two'"),
    "unknown template": (('template = "gemmini"', 'template = "tpu"'), "template: Expected one of gemmini, got 'tpu'"),
    "unknown dataflow": (('["weight_stationary", "out', '["row_stationary", "out'),
        r"dataflows\[0\]: Expected one of output_stationary, weight_stationary, got 'row_stationary'"),
    "reference of another dataflow": (('["weight_stationary", ', "["),
        r"reference_accelerator\.dataflow: expected one of dataflows \['output_stationary'\], got 'weight_stationary'"),
    "another format": (("format = 1", "format = 2"), "format: Expected one of 1, got 2"),
    "no format": (("format = 1", ""), "top level: missing required field format"),
    "a list for a section": (("[clock]", "[[clock]]"), r"clock: Expected a table with frequency_hz, got \["),
    "not TOML": (("[dram]", "[dram"), "not valid TOML"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_files_are_refused(case: str, tmp_path: Path) -> None:
    """The message names the file, the key path, what was expected and what came."""
    (old, new), message = REFUSED[case]
    assert old in TEXT
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(InputError, match=rf"mine\.toml: {message}"):
        read(str(path))


def test_missing_dataflow_is_refused() -> None:
    """A design whose dataflow the cost model does not declare is refused; the declared ones are listed."""
    one: Technology = msgspec.structs.replace(cost_model("unit"), dataflows=("weight_stationary",))
    check_dataflows(accelerator(dataflow=0), one)
    with pytest.raises(InputError, match="the cost model declares weight_stationary; got output_stationary"):
        check_dataflows(accelerator(dataflow=[0, 1]), one)
