"""What `codesign train` shows of what it measured: in words, in JSON and in the log."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from codesign.training import command, lessons, log
from codesign.training.loop import Outcome, last_evaluation, train
from tests.training.conftest import MakeRecipe, Space


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
    assert shown[0].endswith("± (not finite) nats a token, word perplexity (not finite)")
    assert msgspec.json.decode(msgspec.json.encode(command.record(outcome)))["evaluation"]["settings"]
    again = Outcome(tmp_path / "run", 8, True, 0, last_evaluation(tmp_path / "run"))
    assert command.lines(again) == shown
    assert [line["kind"] for line in log.read_log(tmp_path / "run")][-1] == "finished"
