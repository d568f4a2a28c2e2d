"""Cost model files: what the shipped ones say, and how everything wrong is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from codesign.cost.estimate import check_dataflows
from codesign.cost.quantity import PositiveQuantity, Quantity, Share
from codesign.cost.technology import Technology, read
from codesign.cost.unit_costs import (
    accumulator_energy_pj,
    area_mm2,
    check_accumulator,
    mac_energy_pj,
    reference_accelerator,
    scratchpad_energy_pj,
)
from codesign.errors import InputError
from codesign.files import locate, shipped
from tests.cost.machines import accelerator, cost_model

SHIPPED = sorted(shipped("cost model"))
TEXT = locate("cost model", "gemmini_40nm").read_text()
INT = TEXT[TEXT.index("bits = 32") : TEXT.index("# Seven times")]
ROWS = "[reference_accelerator]\npe_rows = 16"
POINTS = """[[clock.points]]
voltage_v = %g
frequency_hz = %g
source = "a test"
[[clock.points]]
voltage_v = %g
frequency_hz = %g
source = "a test"
"""
DRAM = TEXT[TEXT.index("[dram]") : TEXT.index("[vector_unit]")]


def quantities(table: Any, path: str = "") -> dict[str, float]:
    """Return every number with a source, by its key path."""
    if isinstance(table, Quantity | PositiveQuantity | Share):
        return {path: table.value}
    if isinstance(table, dict):
        return {key: x for name, inner in table.items() for key, x in quantities(inner, f"{path}.{name}").items()}
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
    check_accumulator(document.content, reference)
    tensors = document.content.tensors
    assert mac_energy_pj(document.content, tensors.operand_bits, tensors.operand_bits) > 0


@pytest.mark.parametrize("name", SHIPPED)
def test_every_number_of_shipped_files_has_its_own_source(name: str) -> None:
    """There are as many sources beside numbers as numbers."""
    text = locate("cost model", name).read_text()
    assert text.count("value = ") == text.count(', source = "')


def test_the_l2_model_is_gemmini_40nm_behind_an_l2() -> None:
    """survey_l2 differs from gemmini_40nm in the L2 and the reference accelerator only; it was not calibrated."""
    ours, base = cost_model("survey_l2"), cost_model("gemmini_40nm")
    differing = {"description", "reference_accelerator", "l2", "calibration"}
    for name in set(Technology.__struct_fields__) - differing:
        assert getattr(ours, name) == getattr(base, name), name


def test_the_comparison_machine_is_that_of_the_mappers() -> None:
    """MAC 0.2 pJ, register 0.05 pJ/B, buffers 1 pJ/B, DRAM 60 pJ/B; 16 x 16, 64 and 16 KiB, 8 B/cycle."""
    model = cost_model("simple_8bit")
    chip = reference_accelerator(model)
    assert float(mac_energy_pj(model, 8, 8)) == 0.2
    register = model.register
    assert (register.energy_pj_per_byte.value, register.partial_sum_energy_pj_per_byte.value) == (0.05, 0.05)
    assert (scratchpad_energy_pj(model, chip)[0], accumulator_energy_pj(model, chip)[0]) == (1.0, 4.0)
    assert model.dram.energy_pj_per_byte.value == 60.0
    sizes = (chip.pe_rows, chip.pe_cols, chip.scratchpad_bytes, chip.accumulator_bytes, chip.dram_bytes_per_cycle)
    assert tuple(float(size[0]) for size in sizes) == (16, 16, 65536, 16384, 8)


def test_areas_of_silicon_are_met() -> None:
    """The reference chips of three files have the areas that were published for the silicon."""
    published = {"tpu_like": 331.0, "eyeriss_like": 12.25, "edgebert_12nm": 4.60}
    for name, expected in published.items():
        area = area_mm2(cost_model(name), reference_accelerator(cost_model(name)))
        assert area[0] == pytest.approx(expected, rel=1e-3), name


def test_unit_model_is_all_ones() -> None:
    """Every coefficient is 1 but those that would make energy differ from a count of accesses."""
    zeros = {"accumulator.energy_pj_per_word_slope", "scratchpad.energy_pj_per_word_slope"}
    zeros |= {"mac.formats.int.adder_energy_pj", "register.streamed_energy_pj_per_byte"}
    values = quantities(cost_model("unit"))
    assert {path: float(path not in zeros) for path in values} == values
    tensors = cost_model("unit").tensors
    assert (tensors.operand_bits, tensors.output_bits, tensors.accumulator_bits) == (8, 8, 8)


def value(text: str) -> tuple[str, str]:
    """Return the edit that gives the DRAM energy another value."""
    return DRAM, f'[dram]\nenergy_pj_per_byte = {{ value = {text}, source = "a test" }}\n'


PATH = r"dram\.energy_pj_per_byte"
REFUSED = {
    "unknown key": (("[dram]\n", "[dram]\nlatency_ns = 3\n"),
        "dram: unknown field latency_ns; known: energy_pj_per_byte, kind, kinds"),
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
    "no rows": ((ROWS, ROWS.replace("16", "0")), r"reference_accelerator\.pe_rows: Expected int >= 1, got 0"),
    "half a row": ((ROWS, ROWS.replace("16", "16.5")), r"reference_accelerator\.pe_rows: Expected int, got 16\.5"),
    "bits that are no bytes": (("operand_bits = 8", "operand_bits = 4"),
        r"tensors\.operand_bits: expected a multiple of 8, got 4"),
    "too many bits": (("operand_bits = 8", "operand_bits = 72"), r"tensors\.operand_bits: Expected int <= 64, got 72"),
    "unknown banks": (('banks = "one"', 'banks = "two"'),
        r"scratchpad\.banks: Expected one of one, per_column, got 'two'"),
    "a template": (("format = 1", 'format = 1\ntemplate = "gemmini"'), "top level: unknown field template; known: .*"),
    "unknown number format": (("[mac.formats.float]", "[mac.formats.posit]"),
        r"mac\.formats: expected names among \['adaptivfloat', 'float', 'int'\], got 'posit'"),
    "number format without energies": (("[mac.formats.int]\n" + INT, ""),
        r"tensors\.number_format: expected one of mac\.formats \['adaptivfloat', 'float'\], got 'int'"),
    "format without widths": (("widths = [8, 16, 32]", "widths = []"),
        r"mac\.formats\.float\.widths: expected at least one operand width, got \[\]"),
    "operands that the format has not": (("widths = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32]", "widths = [4, 16]"),
        r"tensors\.operand_bits: expected one of mac\.formats\.int\.widths \[4, 16\], got 8"),
    "null vectors without sparsity": (("null_vector_width = 1", "null_vector_width = 16"),
        r"mac\.null_vector_width: expected 1 where sparsity is none, got 16"),
    "overlap above 1": (("overlap = { value = 1.0", "overlap = { value = 1.5"),
        r"array\.overlap\.value: Expected float <= 1\.0, got 1\.5"),
    "negative stream limit": (("stream_limit = 0", "stream_limit = -1"),
        r"array\.stream_limit: Expected int >= 0, got -1"),
    "no words": (("weight_words = 1", "weight_words = 0"), r"register\.weight_words: Expected int >= 1, got 0"),
    "unknown kind of DRAM": (("[dram]\n", '[dram]\nkind = "ddr9"\n'),
        r"dram\.kind: expected one of dram\.kinds \['ddr3', .*'lpddr4'\], got 'ddr9'"),
    "kind of another energy": (("[dram]\n", '[dram]\nkind = "hbm2"\n'),
        r"dram\.energy_pj_per_byte: expected 31\.2 as in dram\.kinds\.hbm2, got 100\.0; leave dram\.kind out"),
    "falling clock points": (("[mac]\n", POINTS % (1.0, 2e9, 0.9, 1e9) + "[mac]\n"),
        r"clock\.points\[1\]: expected voltage and frequency above those of the point before, got \(0\.9, 1"),
    "clock off its points": (("[mac]\n", POINTS % (0.7, 1e8, 0.8, 1e9) + "[mac]\n"),
        r"clock: expected \(voltage_v, frequency_hz\) to be one of clock\.points .*, got \(0\.9, 1000000000\.0\)"),
    "no accumulator but its size": ((TEXT[TEXT.index("[accumulator]") : TEXT.index("[scratchpad]")], ""),
        r"reference_accelerator\.accumulator_kib: expected 0 without a table \[accumulator\], got 256\.0"),
    "an accumulator without size": (("accumulator_kib = 256", "accumulator_kib = 0"),
        r"reference_accelerator\.accumulator_kib: expected above 0 with a table \[accumulator\], got 0"),
    "unknown dataflow": (('["weight_stationary", "out', '["row_stationary", "out'),
        r"dataflows\[0\]: Expected one of output_stationary, weight_stationary, got 'row_stationary'"),
    "reference of another dataflow": (('["weight_stationary", ', "["),
        r"reference_accelerator\.dataflow: expected one of dataflows \['output_stationary'\], got 'weight_stationary'"),
    "another format": (("format = 1", "format = 2"), "format: Expected one of 1, got 2"),
    "no format": (("format = 1", ""), "top level: missing required field format"),
    "a list for a section": (("[clock]", "[[clock]]"),
        r"clock: Expected a table with frequency_hz, voltage_v, points, got \["),
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
