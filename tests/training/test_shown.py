"""What `codesign train` shows of what it measured: in words, in JSON and in the log."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from codesign.text.ngrams import count_ngrams, kneser_ney, ngram_baselines
from codesign.training import command, lessons, log, ngram_line
from codesign.training.data import training_text
from codesign.training.loop import Outcome, last_evaluation, train
from tests.training.classifiers import encoders, sentence_recipe, write_sentences
from tests.training.conftest import MakeRecipe, Space, stop_after


def test_a_network_that_diverges_is_measured_and_shown(
    tmp_path: Path, space: Space, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A perplexity beyond any float stops no training; shown at once or read from the log, it is not finite."""
    real = lessons.evaluate_many

    def diverged(model: torch.nn.Module, *rest: object) -> object:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1e4)
        return real(model, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(lessons, "evaluate_many", diverged)
    outcome = train(space, make_recipe({"evaluation.windows": 1, "evaluation.every": 8}), tmp_path / "run")
    assert outcome.evaluation["settings"]["largest"]["word_perplexity"] == float("inf")
    shown = command.lines(outcome)
    assert shown[0].startswith("largest ")
    assert shown[-2].startswith("4-gram of the same tokens: ")
    assert shown[0].endswith("± (not finite) nats a token, word perplexity (not finite)")
    assert msgspec.json.decode(msgspec.json.encode(command.record(outcome)))["evaluation"]["settings"]
    again = Outcome(tmp_path / "run", 8, True, 0, last_evaluation(tmp_path / "run"))
    assert command.lines(again) == shown
    assert [line["kind"] for line in log.read_log(tmp_path / "run")][-1] == "finished"


def test_the_ngram_is_measured_once(
    tmp_path: Path, space: Space, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line stands in the log from the beginning; a resumed or finished training shows it uncounted."""
    recipe, directory = make_recipe(), tmp_path / "run"
    stopped = train(space, recipe, directory, stop=stop_after(2))
    figures = ngram_line.logged(directory)
    assert figures == ngram_line.ngram_figures(training_text(recipe.content.text), recipe.content.evaluation)
    assert command.record(stopped)["ngram"] == figures
    monkeypatch.delattr(ngram_line, "fitted")
    for _ in range(2):
        shown = command.lines(train(space, recipe, directory, resume=True))
        assert [line.split()[0] for line in shown[:-1]] == ["largest", "smallest", "random", "4-gram"]
        assert f"nats a token, word perplexity {figures['word_perplexity']:,.1f} (" in shown[-2]
    assert [line["kind"] for line in log.read_log(directory)].count("ngram") == 1


def test_the_ngram_predicts_what_the_network_does(make_recipe: MakeRecipe) -> None:
    """Its loss is over the targets of the measured windows, fitted on the training tokens alone."""
    recipe = make_recipe().content
    text = training_text(recipe.text)
    figures = ngram_line.ngram_figures(text, recipe.evaluation)
    model = kneser_ney(count_ngrams(text.train.tokens, 300, 4), 300, 4)
    windows = text.validation_windows[: recipe.evaluation.windows]
    row = windows[:, :-1].ravel()
    before = [model.distribution(row[max(0, i - 2) : i + 1])[token] for i, token in enumerate(windows[:, 1:].ravel())]
    assert figures["tokens"] == windows[:, 1:].size == 8 * 16
    assert figures["loss"] == pytest.approx(-np.log(before).mean())
    whole = ngram_baselines(text.train, text.validation, 300, (4,))[0]
    assert figures["word_perplexity_whole"] == pytest.approx(whole.word_perplexity)


def test_a_text_that_no_ngram_can_be_fitted_to_is_trained_on(
    tmp_path: Path, space: Space, make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that is too short for discounts or too long to count has no line, and the reason stands in its place."""
    path = tmp_path / "same.txt"
    path.write_text("\n\n".join(["one and the same line of words"] * 30), encoding="utf-8")
    recipe = make_recipe({"text.path": str(path), "text.vocabulary": 257}).content
    assert "too little text" in ngram_line.ngram_figures(training_text(recipe.text), recipe.evaluation)["left_out"]
    monkeypatch.setattr(ngram_line, "MOST_TOKENS", 100)
    outcome = train(space, make_recipe(), tmp_path / "run")
    assert outcome.finished
    assert "4-gram of the same tokens: left out: " in command.lines(outcome)[-2]


def test_a_classifier_has_no_ngram(tmp_path: Path, make_recipe: MakeRecipe) -> None:
    """Sentences with classes are compared with other lines."""
    recipe = sentence_recipe(make_recipe, write_sentences(tmp_path), {"steps": 6})
    outcome = train(encoders(), recipe, tmp_path / "run")
    assert command.record(outcome)["ngram"] is None
    assert not any("gram" in line for line in command.lines(outcome)[:-1])


def test_committed_logs_are_whole() -> None:
    """Every line of the logs beside the shipped networks is JSON and says what it is."""
    logs = sorted((Path(__file__).parents[2] / "runs" / "reference_training").rglob("*.jsonl"))
    assert logs
    for path in logs:
        assert all(msgspec.json.decode(line)["kind"] for line in path.read_bytes().splitlines())
