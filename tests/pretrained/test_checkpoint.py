"""Checkpoints on disk: what is read, written, read again, and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from codesign.errors import InputError
from codesign.parameters import parameters
from codesign.pretrained.building import class_of
from codesign.pretrained.checkpoint import read_checkpoint, save
from codesign.pretrained.model import Checkpoint, parameter_count, shape_of
from codesign.pretrained.operating import operate
from codesign.pretrained.surgery import StackSurgery, Surgery
from tests.pretrained.networks import output, publish

Published = dict[str, tuple[Path, Checkpoint]]

OURS: dict[str, Any] = {"heads": 2, "ffn": 16, "span": 4, "weight_bits": 6, "activation_bits": 8, "ffn_density": 0.5}
THEIRS: dict[str, Any] = {"layers": (0, 2), "weight_bits": 8, "ffn_density": 0.5}


def operated(checkpoint: Checkpoint, changes: dict[str, Any]) -> Checkpoint:
    """Return a checkpoint after one surgery of its first stack."""
    stack = StackSurgery(**changes)
    encoder = checkpoint.base.family.stacks[0] == "encoder"
    return operate(
        checkpoint,
        Surgery(importance="magnitude", **{"encoder" if encoder else "decoder": stack}),  # type: ignore[arg-type]
    )


def test_what_only_we_can_express_comes_back(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A network with fewer heads, spans and bits gives equal outputs and counts after it was written and read."""
    made = operated(checkpoint, OURS)
    save(made, tmp_path / "left")
    again = read_checkpoint(tmp_path / "left")
    torch.testing.assert_close(output(again.body), output(made.body), rtol=1e-5, atol=1e-5)
    assert parameter_count(again) == parameter_count(made)
    assert [layer.setting() for layer in again.layers(again.base.family.stacks[0])] == [
        layer.setting() for layer in made.layers(made.base.family.stacks[0])
    ]


