"""The measured proxy: a trained elastic network on disk, and the loss of its sub-networks on held-out text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from codesign.accuracy import resolve
from codesign.accuracy.proxy import SUPERNETS, shipped_network
from codesign.accuracy.supernet import Supernet
from codesign.design import ModelShape, Precision, Spans, Sparsity
from codesign.elastic.architecture import Architecture, family_of
from codesign.elastic.saved import CARD, WEIGHTS, load, read_card, save
from codesign.elastic.trained_choices import choices_of
from codesign.elastic.transformer import Elastic
from codesign.errors import InputError, ProxyError
from codesign.shipped import shipped_text
from codesign.space_file import read_space

SMALL = Architecture(vocabulary=2048, context=128, hidden=32, layers=2, heads=2, head_width=16, ffn=64)

TRAINED = {"layers": [[2]], "hidden": [[16, 32]], "heads": [[2], [1, 2]], "ffn": [[0, 64]]}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network as `codesign train` leaves it, but not trained."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("network")
    recipe = shipped_text("sotu_smoke")
    card = {"corpus": "sotu", "tokenizer": 2048, "window": 128, "space": "own", "recipe": recipe, "seed": 0}
    save(path, Elastic(SMALL, seed=1), {**card, "trained_tokens": 0, "choices": TRAINED})
    return path


def shapes() -> ModelShape:
    """Three sub-networks: the whole, one without an FFN, a small one."""
    columns = {
        "layers": [[2], [2], [1]],
        "hidden": [32, 32, 16],
        "heads": [[[2, 2]], [[2, 1]], [[1, 0]]],
        "head_width": [[[16, 16]], [[16, 16]], [[16, 0]]],
        "ffn": [[[64, 64]], [[0, 64]], [[32, 0]]],
    }
    arrays = {name: np.array(values, dtype=np.int64) for name, values in columns.items()}
    return ModelShape(
        family=family_of(SMALL), kv_heads=arrays["heads"].copy(), value_width=arrays["head_width"].copy(), **arrays
    )


def proxy(directory: Path, **changes: object) -> Supernet:
    """The proxy of a directory, that has measured nothing yet."""
    return Supernet("own", directory, window_count=4, **changes)  # type: ignore[arg-type]


def test_weights_come_back_in_half_precision(directory: Path) -> None:
    """What is loaded is what was saved, rounded to 11 bits."""
    model, card = load(directory)
    for name, value in Elastic(SMALL, seed=1).state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=2**-10, atol=1e-6)
    assert card.architecture == SMALL


@pytest.mark.parametrize("file", [WEIGHTS, CARD])
def test_damage_is_told(directory: Path, tmp_path: Path, file: str) -> None:
    """A truncated or missing file is named, with what was expected."""
    for name in (WEIGHTS, CARD):
        (tmp_path / name).write_bytes((directory / name).read_bytes())
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:-9])
    with pytest.raises(InputError, match=f"{file}: expected"):
        load(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(InputError, match=f"{file}: expected a file"):
        load(tmp_path)


def test_a_reach_of_another_network_is_told(directory: Path, tmp_path: Path) -> None:
    """Learned spans of fewer layers than the network has are no card of it."""
    (tmp_path / CARD).write_bytes(msgspec.json.encode(msgspec.structs.replace(read_card(directory), reach=((3, 4),))))
    with pytest.raises(InputError, match=r"supernet\.json: reach: expected 2 layers of 2 heads"):
        read_card(tmp_path)


def test_a_full_disk_leaves_no_half_network(tmp_path: Path) -> None:
    """Where nothing can be written, the directory is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save(tmp_path / "file", Elastic(SMALL), {"corpus": "sotu", "tokenizer": 2048, "window": 128, "space": "own",
             "recipe": "", "seed": 0, "trained_tokens": 0})  # fmt: skip


def test_quality_is_the_loss_on_windows(directory: Path) -> None:
    """Perplexity is the exponential of the mean loss; a batch gives what each shape alone gives, to the last bit."""
    together = proxy(directory).predict(shapes())
    for row in (2, 0, 1):
        alone = proxy(directory).predict(shapes().take(np.array([row])))
        assert (alone.value[0], alone.log_standard_error[0]) == (
            together.value[row],
            together.log_standard_error[row],
        )
    assert ((together.value > 1000) & (together.value < 5000)).all()  # untrained: about the vocabulary
    assert (together.log_standard_error > 0).all()


