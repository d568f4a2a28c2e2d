"""What `codesign prune` does: read a checkpoint and a surgery, measure the user's task, write what is left."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from codesign.errors import InputError
from codesign.estimates import read_shape
from codesign.files import read_text
from codesign.pretrained.checkpoint import check_new, read_checkpoint, save
from codesign.pretrained.classification import LONGEST
from codesign.pretrained.head import HEAD, TOKENS, Head
from codesign.pretrained.model import Checkpoint, parameter_count, shape_of
from codesign.pretrained.objective import Comparison, Network, Objective
from codesign.pretrained.operating import check_fits, operate
from codesign.pretrained.recovery import Stage, check_fine_tune, published, stages
from codesign.pretrained.surgery import Surgery, read_surgery, surgery_of
from codesign.pretrained.user_task import TaskFiles, check_numbers, read_task, window_length
from codesign.text.packing import perplexity
from codesign.training.loop import check_device


@dataclass(frozen=True)
class FineTune:
    """Steps on the user's task."""

    tune: int = 0
    """Before the surgery: for a checkpoint that was not trained for the task."""
    recover: int = 0
    """After it."""
    learning_rate: float = 5e-5


def prune(
    directory: Path, surgery: str, to: Path, task: TaskFiles | None, steps: FineTune, device: str = "cpu"
) -> dict[str, Any]:
    """Cut a checkpoint, measure it, write it and return named figures.

    What is written is the last network measured, recovered if there are steps for it, and its head if it has one.

    Args:
        directory: the checkpoint.
        surgery: a surgery .toml, or a design (.toml, exported design.json, RUN#ID) whose sizes it gets.
        to: a new directory.
        task: the user's; None = nothing is measured.
        steps: of fine-tunes.
        device: of torch, as of `codesign train`; what is written does not depend on it.

    Raises:
        InputError: anything that cannot be used; then nothing was written. What needs no network to be seen is said
            before one is read.
        DivergedError: a fine-tune ruined the network; nothing was written.
    """
    check_device(device)
    check_new(to)
    _check_steps(steps, task)
    if task is not None:
        check_numbers(task)
    checkpoint = read_checkpoint(directory)
    plan = surgery_for(surgery, checkpoint)
    check_fits(checkpoint, plan, task is not None)
    checkpoint.on(device)
    measured: list[dict[str, Any]] = []
    if task is None:
        left, head = operate(checkpoint, plan), None
    else:
        objective = read_task(task, checkpoint, directory)
        network = published(checkpoint, objective, steps.tune, steps.learning_rate)
        found = list(stages(network, plan, objective, steps.recover, steps.learning_rate))
        measured = [figures(stage, objective) for stage in found]
        left, head = found[-1].network.checkpoint, _head(found[-1].network, objective)
    text = read_text(Path(surgery)) if Path(surgery).suffix == ".toml" else toml_of(plan)
    files = save(left.on("cpu"), to, directory, text, head)
    return {
        "format": 1,
        "checkpoint": str(directory),
        "parameters": {"published": parameter_count(checkpoint), "left": parameter_count(left)},
        "stages": measured,
        "head": head and {"file": str(to / HEAD), "classes": list(head.classes), "pooling": head.pooling},
        "files": [str(path) for path in files],
    }


def _head(network: Network, objective: Objective) -> Head | None:
    """What the last accuracy was measured with, to be written: without it nobody could have that accuracy."""
    if network.head is None:
        return None
    if objective.measure == "f1":
        return Head(network.head, objective.classes, window_length(network.checkpoint), TOKENS)
    return Head(network.head, objective.classes, LONGEST)


def _check_steps(steps: FineTune, task: TaskFiles | None) -> None:
    for count in (steps.tune, steps.recover):
        check_fine_tune(count, steps.learning_rate)
    if task is None and steps.tune + steps.recover:
        raise InputError(f"tune, recover: expected a task to take {steps.tune} and {steps.recover} steps on, got none; "
                         "give --task")  # fmt: skip


def surgery_for(source: str, checkpoint: Checkpoint) -> Surgery:
    """Return the surgery of a file, or the one that makes a checkpoint as large as a design.

    Raises:
        InputError: neither, or a design that no surgery gives.
    """
    path = Path(source)
    if path.suffix == ".toml" and not _is_design(path):
        return read_surgery(path)
    return surgery_of(read_shape(source), shape_of(checkpoint))


def _is_design(path: Path) -> bool:
    try:
        return "model" in tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError:
        return False  # and the reader of surgeries says what is wrong


def toml_of(surgery: Surgery) -> str:
    """Return the text of a surgery."""
    plain = msgspec.to_builtins(surgery)
    lines = [f"{key} = {_value(plain[key])}" for key in ("format", "importance")]
    for stack in ("encoder", "decoder"):
        told = {key: value for key, value in plain[stack].items() if value not in (None, [], ())}
        if told:
            lines += ["", f"[{stack}]", *(f"{key} = {_value(value)}" for key, value in told.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return msgspec.json.encode(value).decode()


def figures(stage: Stage, objective: Objective) -> dict[str, Any]:
    """Return the named figures of one stage; differences are to the published network.

    A perplexity that is too large for a number is infinite, which is null in JSON, as in `codesign train`.
    """
    result = stage.result
    if objective.measure == "perplexity":
        told = _perplexity(result, objective.tokens_per_word)
    else:
        told = {objective.measure: result.mean, "standard_error": result.standard_error}
    return {"stage": stage.name, **told, **stage.details, "difference": result.difference,
            "difference_standard_error": result.difference_standard_error}  # fmt: skip


def _perplexity(result: Comparison, tokens_per_word: float | None) -> dict[str, float]:
    """Perplexity a token, and a word where tokens are those of the text; errors and differences in nats a token."""
    told = {"perplexity": perplexity(result.mean), "standard_error_nats": result.standard_error}
    return told if tokens_per_word is None else {**told, "word_perplexity": perplexity(result.mean * tokens_per_word)}


def _shown(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.5g}" if math.isfinite(value) else "(not finite)"


def lines(record: dict[str, Any]) -> Iterator[str]:
    """Yield what the terminal shows."""
    counts = record["parameters"]
    yield f"parameters: {counts['published']:,} published, {counts['left']:,} left"
    for stage in record["stages"]:
        yield "  ".join(f"{key}={_shown(value)}" for key, value in stage.items())
    if record["head"] is not None:
        yield f"head: tells {', '.join(record['head']['classes'])}, measured as {record['stages'][-1]['stage']}"
    yield from record["files"]
