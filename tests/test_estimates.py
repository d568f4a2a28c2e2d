"""`codesign estimate` below the command line: one design from any source, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from codesign.errors import CodesignError, InputError
from codesign.estimates import ScenarioOptions, estimate_input
from tests.optimize.searches import small_search
from tests.test_startup import design_file

NONE_GIVEN = ScenarioOptions(None, None, 1, "prefill")
GPT2 = {"model_type": "gpt2", "n_layer": 2, "n_embd": 64, "n_head": 2, "vocab_size": 100, "n_positions": 128}
T5 = {"model_type": "t5", "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "vocab_size": 100}


def config(directory: Path, content: Any) -> str:
    """Write a config.json and return its path."""
    path = directory / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_design_of_a_run_costs_what_the_run_recorded(tmp_path: Path) -> None:
    """RUN#ID is the recorded design in the run's scenario: the metrics are equal to the last bit."""
    run = small_search(tmp_path / "run", cost_model="gemmini_40nm")
    for id_ in (0, 17, 59):
        result = estimate_input(f"{tmp_path / 'run'}#{id_}", "gemmini_40nm", NONE_GIVEN)
        for name, value in result["metrics"].items():
            assert value == run.evaluations.metrics[name][id_]


def test_a_design_file_costs_what_the_baseline_of_its_space_does(tmp_path: Path) -> None:
    """The baseline of `tiny` written as a design file has the cost of the search's first design."""
    run = small_search(tmp_path / "run", budget=5, population=5)
    result = estimate_input(design_file(tmp_path), "unit", NONE_GIVEN)
    assert result["metrics"] == {name: run.evaluations.metrics[name][0] for name in result["metrics"]}


def test_the_result_is_plain_data_whose_parts_sum(tmp_path: Path) -> None:
    """The result survives JSON, and each breakdown sums to the whole."""
    result = estimate_input(design_file(tmp_path), "gemmini_40nm", NONE_GIVEN)
    assert json.loads(msgspec.json.encode(result)) == result
    for lines in result["breakdown"].values():
        np.testing.assert_allclose(sum(line["energy_j"] for line in lines), result["metrics"]["energy_j"], rtol=1e-12)
        np.testing.assert_allclose(sum(line["energy_share"] for line in lines), 1.0, rtol=1e-12)
        if "cycles" in lines[0]:
            assert sum(line["cycles"] for line in lines) == result["metrics"]["cycles"]


def test_a_config_is_costed_in_the_scenario_of_the_options(tmp_path: Path) -> None:
    """Sequence length, batch and phase are taken; without a length a model runs its positions, at most 512."""
    path = config(tmp_path, GPT2)
    assert estimate_input(path, "unit", NONE_GIVEN)["scenario"]["sequence_length"] == 128
    longer = config(tmp_path, GPT2 | {"n_positions": 2048})
    assert estimate_input(longer, "unit", NONE_GIVEN)["scenario"]["sequence_length"] == 512
    one, two = (estimate_input(path, "unit", ScenarioOptions(32, None, batch, "prefill")) for batch in (1, 2))
    assert two["metrics"]["macs"] == 2 * one["metrics"]["macs"]
    decode = estimate_input(path, "unit", ScenarioOptions(32, None, 1, "decode"))
    assert decode["metrics"]["macs"] < one["metrics"]["macs"]


