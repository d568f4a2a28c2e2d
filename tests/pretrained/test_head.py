"""The head that a task needs, beside the network that it was measured on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModel
from typer.testing import CliRunner

from codesign.cli import app
from codesign.errors import InputError
from codesign.pretrained.checkpoint import read_checkpoint
from codesign.pretrained.classification import read_tokenizer
from codesign.pretrained.classifier import read_classifier
from codesign.pretrained.head import Head, read_head, write_head
from codesign.pretrained.user_task import held_out
from codesign.text.labelled import read_tsv

DOCS = Path(__file__).parents[2] / "docs" / "pretrained.md"


def pruned(folder: Path, surgery: str) -> float:
    """Cut and recover a network on the user's task with names of classes; return the accuracy printed last."""
    text = (folder / "task.tsv").read_text().replace("\t1\n", "\tbad one\n").replace("\t0\n", "\tgood one\n")
    rows = text.replace(" very ", " bad good ").splitlines(keepends=True)  # no line tells all of them apart
    (folder / "task.tsv").write_text("".join(rows))
    (folder / "half.toml").write_text(surgery)
    arguments = ["prune", folder / "model", folder / "half.toml", "--to", folder / "left", "--json",
                 "--task", folder / "task.tsv", "--recover", 3, "--learning-rate", 1e-2]  # fmt: skip
    record = json.loads(CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False).stdout)
    assert record["head"]["classes"] == ["bad one", "good one"]
    return float(record["stages"][-1]["accuracy"])


def measured(folder: Path) -> tuple[list[str], list[str]]:
    """Return the held-out sentences and the names of their classes."""
    data = read_tsv(folder / "task.tsv", text="sentence", label="label")
    _, test = held_out(len(data.texts), None, 0)
    return [data.texts[row] for row in test], [data.classes[data.labels[row]] for row in test]


def snippet() -> str:
    """Return the first Python of the page."""
    return DOCS.read_text().split("```python\n")[1].split("```")[0]


OURS = "format = 1\n[encoder]\nlayers = [0, 2]\nheads = 2\nffn = [16, 0]\nactivation_bits = 8\n"
THEIRS = "format = 1\n[encoder]\nlayers = [0, 2]\nweight_bits = 6\n"


@pytest.mark.parametrize("surgery", [OURS, THEIRS], ids=["ours", "transformers'"])
def test_accuracy_printed_is_that_of_what_was_written(
    surgery: str, user_files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines of the documentation, on the directory written, give the accuracy of the last stage."""
    printed = pruned(user_files, surgery)
    names: dict[str, object] = {}
    exec(snippet().replace("minilm-half", str(user_files / "left")), names)
    assert set(capsys.readouterr().out.strip("[]\n").replace("'", "").split(", ")) <= {"bad one", "good one"}
    sentences, wanted = measured(user_files)
    found = names["classify"](sentences)  # type: ignore[operator]
    assert np.mean([a == b for a, b in zip(found, wanted, strict=True)]) == pytest.approx(printed, abs=1e-9)


def test_transformers_alone_can_use_the_head(user_files: Path) -> None:
    """What the page says of the file is enough: mean of the last states, one matrix, one bias."""
    printed = pruned(user_files, THEIRS)
    body = AutoModel.from_pretrained(user_files / "left").eval()
    tokenizer = read_tokenizer(user_files / "left")
    with safe_open(user_files / "left" / "head.safetensors", framework="pt") as head:
        weight, bias = head.get_tensor("weight"), head.get_tensor("bias")
        classes = json.loads(head.metadata()["classes"])
    sentences, wanted = measured(user_files)
    with torch.no_grad():
        states = [body(torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0] for text in sentences]
    found = [classes[int((weight @ state.mean(dim=0) + bias).argmax())] for state in states]
    assert np.mean([a == b for a, b in zip(found, wanted, strict=True)]) == pytest.approx(printed, abs=1e-9)


def test_directory_of_a_head_alone_has_no_weights(user_files: Path) -> None:
    """A head is not taken for the weights of a network."""
    (user_files / "model" / "model.safetensors").unlink()
    write_head(Head(torch.nn.Linear(24, 2), ("a", "b"), 128), user_files / "model")
    with pytest.raises(InputError, match="expected weights"):
        read_checkpoint(user_files / "model")


def test_head_comes_back(tmp_path: Path) -> None:
    """Weights, names and length are those written, whatever stands in a name."""
    head = Head(torch.nn.Linear(5, 3), ('a "b"', "c,d", "é"), 64)
    write_head(head, tmp_path)
    again = read_head(tmp_path)
    assert (again.classes, again.longest) == (head.classes, head.longest)
    assert torch.equal(again.map.weight, head.map.weight)
    assert torch.equal(again.map.bias, head.map.bias)


def test_damaged_heads_are_refused(user_files: Path) -> None:
    """A head that is missing, cut short, or of another network is named."""
    model = user_files / "model"
    with pytest.raises(InputError, match="expected the head"):
        read_classifier(model)
    write_head(Head(torch.nn.Linear(7, 2), ("a", "b"), 128), model)
    with pytest.raises(InputError, match="on 24 features, got one on 7"):
        read_classifier(model)
    write_head(Head(torch.nn.Linear(24, 2), ("a", "b", "c"), 128), model)
    with pytest.raises(InputError, match="each of 3 classes"):
        read_classifier(model)
    content = (model / "head.safetensors").read_bytes()
    (model / "head.safetensors").write_bytes(content[:50])
    with pytest.raises(InputError, match="expected the head"):
        read_classifier(model)
