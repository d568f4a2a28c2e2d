"""Train a search space's elastic network by a recipe: deterministic, resumable at any step."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from codesign.elastic import saved
from codesign.elastic.transformer import Elastic
from codesign.errors import InputError
from codesign.files import Document
from codesign.space import SearchSpace
from codesign.text.tokenizer import Tokenizer
from codesign.training import folder, log, ngram_line, start
from codesign.training.identity import Identity, identity_of
from codesign.training.lessons import Text, read_text
from codesign.training.process import keep_freed_memory
from codesign.training.publishing import publish
from codesign.training.recipe import Recipe
from codesign.training.sampling import Sampler
from codesign.training.trainer import Step, Trainer, Worker

Watcher = Callable[[Step], None]


@dataclass(frozen=True)
class Outcome:
    """How a training ended."""

    directory: Path
    step: int
    """Steps done."""
    finished: bool
    stopped_by: int
    """Number of the signal that asked to stop; 0 = none."""
    evaluation: dict[str, Any]
    """The last evaluation; empty where it was stopped before the first."""


def train(
    space: Document[SearchSpace],
    recipe: Document[Recipe],
    directory: Path,
    *,
    resume: bool = False,
    source: Path | None = None,
    device: str = "cpu",
    worker: Worker | None = None,
    watch: Watcher = lambda _: None,
    stop: Callable[[], int] = lambda: 0,
) -> Outcome:
    """Train until the recipe's steps are done, or `stop` returns a signal's number; then the state is saved.

    Args:
        space: what is trained.
        recipe: how.
        directory: a new directory; with `resume` one that holds this training.
        resume: continue from the last checkpoint, from the beginning where there is none yet.
        source: directory of the trained network that it begins with; None = random weights, or what was resumed.
        device: of torch. Equal bits after a resumption are promised for "cpu" on the same machine only.
        worker: which of several processes this is; the first one writes, all others write nothing.
        watch: called after each step.
        stop: asked after each step.

    Raises:
        InputError: a text or a space that cannot be trained, a network that does not fit.
        TrainingError: the directory is occupied or another training's, the disk is full, the loss diverges.
        CheckpointError: the last checkpoint is damaged.
    """
    check_device(device)
    keep_freed_memory()
    torch.set_num_threads(recipe.content.threads)
    text, identity = _resumed(space, recipe, directory) if resume else begin(space, recipe, directory, source)
    torch.manual_seed(recipe.content.seed)
    model = Elastic(identity.architecture, recipe.content.seed)
    start.give_weights(directory, model)
    sampler = Sampler(space.content, recipe.content.seed)
    trainer = Trainer(directory, model.to(device), identity, text, sampler, device, worker or Worker())
    if trainer.worker.rank:
        return _follow(trainer, resume, stop)
    with log.writing(directory) as written:
        if resume:
            trainer.restore()
            written.write("resumed", step=trainer.position.step)
        ngram_line.write_once(trainer, written)
        if (directory / saved.CARD).exists():
            return Outcome(directory, trainer.position.step, True, 0, last_evaluation(directory))
        return _run(trainer, space.content, written, watch, stop)


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        InputError: says which one.
    """
    with suppress(RuntimeError, AssertionError):
        torch.zeros(1, device=device)
        return
    raise InputError(f"device {device!r}: torch {torch.__version__} cannot use it here; use cpu")


def _resumed(space: Document[SearchSpace], recipe: Document[Recipe], directory: Path) -> tuple[Text, Identity]:
    folder.read_manifest(directory)
    text = read_text(recipe.content, Tokenizer.read(directory / folder.TOKENIZER))
    identity = identity_of(space.content, recipe.content, text, start.card_in(directory))
    folder.check_same(directory, identity)
    return text, identity


def begin(
    space: Document[SearchSpace], recipe: Document[Recipe], directory: Path, source: Path | None
) -> tuple[Text, Identity]:
    """Make the directory of a new training, with all but a checkpoint in it.

    Args:
        space: what is trained.
        recipe: how.
        directory: a new one.
        source: directory of the trained network that it begins with, whose tokenizer it takes; None = random weights.

    Raises:
        InputError: a text or a space that cannot be trained, a network that does not fit.
        TrainingError: the directory is occupied.
    """
    folder.refuse_occupied(directory)
    card = saved.read_card(source) if source else None
    text = read_text(recipe.content, folder.tokenizer_of(source, card) if source and card else None)
    identity = identity_of(space.content, recipe.content, text, card)
    if source:
        start.check_fits(source, identity.architecture)
    folder.create(directory, space, recipe, text.tokenizer, identity, source)
    return text, identity


def _follow(trainer: Trainer, resume: bool, stop: Callable[[], int]) -> Outcome:
    """Train beside the worker that writes."""
    if resume:
        trainer.restore()
    number = 0
    while trainer.position.step < trainer.recipe.steps and not number:
        trainer.step()
        number = stop()
    return Outcome(trainer.directory, trainer.position.step, not number, number, {})


def _run(trainer: Trainer, space: SearchSpace, written: log.Log, watch: Watcher, stop: Callable[[], int]) -> Outcome:
    recipe, last_save = trainer.recipe, time.monotonic()
    evaluation: dict[str, Any] = {}
    while trainer.position.step < recipe.steps:
        step = trainer.step()
        watch(step)
        if step.step % recipe.log_every == 0 or step.step == recipe.steps:
            written.write("step", **asdict(step))
        if step.step % recipe.evaluation.every == 0 or step.step == recipe.steps:
            evaluation = evaluated(trainer)
            written.write("evaluation", **evaluation)
        if number := stop():
            trainer.save()
            written.write("stopped", step=step.step, signal=number)
            return Outcome(trainer.directory, step.step, False, number, evaluation)
        minutes = (time.monotonic() - last_save) / 60
        if step.step % recipe.checkpoint.every_steps == 0 or minutes >= recipe.checkpoint.every_minutes:
            trainer.save()
            last_save = time.monotonic()
    trainer.save()
    publish(trainer, space)
    written.write("finished", step=trainer.position.step, seconds=trainer.seconds)
    return Outcome(trainer.directory, trainer.position.step, True, 0, evaluation or last_evaluation(trainer.directory))


def evaluated(trainer: Trainer) -> dict[str, Any]:
    """Measure the largest, the smallest and the fixed sub-networks on the validation part, as the search sees them.

    Returns:
        step, how much text, and by kind what `Lessons.measured` tells.
    """
    sampler = trainer.sampler
    fixed = {f"random {i}": one for i, one in enumerate(sampler.fixed(trainer.recipe.evaluation.random_settings))}
    named = {"largest": sampler.largest(), "smallest": sampler.smallest(), **fixed}
    if trainer.spans is not None:
        named = {name: trainer.spans.hard(setting) for name, setting in named.items()}
    return {"step": trainer.position.step, **trainer.lessons.measured(trainer.model, named)}


def last_evaluation(directory: Path) -> dict[str, Any]:
    """Return what was measured last; empty where nothing was."""
    lines = [line for line in log.read_log(directory) if line["kind"] == "evaluation"]
    return {name: value for name, value in lines[-1].items() if name != "kind"} if lines else {}