def test_a_model_of_two_stacks_has_a_target(tmp_path: Path) -> None:
    """Without a target length an encoder-decoder writes as many tokens as it reads."""
    path = config(tmp_path, T5)
    assert estimate_input(path, "unit", ScenarioOptions(24, None, 1, "prefill"))["scenario"]["target_length"] == 24
    assert estimate_input(path, "unit", ScenarioOptions(24, 8, 1, "prefill"))["scenario"]["target_length"] == 8


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", NONE_GIVEN, "the file is empty"),
        ("{", NONE_GIVEN, "not valid JSON"),
        ("[1]", NONE_GIVEN, "expected a JSON object with a model_type, got list"),
        ('{"n_layer": 2}', NONE_GIVEN, "model_type"),
        (GPT2 | {"model_type": "gpt9"}, NONE_GIVEN, "'gpt9'; known: albert, .*gpt2"),
        (GPT2 | {"n_layer": "two"}, NONE_GIVEN, "n_layer"),
        (GPT2 | {"n_layer": 0}, NONE_GIVEN, "n_layer"),
        (GPT2 | {"n_layer": 10**18}, NONE_GIVEN, "n_layer"),
        (GPT2 | {"n_embd": 65}, NONE_GIVEN, "n_embd|hidden|divide"),
        (GPT2, ScenarioOptions(129, None, 1, "prefill"), "128"),
        (GPT2, ScenarioOptions(0, None, 1, "prefill"), "sequence_length"),
        (GPT2, ScenarioOptions(-1, None, 1, "prefill"), "sequence_length"),
        (GPT2, ScenarioOptions(8, None, 0, "prefill"), "batch"),
        (GPT2, ScenarioOptions(8, 4, 1, "prefill"), "target_length"),
        (GPT2, ScenarioOptions(8, None, 1, "training"), "phase"),
    ],
)  # fmt: skip
def test_bad_configs_and_scenarios_are_refused(
    content: Any, options: ScenarioOptions, message: str, tmp_path: Path
) -> None:
    """What cannot be read or run is refused with the key that is wrong."""
    with pytest.raises(CodesignError, match=message):
        estimate_input(config(tmp_path, content), "unit", options)


def test_sources_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    """Unknown kinds of input, files that are none, and ids beyond the run are named."""
    small_search(tmp_path / "run", budget=5, population=5)
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "empty.toml").write_text("  \n")
    (tmp_path / "broken.toml").write_text("format = ")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "other.toml").write_text("format = 1\nname = 'x'\n")
    for source, message in (
        ("bert", r"bert: expected a design \.toml, an exported design\.json, a Hugging Face config\.json, or RUN#ID"),
        ("none.toml", r"none\.toml: no such file"),
        ("none.json", r"none\.json: no such file"),
        ("folder.toml", "folder.toml: cannot be read"),
        ("empty.toml", "empty.toml: the file is empty"),
        ("broken.toml", "broken.toml: not valid TOML"),
        ("binary.toml", "binary.toml: cannot be read"),
        ("other.toml", "other.toml: .*unknown field name"),
        ("run#5", r"run#5: expected an id of 0\.\.4 after #, got '5'"),
        ("run#", r"expected an id of 0\.\.4 after #, got ''"),
        ("run#-1", "expected an id"),
        ("run#1.5", "expected an id"),
        ("run#²", "expected an id"),
        (f"run#{'9' * 5000}", "expected an id"),
        ("nowhere#1", "nowhere: no run here"),
    ):
        with pytest.raises(CodesignError, match=message):
            estimate_input(str(tmp_path / source), "unit", NONE_GIVEN)


def test_options_of_a_config_are_refused_elsewhere(tmp_path: Path) -> None:
    """Designs and runs have a scenario of their own, which no option silently overrules."""
    small_search(tmp_path / "run", budget=5, population=5)
    for source in (design_file(tmp_path), f"{tmp_path / 'run'}#0"):
        for options in (
            ScenarioOptions(16, None, 1, "prefill"),
            ScenarioOptions(None, 16, 1, "prefill"),
            ScenarioOptions(None, None, 2, "prefill"),
            ScenarioOptions(None, None, 1, "decode"),
        ):
            with pytest.raises(InputError, match="it has a scenario of its own; --sequence-length"):
                estimate_input(source, "unit", options)


def test_a_design_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """One byte of scratchpad holds no tile, and the message says so."""
    path = Path(design_file(tmp_path))
    path.write_text(path.read_text().replace("scratchpad_kib = 16", "scratchpad_kib = 0.0009765625"))
    with pytest.raises(InputError, match=r"design\.toml: no tile of some matmul fits"):
        estimate_input(str(path), "unit", NONE_GIVEN)
