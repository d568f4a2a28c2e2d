"""What a search space file may say, and how everything else is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from codesign.errors import InputError
from codesign.files import locate, shipped
from codesign.genes import ALL_LAYERS
from codesign.space_file import parse_space, read_space
from tests.spaces import built

TINY = locate("search space", "tiny").read_text()
HEADS = "heads = { choices = [1, 2], per_layer = true }"
LAYERS = "layers = { choices = [1, 2] }"
WIDTH = "head_width = 32\nffn = {"
BASELINE_HEADS = "heads = 2\nhead_width"


def edited(*edits: tuple[str, str]) -> str:
    """Return the file of `tiny` with some text replaced, each once."""
    text = TINY
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def limited(limit: str) -> tuple[str, str]:
    """Return the edit that adds one limit."""
    return "[baseline.model]", f"[limits]\narea_mm2 = {limit}\n\n[baseline.model]"


REFUSED = {
    "descending choices": ([(LAYERS, "layers = { choices = [2, 1] }")],
        r"model.layers.choices: expected ascending values, got \[2, 1\]; use \[1, 2\]"),
    "repeated choices": ([(LAYERS, "layers = { choices = [1, 2, 2] }")],
        r"model.layers.choices: expected different values, got \[1, 2, 2\]"),
    "repeated dataflows": ([('"weight_stationary", "out', '"output_stationary", "out')],
        "accelerator.dataflow.choices: expected different values"),
    "no choices": ([(LAYERS, "layers = { choices = [] }")], r"model.layers.choices: .* length >= 1, got \[\]"),
    "no layers": ([(LAYERS, "layers = { choices = [0, 2] }")], r"model.layers.choices\[0\]: .* int >= 1, got 0"),
    "fractions": ([(LAYERS, "layers = { choices = [1, 2.5] }")], r"model.layers.choices\[1\]: .* int, got 2.5"),
    "layers that differ by layer": ([(LAYERS, LAYERS.replace("]", "], per_layer = true"))],
        "model.layers: unknown field per_layer; known: choices"),
    "unknown key of a gene": ([(HEADS, HEADS.replace("per_layer", "perlayer"))],
        "model.heads: unknown field perlayer; known: choices, per_layer"),
    "unknown key": ([("vector_lanes = 8", "vector_lanes = 8\nclock_hz = 1")],
        "accelerator: unknown field clock_hz; known: pe_rows, pe_cols, dataflow, .*vector_lanes"),
    "unknown section": ([("[scenario]", "[scenarios]")], "top level: unknown field scenarios; known: format, .*limits"),
    "missing key": ([(HEADS, "")], "model: missing required field heads"),
    "key given twice": ([(HEADS, f"{HEADS}\n{HEADS}")], "not valid TOML .a key given twice also reads like this"),
    "unknown dataflow": ([('"weight_stationary", "out', '"ws", "out')],
        r"accelerator.dataflow.choices\[0\]: .* one of output_stationary, weight_stationary, got 'ws'"),
    "list for one number": ([("hidden = { choices = [64, 96, 128] }", "hidden = [64]")],
        r"model.hidden: .* int . a table with choices, got \[64\]"),
    "list of the wrong length": ([(HEADS, "heads = [2, 2, 2]")],
        "model.heads: expected 2 values, one a layer, got 3"),
    "list of the baseline of the wrong length": ([("ffn = 512", "ffn = [512]")],
        "baseline.model.ffn: expected 2 values, one a layer, got 1"),
    "size that is not whole bytes": ([("scratchpad_kib = { choices = [4,", "scratchpad_kib = { choices = [3.9999,")],
        r"accelerator.scratchpad_kib.choices\[0\]: .* multiple of 0.0009765625, got 3.9999"),
    "key/value heads that do not divide": ([(HEADS, "heads = { choices = [2, 3] }\nkv_heads = 2")],
        "model.kv_heads: expected divisors of every choice of heads, got 2 for 3"),
    "no key/value heads": ([(HEADS, HEADS + "\nkv_heads = { choices = [0, 1] }")],
        "model.kv_heads: expected at least 1 where a layer can have heads, got 0"),
    "heads without width": ([(WIDTH, "head_width = { choices = [0, 32] }\nffn = {")],
        "model.head_width: expected at least 1 where a layer can have heads, got 0"),
    "values without width": ([(WIDTH, "head_width = 32\nvalue_width = 0\nffn = {")],
        "model.value_width: expected at least 1 where a layer can have heads, got 0"),
    "unlike layers that share weights": ([("final_norm = true", "final_norm = true\nshared_layers = true")],
        "model.heads: expected no per-layer gene, because shared_layers is set"),
    "baseline outside a gene of the model": ([("hidden = 128\n", "hidden = 100\n")],
        r"baseline: hidden: expected one of \[64, 96, 128\], got 100"),
    "baseline outside a per-layer gene": ([(BASELINE_HEADS, BASELINE_HEADS.replace("2", "[2, 8]"))],
        r"baseline: heads\[1\]: expected one of \[1, 2\], got 8"),
    "baseline outside a gene of the accelerator": ([("scratchpad_kib = 16\n", "scratchpad_kib = 8\n")],
        r"baseline: scratchpad_kib: expected one of \[4.0, 16.0\], got 8"),
    "baseline other than what is fixed": ([("head_width = 32\nffn = 512", "head_width = 64\nffn = 512")],
        "baseline: head_width: this search space has 32, got 64"),
    "baseline other than the dataflow": ([('{ choices = ["weight_stationary", "output_stationary"] }',
                                          '"output_stationary"')],
        "baseline: dataflow: this search space has output_stationary, got weight_stationary"),
    "baseline that is too deep": ([("layers = 2\nhidden", "layers = 3\nhidden")],
        "baseline.model.layers: expected at most 2, got 3"),
    "baseline that is too deep, in lists": ([("layers = 2\nhidden", "layers = 3\nhidden"),
                                             ("ffn = 512", "ffn = [512, 512, 512]")],
        "baseline.model.layers: expected at most 2, got 3"),
    "both limits": ([limited("{ max = 4, times_baseline = 1 }")],
        "limits.area_mm2: expected one of max and times_baseline"),
    "neither limit": ([limited("{ }")], "limits.area_mm2: expected one of max and times_baseline"),
    "unknown key of a limit": ([limited("{ most = 4 }")],
        "limits.area_mm2: unknown field most; known: max, times_baseline"),
    "limit without a name": ([limited("4")], "limits.area_mm2: .* a table with max, times_baseline, got 4"),
    "limit below zero": ([limited("{ max = -1 }")], "limits.area_mm2.max: .* float > 0.0, got -1"),
    "limit that is no number": ([limited("{ max = nan }")], "limits.area_mm2.max: .* got nan"),
    "limit without end": ([limited("{ max = inf }")], "limits.area_mm2.max: .* got inf"),
    "tokens beyond the positions": ([("sequence_length = 64", "sequence_length = 65")],
        "position_count: 64 learned positions cannot place 65 tokens"),
    "two stacks": ([('["decoder"]', '["encoder", "decoder"]'), ('"prefill"', '"prefill"\ntarget_length = 4')],
        "family.stacks: a file holds one stack"),
    "bits of half a group": ([(HEADS, HEADS + "\nweight_bits = 8")],
        "model.activation_bits: expected beside weight_bits, got none; give both or neither"),
    "one bit": ([(HEADS, HEADS + "\nweight_bits = { choices = [1, 8] }\nactivation_bits = 8")],
        "model.weight_bits: expected 2..32 where a layer can have heads or an FFN, got 1"),
    "no weights": ([(HEADS, HEADS + "\nffn_density = { choices = [0, 1] }\nattention_density = 1")],
        "model.ffn_density: expected above 0, at most 1 where a layer can have an FFN, got 0.0"),
    "more than all weights": ([(HEADS, HEADS + "\nffn_density = 1.5\nattention_density = 1")],
        "model.ffn_density: .* got 1.5"),
    "descending densities": ([(HEADS, HEADS + "\nffn_density = { choices = [1, 0.5] }\nattention_density = 1")],
        r"model.ffn_density.choices: expected ascending values, got \[1.0, 0.5\]; use \[0.5, 1.0\]"),
    "negative span": ([(HEADS, HEADS + "\nspan = -1")], "model.span: .* int >= 0.*got -1"),
    "spans of the wrong length": ([(HEADS, HEADS + "\nspan = [4, 8, 16]")],
        "model.span: expected 2 values, one a layer, got 3"),
    "baseline without the group": ([(HEADS, HEADS + "\nspan = 8")],
        "baseline: span: this search space has a value, got none; give it in both or in neither"),
    "baseline with another group": ([(BASELINE_HEADS, "span = 8\n" + BASELINE_HEADS)],
        "baseline: span: this search space has none, got one"),
    "baseline of another density": ([
        (HEADS, HEADS + "\nffn_density = { choices = [0.5, 1], per_layer = true }\nattention_density = 1"),
        (BASELINE_HEADS, "ffn_density = [0.5, 0.7]\nattention_density = 1\n" + BASELINE_HEADS)],
        r"baseline: ffn_density\[1\]: expected one of \[0.5, 1.0\], got 0.7"),
    "structure of nothing removed": ([("final_norm = true", "final_norm = true\nstructured = true")],
        "baseline.structured: it says how weights are removed, but the model has no attention_density"),
    "another format": ([("format = 1", "format = 2")], "format: .* one of 1, got 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_spaces_are_refused(case: str) -> None:
    """The message names the file, the key path, what was expected and what came."""
    edits, message = REFUSED[case]
    with pytest.raises(InputError, match=f"^mine.toml: {message}"):
        parse_space(edited(*edits), "mine", "mine.toml")


@pytest.mark.parametrize("name", sorted(shipped("search space")))
def test_shipped_spaces_are_read(name: str, tmp_path: Path) -> None:
    """Each shipped space is read by its name, and an edited copy by its path."""
    document = read_space(name)
    assert document.text == locate("search space", name).read_text()
    copied = tmp_path / "mine.toml"
    copied.write_text(document.text)
    assert document.content.genes == read_space(str(copied)).content.genes
    assert document.content.genes == parse_space(document.text, name, "a run").content.genes


def test_the_case_study_is_the_published_one() -> None:
    """Kim et al. 2023, Tab. 8 and Sec. 6.4.1: choices, fixed accelerator, and the baseline as the largest network."""
    space = read_space("survey_lm_fixed_hw").content
    choices = {gene.name: gene.values for gene in space.genes}
    assert choices["layers"] == (3, 4, 5, 6)
    assert choices["hidden"] == (384, 480, 576, 672, 768)
    assert choices["heads[0]"] == choices["heads[5]"] == (4, 6, 8, 10, 12)
    assert choices["ffn[0]"] == choices["ffn[5]"] == tuple(range(768, 3072 + 1, 128))
    assert not any(gene.on_accelerator for gene in space.genes)
    chip = space.baseline.accelerator
    assert (chip.pe_rows[0], chip.pe_cols[0]) == (16, 16)
    assert (chip.scratchpad_bytes[0], chip.accumulator_bytes[0]) == (64 * 1024, 256 * 1024)
    largest = space.decode((space.sizes - 1)[None, :])
    assert space.encode(largest).tolist() == space.encode(space.baseline).tolist()


def test_other_shipped_spaces_extend_the_case_study() -> None:
    """`survey_lm` lets the accelerator vary too, `_ffn_free` also removes FFNs, `_compressed` quantises and prunes."""
    paper, joint, free = (read_space(f"survey_lm{name}").content for name in ("_fixed_hw", "", "_ffn_free"))
    for name, values in paper.choices().items():
        assert joint.choices()[name] == values
    compressed = read_space("survey_lm_compressed").content
    for name, values in joint.choices().items():
        assert compressed.choices()[name] == values
    assert compressed.choices()["weight_bits"] == (4, 8)
    on_chip = {gene.field for gene in joint.genes if gene.on_accelerator}
    named = {"pe_rows", "pe_cols", "dataflow", "scratchpad_kib", "accumulator_kib", "dram_bytes_per_cycle"}
    assert named <= on_chip
    assert free.choices()["ffn"] == (0, *paper.choices()["ffn"])


def test_a_space_without_genes_has_one_design() -> None:
    """Everything may be fixed: the space is its baseline."""
    tables = tiny_tables()
    tables["model"] = dict(tables["baseline"]["model"])
    tables["accelerator"] = dict(tables["baseline"]["accelerator"])
    space = built(tables)
    assert (space.genes, space.size()) == ((), 1)
    assert space.encode(space.baseline).shape == (1, 0)
    assert len(space.decode(space.encode(space.baseline))) == 1


def tiny_tables() -> dict[str, Any]:
    """Return the tables of the tiny space."""
    return tomllib.loads(TINY)


def test_genes_are_ordered_model_layers_accelerator() -> None:
    """Neighbours in a genome belong together: the whole model, layer after layer, the accelerator."""
    genes = read_space("tiny").content.genes
    assert [gene.name for gene in genes] == [
        "layers", "hidden", "heads[0]", "ffn[0]", "heads[1]", "ffn[1]",
        "pe_rows", "pe_cols", "dataflow", "scratchpad_kib", "accumulator_kib", "dram_bytes_per_cycle",
    ]  # fmt: skip
    assert [gene.name for gene in genes if not gene.ordered] == ["dataflow"]
    assert [gene.layer for gene in genes[:3]] == [ALL_LAYERS, ALL_LAYERS, 0]


def test_lists_differ_by_layer() -> None:
    """A layer may be fixed to other sizes than the next, with key/value heads that divide its own heads only."""
    tables = tiny_tables()
    tables["model"] |= {"heads": [4, 6], "kv_heads": [4, 3], "head_width": [8, 16]}
    tables["baseline"]["model"] |= {"heads": [4, 6], "kv_heads": [4, 3], "head_width": [8, 16]}
    shape = built(tables).baseline.shape
    assert shape.kv_heads.tolist() == [[[4, 3]]]
    assert shape.head_width.tolist() == [[[8, 16]]]


def test_limits_are_absolute_or_of_the_baseline() -> None:
    """`max` is the limit itself; `times_baseline` a multiple of what the baseline has."""
    tables = tiny_tables()
    tables["limits"] = {"area_mm2": {"max": 4}, "delay_s": {"times_baseline": 1.5}}
    limits = built(tables).limits
    assert {name: limit.largest(10.0) for name, limit in limits.items()} == {"area_mm2": 4.0, "delay_s": 15.0}