def test_what_was_not_trained_is_marked(directory: Path) -> None:
    """A shape with fewer layers, another span, sparser or rounder than any in training is measured and marked."""
    measured = proxy(directory)
    assert measured.predict(shapes()).extrapolated.tolist() == [False, False, True]
    whole = shapes().take(np.array([0]))
    bits, density = np.full((1, 1, 2), 8), np.full((1, 1, 2), 0.5)
    for other in (
        replace(whole, precision=Precision(weight_bits=bits, activation_bits=bits)),
        replace(whole, sparsity=Sparsity(attention_density=density, ffn_density=density)),
        replace(whole, spans=Spans(span=bits)),
        replace(whole, hidden=np.array([8])),
        replace(whole, ffn=np.array([[[32, 64]]])),
        replace(whole, heads=np.array([[[1, 2]]])),
    ):
        assert measured.predict(other).extrapolated.tolist() == [True]


@pytest.mark.parametrize("name", list(SUPERNETS))
def test_shipped_networks_say_what_was_trained(name: str) -> None:
    """Their cards hold the choices of their spaces, so that a search in these marks nothing."""
    assert read_card(shipped_network(name)).choices == choices_of(read_space(SUPERNETS[name]).content)


def test_a_shipped_corpus_that_changed_is_told(directory: Path, tmp_path: Path) -> None:
    """The digest in the card is checked for shipped texts too; the shipped cards have one."""
    assert all(read_card(shipped_network(name)).text_sha256 for name in SUPERNETS)
    other = msgspec.structs.replace(read_card(directory), text_sha256="0" * 64)
    (tmp_path / CARD).write_bytes(msgspec.json.encode(other))
    (tmp_path / WEIGHTS).write_bytes((directory / WEIGHTS).read_bytes())
    with pytest.raises(InputError, match=r"got another one \(sotu\); train the network again"):
        proxy(tmp_path).predict(shapes())


def test_differences_are_paired(directory: Path) -> None:
    """A shape differs from itself by nothing, without error; errors shared by two shapes cancel."""
    measured = proxy(directory)
    baseline = shapes().take(np.array([0]))
    error = measured.compare(shapes(), baseline)
    assert error[0] == 0.0
    both = measured.predict(shapes()).log_standard_error
    assert error[1] < np.hypot(both[1], both[0])


def test_shapes_are_measured_once(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured is remembered, also by what differs only where no equation reads it."""
    measured = proxy(directory)
    first = measured.predict(shapes())
    monkeypatch.setattr("codesign.training.evaluate.evaluate_apart", lambda *_, **__: pytest.fail("measured again"))
    np.testing.assert_array_equal(measured.predict(shapes()).value, first.value)


CHOICES = {"layers": (1.0, 2.0), "hidden": (16.0, 32.0), "heads": (1.0, 2.0), "head_width": (16.0,), "ffn": (0.0, 64.0)}


def test_a_space_inside_the_network_is_accepted(directory: Path) -> None:
    """All of its shapes are sub-networks."""
    proxy(directory).check(family_of(SMALL), CHOICES)


@pytest.mark.parametrize(
    ("field", "values", "message"),
    [
        ("hidden", (64.0,), "hidden = 64.0; it has at most 32"),
        ("layers", (3.0,), "layers = 3.0; it has at most 2"),
        ("ffn", (65.0,), "ffn = 65.0; it has at most 64"),
        ("head_width", (32.0,), "its heads are 16 wide"),
    ],
)
def test_sizes_beyond_the_network_are_refused(
    directory: Path, field: str, values: tuple[float, ...], message: str
) -> None:
    """The message names the field, what is there and what was wanted."""
    with pytest.raises(ProxyError, match=message):
        proxy(directory).check(family_of(SMALL), CHOICES | {field: values})


def test_other_families_are_refused(directory: Path) -> None:
    """A network of one kind says nothing of another."""
    with pytest.raises(ProxyError, match=r"family\.norm = 'rmsnorm'; it has 'layernorm'"):
        proxy(directory).check(msgspec.structs.replace(family_of(SMALL), norm="rmsnorm"), CHOICES)


def test_a_shape_beyond_the_network_is_refused(directory: Path) -> None:
    """Also where nobody asked `check`."""
    wide = replace(shapes(), hidden=np.array([64, 32, 16]))
    with pytest.raises(ProxyError, match=r"hidden: expected 1\.\.32, got 64"):
        proxy(directory).predict(wide)


def test_a_directory_is_a_proxy_by_name(directory: Path) -> None:
    """`--proxy supernet:DIRECTORY` finds it; a wrong one says which file is missing."""
    assert resolve(f"supernet:{directory}").name == f"supernet:{directory}"
    with pytest.raises(InputError, match=r"supernet\.json: expected a file"):
        resolve("supernet:nowhere").predict(shapes())