def test_what_transformers_can_express_it_loads(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Fewer layers, zeros and rounded weights make a checkpoint that transformers reads without us."""
    made = operated(checkpoint, THEIRS)
    save(made, tmp_path / "left")
    theirs = class_of(checkpoint.base).from_pretrained(tmp_path / "left").eval()
    torch.testing.assert_close(output(theirs), output(made.body), rtol=1e-5, atol=1e-5)


def test_narrow_ffns_everywhere_are_plain_transformers(published: Published, tmp_path: Path) -> None:
    """FFNs of one width in all layers need nothing of ours."""
    made = operated(published["gpt2"][1], {"ffn": 8})
    save(made, tmp_path / "left")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "left").eval()
    torch.testing.assert_close(output(theirs), output(made.body), rtol=1e-5, atol=1e-5)


def test_transformers_does_not_misread_what_it_cannot_express(published: Published, tmp_path: Path) -> None:
    """A network with spans is of a kind that transformers does not know, so it refuses it."""
    save(operated(published["bert"][1], {"span": 3}), tmp_path / "left")
    with pytest.raises((ValueError, KeyError), match="codesign_surgery"):
        transformers.AutoModel.from_pretrained(tmp_path / "left")


def test_shared_layers_come_back_shared(published: Published, tmp_path: Path) -> None:
    """A group of layers is one set of weights on disk too."""
    made = operated(published["distilbert"][1], {"shared": ((0, 1),)})
    save(made, tmp_path / "left")
    again = read_checkpoint(tmp_path / "left")
    assert parameter_count(again) == parameter_count(made)
    assert torch.equal(output(again.body), output(made.body))


def test_checkpoint_without_pooler_stays_without(published: Published, tmp_path: Path) -> None:
    """A pooler that the checkpoint lacks is neither made up nor counted, and surgery does not bring it back."""
    folder = shutil.copytree(published["bert"][0], tmp_path / "bare")
    weights = {name: value for name, value in load_file(folder / "model.safetensors").items() if "pooler" not in name}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    bare = read_checkpoint(folder)
    assert parameters(shape_of(bare))["pooler"][0] == 0
    for i, changes in enumerate((THEIRS, OURS)):
        save(operated(bare, changes), tmp_path / str(i))
        again = read_checkpoint(tmp_path / str(i))
        assert parameters(shape_of(again))["pooler"][0] == 0


def test_directory_that_is_there_is_left_alone(published: Published, tmp_path: Path) -> None:
    """Nothing is overwritten."""
    (tmp_path / "left").mkdir()
    with pytest.raises(InputError, match="there already"):
        save(published["bert"][1], tmp_path / "left")
    assert not list((tmp_path / "left").iterdir())


def damaged(folder: Path, how: str) -> None:
    """Damage a checkpoint in place."""
    config, weights = folder / "config.json", folder / "model.safetensors"
    raw = json.loads(config.read_text())
    content = weights.read_bytes()
    {
        "config missing": config.unlink,
        "config broken": lambda: config.write_text("{"),
        "config list": lambda: config.write_text("[]"),
        "kind": lambda: config.write_text(json.dumps({**raw, "model_type": "mamba"})),
        "weights missing": weights.unlink,
        "weights truncated": lambda: weights.write_bytes(content[: len(content) // 2]),
        "weights corrupt": lambda: weights.write_bytes(b"\xff" * len(content)),
        "sizes": lambda: config.write_text(json.dumps({**raw, "intermediate_size": 40})),
        "more layers": lambda: config.write_text(json.dumps({**raw, "num_hidden_layers": 4})),
    }[how]()


DAMAGES = [
    ("config missing", "expected the config"),
    ("config broken", "not valid JSON"),
    ("config list", "expected a JSON object"),
    ("kind", "unknown model_type 'mamba'; known: albert, bert, distilbert, gpt2, t5"),
    ("weights missing", "expected weights"),
    ("weights truncated", "cannot be read"),
    ("weights corrupt", "cannot be read"),
    ("sizes", "cannot be read"),
    ("more layers", "got none for 16"),
]


@pytest.mark.parametrize(("how", "message"), DAMAGES, ids=[how for how, _ in DAMAGES])
def test_damaged_checkpoints_are_refused(how: str, message: str, tmp_path: Path) -> None:
    """A checkpoint that is not whole says what is wrong with which file."""
    publish("bert", tmp_path)
    damaged(tmp_path, how)
    with pytest.raises(InputError, match=message):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("how", ["config", "weights", "record"])
def test_damaged_surgeries_are_refused(how: str, published: Published, tmp_path: Path) -> None:
    """What we wrote is checked as strictly as what transformers wrote."""
    folder = tmp_path / "left"
    save(operated(published["bert"][1], OURS), folder)
    if how == "weights":
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    else:
        raw = json.loads((folder / "config.json").read_text())
        raw |= {"more": 1} if how == "config" else {}
        raw["stacks"]["encoder"] = raw["stacks"]["encoder"][:2]
        (folder / "config.json").write_text(json.dumps(raw))
    with pytest.raises(InputError, match="expected"):
        read_checkpoint(folder)


def test_reading_and_writing_show_no_bars(
    published: Published, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Progress bars of transformers do not appear, also where weights are refused, and its settings are restored."""
    bars = transformers.utils.logging
    assert bars.is_progress_bar_enabled()
    publish("bert", tmp_path / "bad")
    capfd.readouterr()
    save(published["bert"][1], tmp_path / "left")
    damaged(tmp_path / "bad", "more layers")
    read_checkpoint(tmp_path / "left")
    with pytest.raises(InputError):
        read_checkpoint(tmp_path / "bad")
    assert capfd.readouterr().err == ""
    assert bars.is_progress_bar_enabled()


@pytest.fixture
def published(checkpoints: Published) -> Published:
    """Return the checkpoints of all kinds."""
    return checkpoints
