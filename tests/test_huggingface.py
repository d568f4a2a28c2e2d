"""Reading a Hugging Face config.json."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from codesign import huggingface_configs as configs
from codesign.describe import describe_model
from codesign.errors import InputError
from codesign.huggingface import KINDS, config_shape, read_config
from codesign.parameters import total_parameters

# Class that transformers builds -> keys of its config.json. An empty config is the published default model.
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("BertModel", {"model_type": "bert"}),
    ("BertModel", {"model_type": "bert", "hidden_size": 96, "num_attention_heads": 6, "architectures": ["BertModel"]}),
    ("AlbertModel", {"model_type": "albert"}),
    ("AlbertModel", {"model_type": "albert", "embedding_size": 64, "hidden_size": 64, "num_hidden_layers": 3}),
    ("DistilBertModel", {"model_type": "distilbert"}),
    ("GPT2LMHeadModel", {"model_type": "gpt2"}),
    ("GPT2Model", {"model_type": "gpt2", "architectures": ["GPT2Model"], "n_inner": 100, "n_layer": 2}),
    ("GPT2LMHeadModel", {"model_type": "gpt2", "tie_word_embeddings": False, "hidden_size": 96, "n_layer": 2}),
    ("T5ForConditionalGeneration", {"model_type": "t5"}),
    ("T5ForConditionalGeneration", {"model_type": "t5", "feed_forward_proj": "gated-gelu", "num_decoder_layers": 2}),
    ("T5EncoderModel", {"model_type": "t5", "architectures": ["T5EncoderModel"], "d_kv": 40}),
    ("T5Model", {"model_type": "t5", "architectures": ["T5Model"]}),
    ("LlamaForCausalLM", {"model_type": "llama"}),
    (
        "LlamaForCausalLM",
        {
            "model_type": "llama",
            "hidden_size": 64,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "head_dim": 24,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
        },
    ),
    ("LlamaModel", {"model_type": "llama", "architectures": ["LlamaModel"], "num_hidden_layers": 2}),
    ("MistralForCausalLM", {"model_type": "mistral", "sliding_window": None}),
]

OWN: dict[str, Any] = {
    "model_type": "codesign",
    "family": {"stacks": ["decoder"], "vocabulary": 50, "lm_head": True, "position_count": 8},
    "layers": 2,
    "hidden": 12,
    "heads": [4, 0],
    "kv_heads": [2, 0],
    "head_width": [3, 0],
    "value_width": [5, 0],
    "ffn": [0, 7],
}


def write(directory: Path, content: str | dict[str, Any]) -> Path:
    """Write a config.json and return its path."""
    path = directory / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(("name", "config"), MODELS)
def test_parameters_equal_transformers(name: str, config: dict[str, Any], tmp_path: Path) -> None:
    """A config counts as many parameters as the model that transformers builds from it."""
    import torch
    import transformers

    shape = read_config(write(tmp_path, config))
    model_class = getattr(transformers, name)
    with torch.device("meta"):
        model = model_class(model_class.config_class.from_pretrained(tmp_path))
    assert sum(parameter.numel() for parameter in model.parameters()) == total_parameters(shape)[0]


@pytest.mark.parametrize("name", ["bert", "albert", "distilbert", "gpt2", "t5", "llama", "mistral"])
def test_defaults_are_those_of_transformers(name: str) -> None:
    """A key that the file leaves out means what transformers documents for it."""
    from transformers import CONFIG_MAPPING

    defaults = CONFIG_MAPPING[name].default_config_fields()
    ours = msgspec.to_builtins(KINDS[name].struct()) | dict(KINDS[name].defaults)
    # Not declared by transformers: defaults of None, T5's tie_word_embeddings, and the biases that Mistral lacks.
    undeclared = {key for key in ours.keys() - defaults.keys() if ours[key] is not None}
    assert undeclared <= {"tie_word_embeddings", "attention_bias", "mlp_bias"}
    shared = defaults.keys() & ours.keys()
    assert {key: defaults[key] for key in shared} == {key: ours[key] for key in shared}


def test_untied_t5_has_an_output_projection_of_its_own() -> None:
    """T5 v1.1 publishes a separate output projection although transformers 5 ties it without weights."""
    tied, untied = (config_shape({"model_type": "t5", "tie_word_embeddings": tie}, "t5") for tie in (True, False))
    assert total_parameters(untied) - total_parameters(tied) == 32128 * 512


def test_bert_counts_as_its_bare_model() -> None:
    """A task head of BERT is not counted; the pooler is."""
    bare, masked = (config_shape({"model_type": "bert", "architectures": [name]}, "bert")
                    for name in ("BertModel", "BertForMaskedLM"))  # fmt: skip
    assert describe_model(bare) == describe_model(masked)


def test_own_kind_is_read_layer_by_layer(tmp_path: Path) -> None:
    """The project's own kind carries exactly the words of a design file."""
    described = describe_model(read_config(write(tmp_path, OWN)))
    assert {key: value for key, value in OWN.items() if key not in ("model_type", "family")} == {
        key: value for key, value in described.items() if key != "family"
    }
    assert described["family"] | OWN["family"] == described["family"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "config.json: the file is empty"),
        ("{", "config.json: not valid JSON"),
        ("[1]", "expected a JSON object with a model_type, got list"),
        ({}, "model_type: expected one of albert, bert, .*, got None"),
        ({"model_type": "mamba"}, "unknown model_type 'mamba'; known: albert, bert, codesign"),
        ({"model_type": "bert", "hidden_size": "768"}, "config.json: hidden_size: Expected int, got '768'"),
        ({"model_type": "bert", "num_hidden_layers": 0}, "num_hidden_layers: Expected int >= 1, got 0"),
        ({"model_type": "bert", "hidden_size": 100}, "hidden size: expected a multiple of the number of heads 12"),
        ({"model_type": "bert", "is_decoder": True}, "is_decoder: expected False, .* got True"),
        ({"model_type": "bert", "add_cross_attention": True}, "add_cross_attention: expected False"),
        ({"model_type": "albert", "num_hidden_groups": 2}, "num_hidden_groups: expected 1, .* got 2"),
        ({"model_type": "mistral"}, r"sliding_window: expected None, .* got 4096 \(the default of a missing key\)"),
        (
            {"model_type": "llama", "num_key_value_heads": 5},
            "num_key_value_heads: expected a divisor of .* = 32, got 5",
        ),
        ({"model_type": "llama", "per_layer_config": {"0": {"head_dim": 8}}}, "per_layer_config: expected None"),
        ({"model_type": "gpt2", "n_embd": 64, "hidden_size": 96}, "hidden_size and n_embd: expected one value"),
        ({"model_type": "t5", "feed_forward_proj": "a-b"}, "feed_forward_proj: expected an activation .* got 'a-b'"),
        (OWN | {"heads": [4]}, "heads: expected one entry for each of 2 layers, got 1"),
        (OWN | {"heads": [3, 0]}, "heads: expected a multiple of kv_heads, got heads = 3, kv_heads = 2"),
        (OWN | {"family": OWN["family"] | {"norms": 1}}, "family.*unknown field.*norms"),
        (OWN | {"family": OWN["family"] | {"stacks": ["encoder", "decoder"]}}, "family.stacks: expected one stack"),
        ({key: OWN[key] for key in OWN if key != "ffn"}, "missing required field.*ffn"),
    ],
)
def test_bad_configs_are_refused(content: str | dict[str, Any], message: str, tmp_path: Path) -> None:
    """A config that cannot be read or costed is refused with file, key, expected and got."""
    with pytest.raises(InputError, match=message):
        read_config(write(tmp_path, content))


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A file that does not exist is named."""
    with pytest.raises(InputError, match=r"nowhere\.json: no such file"):
        read_config(tmp_path / "nowhere.json")


def test_reading_needs_no_torch() -> None:
    """Reading a config imports neither torch nor transformers."""
    code = "import sys, codesign.huggingface, codesign.export; print({'torch', 'transformers'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_every_struct_has_a_kind() -> None:
    """No struct is left behind that nothing reads."""
    structs = {
        value for value in vars(configs).values() if isinstance(value, type) and value.__module__ == configs.__name__
    }
    assert structs == {kind.struct for kind in KINDS.values()}
