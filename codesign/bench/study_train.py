"""The trainings of the study: each network from scratch, one line in a file when it is finished.

Several processes may share a directory, each with a part of the plan. What was finished is never done again, whatever
the parts were; a network that was being trained when its process ended is trained anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any, Literal

import msgspec

from codesign.accuracy.score_counts import flops, non_embedding_parameters
from codesign.bench.study_nets import LINES, Net, of_setting, read_lines
from codesign.bench.study_plan import Job, plan
from codesign.elastic.architecture import Architecture
from codesign.elastic.shapes import shape_of
from codesign.errors import InputError
from codesign.lines import only_writer
from codesign.parameters import total_parameters
from codesign.space_file import read_space
from codesign.text.packing import word_perplexity
from codesign.training.alone import train_alone, without_sandwich
from codesign.training.data import TrainingText, training_text
from codesign.training.errors import TrainingError
from codesign.training.identity import Identity, differences, identity_of, shown
from codesign.training.recipe import Recipe, read_recipe

CARD = "study.json"


class Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is trained in a directory: all processes there must train the same."""

    format: Literal[1]
    seed: int
    """Of which networks are drawn."""
    identity: Identity


@dataclass(frozen=True)
class Trainings:
    """What is asked for."""

    directory: Path
    space: str
    recipe: str
    """Both a shipped name or a path."""
    count: int
    """Different networks."""
    repeats: int
    """Further trainings, of these with other seeds."""
    seed: int
    """Of which networks are drawn; that of the trainings is the recipe's."""
    part: tuple[int, int] = (0, 1)
    """Which of how many equal parts of the plan this process trains."""
    report: Callable[[str], None] = lambda _: None
    """Gets a line before and after each training."""


@dataclass(frozen=True)
class Study:
    """What all trainings share."""

    space: str
    recipe_name: str
    recipe: Recipe
    text: TrainingText
    architecture: Architecture


def train_study(asked: Trainings) -> list[dict[str, Any]]:
    """Train what is missing of a part of the plan; return one row of figures.

    Raises:
        InputError: an unknown space or recipe, more networks than the space has shapes, a text too short.
        TrainingError: the directory holds another study, another process trains this part, the disk is full, or a
            training diverges; what is finished is kept.
    """
    part, parts = asked.part
    space, recipe = read_space(asked.space), read_recipe(asked.recipe)
    without_sandwich(recipe.content)
    jobs = plan(space.content, asked.count, asked.repeats, asked.seed, recipe.content.seed)
    text = training_text(recipe.content.text)
    if len(text.validation_windows) < 2:
        raise InputError("validation text: expected at least 2 windows, to tell an error, got 1; give more text")
    identity = identity_of(space.content, recipe.content, text)
    _claim(asked.directory, Card(1, asked.seed, identity))
    study = Study(space.name, recipe.name, recipe.content, text, identity.architecture)
    trained = 0
    path = asked.directory / LINES.format(part)
    busy = f"{path}: another process trains this part; give another --part"
    with only_writer(path, TrainingError, busy, create=True) as file:
        for job in jobs[part::parts]:
            if (job.index, job.seed) in _done(asked.directory):
                continue
            asked.report(f"network {job.index}, seed {job.seed}: {job.group}, {len(job.setting.layers)} layers")
            net = _trained(study, job, asked.directory)
            _append(file, net)
            trained += 1
            asked.report(f"network {job.index}, seed {job.seed}: {net.loss:.4f} nats a token, {net.seconds:.0f} s")
    done = len(_done(asked.directory))
    return [{"directory": str(asked.directory), "trained_now": trained, "finished": done, "planned": len(jobs)}]


def part_of(text: str) -> tuple[int, int]:
    """Return K and N of `K/N`.

    Raises:
        InputError: something else.
    """
    numbers = text.split("/")
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers) or int(numbers[0]) >= int(numbers[1]):
        raise InputError(f"--part: expected K/N with K from 0 to N - 1, such as 0/2, got {text!r}")
    return int(numbers[0]), int(numbers[1])


def recipe_digest(recipe: Recipe) -> str:
    """Return the SHA-256 of all values of a recipe."""
    return hashlib.sha256(msgspec.json.encode(recipe)).hexdigest()


def _done(directory: Path) -> set[tuple[int, int]]:
    return {(net.index, net.seed) for net in read_lines(directory)}


def _trained(study: Study, job: Job, directory: Path) -> Net:
    """Train one network and say all about it."""
    recipe, validation = study.recipe, study.text.validation
    seeded = msgspec.structs.replace(recipe, seed=job.seed)
    found = train_alone(study.architecture, job.setting, seeded, study.text, place=directory)
    shape = shape_of(study.architecture, job.setting)
    return Net(
        index=job.index,
        group=job.group,
        space=study.space,
        recipe=study.recipe_name,
        recipe_sha256=recipe_digest(recipe),
        seed=job.seed,
        **of_setting(job.setting),
        parameters=int(total_parameters(shape)[0]),
        non_embedding=int(non_embedding_parameters(shape)),
        flops=flops(shape, recipe.text.window),
        loss=found.measured.loss,
        standard_error=found.measured.standard_error,
        word_perplexity=word_perplexity(found.measured.loss, len(validation.tokens), validation.words),
        tokens=found.tokens,
        seconds=round(found.seconds, 1),
        window_losses=tuple(round(loss, 4) for loss in found.measured.window_losses.tolist()),
    )


def _append(file: BufferedRandom, net: Net) -> None:
    try:
        file.write(msgspec.json.encode(net) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise TrainingError(f"{file.name}: cannot be written: {error.strerror}; what was finished before is kept; "
                            "make room, then run the same command again") from error  # fmt: skip


def _claim(directory: Path, card: Card) -> None:
    """Write what is trained in a directory, once; refuse one that holds another study."""
    path, own = directory / CARD, directory / f".{CARD}.{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        own.write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1))
        with suppress(FileExistsError):
            os.link(own, path)  # whole at once, and by one process only
        own.unlink()
        there = msgspec.json.decode(path.read_bytes(), type=Card)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be written: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise TrainingError(f"{path}: cannot be read: {error}; give another --train-to") from None
    lines = differences(card.identity, there.identity)
    if there.seed != card.seed:
        lines = [f"seed: {card.seed} here, {there.seed} there", *lines]
    if lines:
        raise TrainingError(f"{directory}: holds another study: {shown(lines)}; give another --train-to")
