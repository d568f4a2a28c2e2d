"""The contract of every exporter, the two first formats, and what the standard Hugging Face kinds can say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from codesign.describe import describe_accelerator, describe_model
from codesign.design import Accelerator, Design, ModelShape, Precision, Scenario, Spans
from codesign.design_file import read_exported_design
from codesign.errors import CodesignError, InputError
from codesign.export import EXPORTERS, ExportContext, export
from codesign.huggingface import config_shape, read_config

OWN_DECODER: dict[str, Any] = {
    "model_type": "codesign",
    "family": {"stacks": ["decoder"], "vocabulary": 50, "lm_head": True, "position_count": 8, "final_norm": True},
    "layers": 3,
    "hidden": 12,
    "heads": [4, 0, 1],
    "kv_heads": [2, 0, 1],
    "head_width": [3, 0, 4],
    "value_width": [5, 0, 2],
    "ffn": [0, 7, 9],
}

CONTEXT = ExportContext(
    scenario=Scenario(sequence_length=8),
    run="tiny-1",
    id="42",
    metrics={"edp_js": 1.5e-3, "perplexity": 22.4},
    intervals={"perplexity": (22.1, 22.7)},
    baseline={"edp_js": 3.0e-3},
)


def with_chip(shape: ModelShape) -> Design:
    """Pair a shape with any accelerator."""
    one = np.array([1])
    chip = Accelerator(16 * one, 8 * one, 0 * one, 65536 * one, 1536 * one, np.array([8.0]), 16 * one)
    return Design(shape, chip)


@pytest.fixture
def design() -> Design:
    """A decoder whose layers differ, on a small chip."""
    return with_chip(config_shape(OWN_DECODER, "test"))


def tree(directory: Path) -> dict[str, bytes]:
    """Return everything below a directory: content by path, directories included."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in directory.rglob("*")}


@pytest.mark.parametrize("name", sorted(EXPORTERS))
def test_files_are_relative_and_repeatable(name: str, design: Design) -> None:
    """An exporter returns the same non-empty files, below the directory, each time."""
    files = EXPORTERS[name](design, CONTEXT)
    assert files == EXPORTERS[name](design, CONTEXT)
    assert files
    for path, content in files.items():
        assert content
        assert not Path(path).is_absolute()
        assert ".." not in Path(path).parts


@pytest.mark.parametrize("name", sorted(EXPORTERS))
def test_export_is_idempotent(name: str, design: Design, tmp_path: Path) -> None:
    """Exporting twice returns the same paths, which exist, and changes nothing."""
    paths = export([name], design, CONTEXT, tmp_path / "new" / "folder")
    before = tree(tmp_path)
    assert paths == export([name], design, CONTEXT, tmp_path / "new" / "folder")
    assert before == tree(tmp_path)
    assert all(path.is_file() for path in paths)
    assert {str(path) for path in paths} == {path for path in before if Path(path).is_file()}


@pytest.mark.parametrize("name", sorted(EXPORTERS))
def test_a_different_file_is_never_overwritten(name: str, design: Design, tmp_path: Path) -> None:
    """A file of other content stops the export before anything is written."""
    path = export([name], design, CONTEXT, tmp_path)[-1]
    path.write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(InputError, match="a file of other content is in the way"):
        export(sorted(EXPORTERS), design, CONTEXT, tmp_path)
    assert before == tree(tmp_path)


