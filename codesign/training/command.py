"""What `codesign train` does: files in, a training directory out, and the figures to show."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from codesign.errors import InputError
from codesign.space_file import read_space
from codesign.training import ngram_line
from codesign.training.loop import Outcome, Watcher, train
from codesign.training.recipe import read_recipe


def train_by_name(
    space: str,
    recipe: str,
    directory: Path,
    *,
    resume: bool,
    source: Path | None,
    seed: int | None,
    steps: int | None,
    device: str,
    workers: int,
    cluster: str,
    watch: Watcher,
    stop: Callable[[], int],
) -> Outcome:
    """Train a space by a recipe, both a shipped name or a path; `seed` and `steps` replace those of the recipe.

    One worker is this process; several are processes of a Ray cluster.

    Raises:
        InputError: both a network to begin with and a training to resume.
        CodesignError: see `read_space`, `read_recipe`, `train` and `train_with_workers`.
    """
    if resume and source is not None:
        raise InputError(
            f"--from {source}: a training that is resumed has its beginning in {directory}; leave --from out"
        )
    found, how = read_space(space), read_recipe(recipe, seed, steps)
    if workers == 1:
        return train(found, how, directory, resume=resume, source=source, device=device, watch=watch, stop=stop)
    from codesign.training.workers import Asked, train_with_workers

    asked = Asked(found, how, directory.absolute(), device)
    return train_with_workers(asked, workers, cluster, resume=resume, source=source, watch=watch, stop=stop)


def record(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain data, for JSON, which has null for numbers that are not finite."""
    ngram = ngram_line.logged(outcome.directory)
    return {"format": 1, **asdict(outcome), "directory": str(outcome.directory), "ngram": ngram}


def lines(outcome: Outcome) -> list[str]:
    """Return an outcome as text: lines for each measured sub-network, the n-gram of a language model, the directory."""
    found = [f"{kind:<10} {_figures(one)}" for kind, one in outcome.evaluation.get("settings", {}).items()]
    end = "finished" if outcome.finished else "stopped; continue with the same command and --resume"
    ngram = ngram_line.logged(outcome.directory)
    beside = [ngram_line.shown(ngram)] if ngram else []
    return [*found, *beside, f"{outcome.directory}: {outcome.step} steps, {end}"]


def _figures(one: dict[str, Any]) -> str:
    loss = f"{_number(one['loss'], '.4f')} ± {_number(one['standard_error'], '.4f')} nats a"
    if "error" in one:
        return f"{loss} sentence, error {one['error']:.2%} ± {_number(one['error_standard_error'], '.2%')}"
    if "answer_error" in one:
        error = f"error {one['answer_error']:.2%} ± {_number(one['answer_error_standard_error'], '.2%')}"
        return f"{loss} window, {error} (100 % less F1), exact match {one['exact']:.2%}"
    return f"{loss} token, word perplexity {_number(one['word_perplexity'], ',.1f')}"


def _number(value: float | None, form: str) -> str:
    """Return a number as text, the same of one that was just measured and of one read from the log, null there."""
    return format(value, form) if value is not None and math.isfinite(value) else "(not finite)"
