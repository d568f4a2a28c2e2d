"""The user's task: what is measured, what a fine-tune does, and what `codesign prune` writes."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from codesign.cli import app
from codesign.errors import InputError
from codesign.pretrained.checkpoint import read_checkpoint
from codesign.pretrained.classification import classification, features_of, fit_head
from codesign.pretrained.language import corrupted, language, next_token_losses
from codesign.pretrained.model import Checkpoint, parameter_count
from codesign.pretrained.objective import Network, batch_rows, compared
from codesign.pretrained.operating import operate
from codesign.pretrained.recovery import DivergedError, fine_tuned, stages
from codesign.pretrained.surgery import StackSurgery, Surgery
from codesign.pretrained.user_task import held_out
from tests.pretrained.networks import FFN, VOCABULARY
from tests.pretrained.sentences import examples, write_tokenizer

Published = dict[str, tuple[Path, Checkpoint]]


def test_features_do_not_depend_on_what_is_beside(checkpoint: Checkpoint) -> None:
    """A sentence has the same features alone as padded in a batch."""
    data = examples(6)
    together = features_of(checkpoint, data.tokens)
    for row in range(6):
        alone = features_of(checkpoint, data.tokens[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


def test_fitted_head_separates_what_a_line_can() -> None:
    """Logistic regression finds a linear rule, whatever the scale of the features."""
    random = torch.Generator().manual_seed(0)
    points = torch.randn(300, 4, generator=random) * torch.tensor([1.0, 100.0, 0.01, 1.0]) + 5
    rule = (points[:, 1] - 5) / 100 + (points[:, 2] - 5) / 0.01
    labels = (rule > 0).long()
    head = fit_head(points, labels.numpy(), 2)
    assert (head(points).argmax(dim=1) == labels).float().mean() > 0.95


def test_fine_tune_learns_and_leaves_the_original(published: Published) -> None:
    """Steps on the task raise accuracy on held-out sentences; the network given is not changed."""
    checkpoint = published["bert"][1]
    objective = classification(examples(64), examples(40), batch=16, seed=0)
    network = objective.fitted(checkpoint)
    before = checkpoint.body.state_dict()["encoder.layer.0.ffn.up.weight"].clone()
    after = fine_tuned(network, objective, 60, 5e-3)
    assert objective.scores(after).mean() > 0.9
    assert torch.equal(checkpoint.body.state_dict()["encoder.layer.0.ffn.up.weight"], before)


def test_zeros_stay_zeros_in_a_fine_tune(published: Published) -> None:
    """A recovered sparse network has its density still, and its weights still have few values."""
    objective = classification(examples(32), examples(10), batch=8, seed=0)
    surgery = Surgery(encoder=StackSurgery(attention_density=0.25, ffn_density=0.25, weight_bits=4))
    *_, last = stages(objective.fitted(published["distilbert"][1]), surgery, objective, 3, 1e-2)
    assert last.name == "recovered"
    for layer in last.network.checkpoint.layers("encoder"):
        for maps in layer.matrices().values():
            for map_ in maps:
                assert (map_.used() != 0).float().mean() <= 0.26
                assert max(len(row.unique()) for row in map_.used()) <= 15


def test_stages_compare_the_same_examples(published: Published) -> None:
    """The stages are published, cut, refitted; an empty surgery differs from the published network in none."""
    objective = classification(examples(32), examples(20), batch=8, seed=0)
    found = list(stages(objective.fitted(published["bert"][1]), Surgery(), objective, 0, 1e-3))
    assert [stage.name for stage in found] == ["published", "cut", "refitted"]
    assert all(stage.result.difference == 0 and stage.result.difference_standard_error == 0 for stage in found)


def test_comparison_is_paired() -> None:
    """A constant gap has no error, however much the examples differ."""
    scores = np.array([0.0, 1.0, 5.0, 2.0])
    found = compared(scores + 1, scores)
    assert (found.mean, found.difference, found.difference_standard_error) == (3.0, 1.0, 0.0)
    assert found.standard_error == pytest.approx(scores.std(ddof=1) / 2)
    with pytest.raises(InputError, match="same two or more"):
        compared(scores, scores[:3])


def test_batches_of_a_pass_are_disjoint() -> None:
    """Each pass sees every example once, in an order of its own; the same number gives the same batch."""
    first = np.concatenate([batch_rows(12, 4, i, seed=1) for i in range(3)])
    second = np.concatenate([batch_rows(12, 4, i, seed=1) for i in range(3, 6)])
    assert sorted(first) == sorted(second) == list(range(12))
    assert first.tolist() != second.tolist()


def test_diverged_fine_tune_is_named(published: Published) -> None:
    """A loss that is no number stops the fine-tune and says at which step."""
    objective = classification(examples(32), examples(10), batch=8, seed=0)
    with pytest.raises(DivergedError, match="lower the learning rate"):
        fine_tuned(objective.fitted(published["gpt2"][1]), objective, 20, 1e30)


def test_next_token_losses_are_those_of_transformers(published: Published) -> None:
    """The mean over windows is the loss that transformers computes from labels."""
    body = published["gpt2"][1].body
    windows = np.random.default_rng(0).integers(0, VOCABULARY, (3, 12))
    tokens = torch.from_numpy(windows)
    with torch.no_grad():
        ours = next_token_losses(published["gpt2"][1], windows)
        theirs = body(input_ids=tokens, labels=tokens).loss
    torch.testing.assert_close(ours.mean(), theirs)


def test_corrupted_window_can_be_put_together_again() -> None:
    """Source and target hold every token once, in order; every span has its sentinel in both."""
    window, sentinels = np.arange(100, 164), tuple(range(8))
    for seed in range(20):
        source, target = corrupted(window, sentinels, np.random.default_rng(seed))
        spans = {int(piece[0]): piece[1:] for piece in np.split(target, np.flatnonzero(target < 8)) if len(piece)}
        whole = [token for place in source for token in (spans[int(place)] if place < 8 else [place])]
        assert np.array_equal(whole, window)
        assert len(spans) == 3
        assert len(target) == 10 + 3


def test_span_task_measures_the_same_spans_every_time(published: Published) -> None:
    """Two measurements of one T5 agree, and training makes it better."""
    windows = np.random.default_rng(0).integers(10, 14, (40, 20))
    objective = language(windows[:30], windows[30:], batch=8, seed=0, sentinels=(1, 2, 3))
    network = objective.fitted(published["t5"][1])
    before = objective.scores(network)
    np.testing.assert_array_equal(before, objective.scores(network))
    after = objective.scores(fine_tuned(network, objective, 30, 1e-2))
    assert after.mean() < before.mean() - 0.1
    assert after.mean() < math.log(VOCABULARY)


def test_too_few_sentinels_are_refused() -> None:
    """More spans than sentinels cannot be told apart."""
    windows = np.zeros((20, 64), dtype=np.int64)
    with pytest.raises(InputError, match="at least 3 for windows of 64"):
        language(windows, windows, batch=4, seed=0, sentinels=(1, 2))


def test_held_out_examples_are_not_trained_on() -> None:
    """A fifth of the drawn examples is measured on, the rest trained on, none in both."""
    train, test = held_out(100, 50, seed=3)
    assert len(train) == 40
    assert len(test) == 10
    assert not set(train) & set(test)
    with pytest.raises(InputError, match="at least 10"):
        held_out(9, None, seed=0)


def test_prune_measures_and_writes(user_files: Path) -> None:
    """The verb prints every stage and leaves a checkpoint with its tokenizer and surgery that reads back."""
    arguments = ["prune", user_files / "model", user_files / "half.toml", "--to", user_files / "left", "--json",
                 "--task", user_files / "task.tsv", "--recover", 5, "--tune", 5]  # fmt: skip
    result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    record = json.loads(result.stdout)
    assert [stage["stage"] for stage in record["stages"]] == ["published", "cut", "refitted", "recovered"]
    left = read_checkpoint(user_files / "left")
    assert record["parameters"]["left"] == parameter_count(left) < record["parameters"]["published"]
    assert [layer.setting().ffn for layer in left.layers("encoder")] == [16, 0]
    names = {path.name for path in (user_files / "left").iterdir()}
    assert {"config.json", "model.safetensors", "surgery.toml", "tokenizer.json", "head.safetensors"} <= names


def test_prune_without_a_task_needs_importance_by_size(user_files: Path) -> None:
    """Without examples nothing is measured; choosing heads by Taylor expansion is then refused, and nothing written."""
    arguments = list(map(str, ["prune", user_files / "model", user_files / "half.toml", "--to", user_files / "left"]))
    with pytest.raises(InputError, match="give --task"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert not (user_files / "left").exists()
    surgery = (user_files / "half.toml").read_text().replace("[enc", 'importance = "magnitude"\n[enc')
    (user_files / "half.toml").write_text(surgery)
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "left" in result.stdout
    assert parameter_count(read_checkpoint(user_files / "left")) == parameter_count(
        operate(read_checkpoint(user_files / "model"),
                Surgery(importance="magnitude", encoder=StackSurgery(layers=(0, 2), heads=2, ffn=(FFN // 2, 0))))
    )  # fmt: skip


def test_design_of_another_width_is_refused(user_files: Path) -> None:
    """A design file stands where a surgery may; what no surgery can change is named, and nothing written."""
    design = Path(__file__).parents[2] / "docs" / "design.toml"
    arguments = ["prune", user_files / "model", design, "--to", user_files / "left"]
    with pytest.raises(InputError, match="stacks: expected those of the checkpoint"):
        CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert not (user_files / "left").exists()


def test_text_needs_an_output_projection(user_files: Path) -> None:
    """Perplexity of a bare encoder is a mistake."""
    (user_files / "text.txt").write_text("the film was good " * 50)
    arguments = ["prune", user_files / "model", user_files / "half.toml", "--to", user_files / "left", "--task",
                 user_files / "text.txt", "--task-format", "text"]  # fmt: skip
    with pytest.raises(InputError, match="output projection"):
        CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_perplexity_of_a_cut_decoder(published: Published, tmp_path: Path) -> None:
    """A decoder is measured by perplexity a token and a word of the user's text."""
    shutil.copytree(published["gpt2"][0], tmp_path / "model")
    write_tokenizer(tmp_path / "model")
    (tmp_path / "text.txt").write_text("the film was very good\n\n" * 200)
    (tmp_path / "cut.toml").write_text("format = 1\n[decoder]\nffn = 0\n")
    arguments = ["prune", tmp_path / "model", tmp_path / "cut.toml", "--to", tmp_path / "left", "--json", "--task",
                 tmp_path / "text.txt", "--task-format", "text", "--recover", 5, "--batch", 4]  # fmt: skip
    record = json.loads(CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False).stdout)
    assert [stage["stage"] for stage in record["stages"]] == ["published", "cut", "recovered"]
    for stage in record["stages"]:
        assert stage["perplexity"] == pytest.approx(stage["word_perplexity"])  # a word is a token


def test_network_without_a_head_has_none(published: Published) -> None:
    """Language models are judged as they are."""
    windows = np.zeros((20, 8), dtype=np.int64)
    network = language(windows, windows, batch=4, seed=0).fitted(published["gpt2"][1])
    assert isinstance(network, Network)
    assert network.head is None


@pytest.fixture
def published(checkpoints: Published) -> Published:
    """Return the checkpoints of all kinds."""
    return checkpoints