def test_a_failing_format_leaves_nothing(design: Design, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one of several formats cannot express the design, none is written."""

    def fail(design: Design, context: ExportContext) -> dict[str, bytes]:
        raise InputError("this format has no such layer")

    monkeypatch.setitem(EXPORTERS, "failing", fail)
    with pytest.raises(InputError, match="no such layer"):
        export(["json", "failing"], design, CONTEXT, tmp_path / "new")
    assert tree(tmp_path) == {}


def test_a_failing_disk_leaves_nothing(design: Design, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the second of two files cannot be put in place, the first and the new directories go again."""
    rename, calls = Path.rename, []

    def fail_second(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_second)
    with pytest.raises(InputError, match=r"cannot be written: .*No space left"):
        export(["json", "huggingface"], design, CONTEXT, tmp_path / "new")
    assert tree(tmp_path) == {}


def test_a_file_as_directory_is_refused(design: Design, tmp_path: Path) -> None:
    """A directory that is a file is named."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="taken: the export cannot be written"):
        export(["json"], design, CONTEXT, tmp_path / "taken")


def test_unknown_formats_list_the_known(design: Design, tmp_path: Path) -> None:
    """An unknown format, or none, lists the known ones."""
    for names in (["verilog"], []):
        with pytest.raises(InputError, match="known: huggingface, json"):
            export(names, design, CONTEXT, tmp_path)


def test_only_one_design_is_exported(design: Design, tmp_path: Path) -> None:
    """A population is refused: an export is one design."""
    with pytest.raises(InputError, match="expected one design, got 2"):
        export(["json"], design.take(np.array([0, 0])), CONTEXT, tmp_path)


def test_design_json_says_everything(design: Design, tmp_path: Path) -> None:
    """The JSON holds the design in the words of a design file, its metrics, and its origin."""
    (path,) = export(["json"], design, CONTEXT, tmp_path)
    content = json.loads(path.read_text())
    assert content["model"] == describe_model(design.shape)
    assert content["accelerator"] == describe_accelerator(design.accelerator)
    assert content["accelerator"]["scratchpad_kib"] == 64
    assert content["accelerator"]["accumulator_kib"] == 1.5
    assert content["accelerator"]["dataflow"] == "weight_stationary"
    assert (content["format"], content["run"], content["id"]) == (1, "tiny-1", "42")
    assert content["metrics"] == {"edp_js": 1.5e-3, "perplexity": 22.4}
    assert content["intervals"] == {"perplexity": [22.1, 22.7]}
    assert content["baseline"] == {"edp_js": 3.0e-3}
    assert content["scenario"]["sequence_length"] == 8


def test_design_json_refuses_what_json_cannot_say(design: Design, tmp_path: Path) -> None:
    """An infinite metric is refused instead of becoming null."""
    with pytest.raises(InputError, match=r"metrics\.edp_js: expected a finite number, got inf"):
        export(["json"], design, replace(CONTEXT, metrics={"edp_js": np.inf}), tmp_path)


STANDARD: list[dict[str, Any]] = [
    {"model_type": "bert", "num_hidden_layers": 2},
    {"model_type": "albert", "hidden_size": 64, "num_attention_heads": 4},
    {"model_type": "distilbert"},
    {"model_type": "gpt2", "n_inner": 500},
    {"model_type": "gpt2", "architectures": ["GPT2Model"], "tie_word_embeddings": False},
    {"model_type": "llama", "num_key_value_heads": 4, "num_hidden_layers": 2, "head_dim": 40},
    {"model_type": "llama", "attention_bias": True, "tie_word_embeddings": True, "architectures": ["LlamaModel"]},
    {"model_type": "t5", "num_decoder_layers": 3},
    {"model_type": "t5", "feed_forward_proj": "gated-gelu", "architectures": ["T5Model"]},
    {"model_type": "t5", "architectures": ["T5EncoderModel"]},
    OWN_DECODER,
]


@pytest.mark.parametrize("config", STANDARD)
def test_exported_config_reads_back_as_the_same_shape(config: dict[str, Any], tmp_path: Path) -> None:
    """A shape that a standard kind can say keeps that kind, and comes back unchanged."""
    shape = config_shape(config, "test")
    (path,) = export(["huggingface"], with_chip(shape), CONTEXT, tmp_path)
    assert json.loads(path.read_text())["model_type"] == config["model_type"]
    assert describe_model(read_config(path)) == describe_model(shape)


@pytest.mark.parametrize(
    ("config", "family", "message"),
    [
        ({"model_type": "t5", "tie_word_embeddings": False}, {}, "only where it is exactly a T5"),
        ({"model_type": "bert"}, {"lm_head": True}, "an encoder with an LM head cannot be exported"),
        (
            {"model_type": "t5", "architectures": ["T5EncoderModel"]},
            {"ffn_bias": True},
            "positions: expected .* relative",
        ),
        ({"model_type": "gpt2"}, {"activation": "gelo"}, "unknown activation 'gelo'; known: .*gelu"),
    ],
)
def test_inexpressible_models_are_refused(
    config: dict[str, Any], family: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """A network that no kind can say is refused with the reason, and nothing is written."""
    shape = config_shape(config, "test")
    shape = replace(shape, family=msgspec.structs.replace(shape.family, **family))
    with pytest.raises(CodesignError, match=message):
        export(["huggingface"], with_chip(shape), CONTEXT, tmp_path)
    assert tree(tmp_path) == {}


def test_a_wrong_parameter_count_stops_the_export(
    design: Design, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exported model must hold exactly the parameters that the shape counts."""
    monkeypatch.setattr("codesign.export.huggingface.total_parameters", lambda _: np.array([7]))
    with pytest.raises(CodesignError, match="CodesignForCausalLM: expected 7 parameters as the shape has, got"):
        export(["huggingface"], design, CONTEXT, tmp_path)
    assert tree(tmp_path) == {}


def test_optional_groups_are_in_the_json_only(design: Design, tmp_path: Path) -> None:
    """design.json says bits and spans by layer and reads back; a config of transformers has no words for them."""
    read = (design.shape.heads > 0) | (design.shape.ffn > 0)
    shape = replace(design.shape, precision=Precision(4 * read, 8 * read), spans=Spans(3 * (design.shape.heads > 0)))
    compressed = replace(design, shape=shape)
    (path,) = export(["json"], compressed, CONTEXT, tmp_path)
    model = json.loads(path.read_bytes())["model"]
    assert [model[name] for name in ("weight_bits", "activation_bits", "span")] == [[4, 4, 4], [8, 8, 8], [3, 0, 3]]
    assert "ffn_density" not in model
    again = read_exported_design(path)[0]
    for name, column in shape.layer_columns().items():
        np.testing.assert_array_equal(column, again.shape.layer_columns()[name])
    with pytest.raises(InputError, match=r"huggingface: weight_bits, activation_bits, span: .*use --format json"):
        export(["huggingface"], compressed, CONTEXT, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()
