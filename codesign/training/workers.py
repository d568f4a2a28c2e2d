"""One training on several processes, on this machine or on a cluster, through Ray Train.

Each worker computes the gradient of its share of every batch; the mean of them is the gradient of the whole batch. The
first worker alone writes. A worker that dies ends the attempt of all; they begin again at the last checkpoint, which a
shared file system has to hold where workers are on several machines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import torch
from torch import nn

from codesign.cluster import connected
from codesign.elastic import saved
from codesign.errors import CodesignError, InputError
from codesign.files import Document
from codesign.space import SearchSpace
from codesign.training import log, loop
from codesign.training.errors import TrainingError
from codesign.training.recipe import Recipe
from codesign.training.trainer import Step, Worker

ATTEMPTS = 3
"""How often all workers begin again after one has died or failed, as one does whose training diverges."""

RAY_FOLDER = "ray"
"""In the training's directory: what Ray Train notes about its attempts."""

STOP = "stop"
"""A file in the training's directory that asks all workers to stop after the step that they are in."""

LOOK_EVERY = 0.5
"""Seconds between looks into the log for what a watcher is shown."""


@dataclass(frozen=True)
class Asked:
    """A training that each worker takes part in."""

    space: Document[SearchSpace]
    recipe: Document[Recipe]
    directory: Path
    device: str
    """"cpu" or "cuda": each worker has a GPU of its own."""


def train_with_workers(
    asked: Asked,
    workers: int,
    address: str,
    *,
    resume: bool = False,
    source: Path | None = None,
    watch: loop.Watcher = lambda _: None,
    stop: Callable[[], int] = lambda: 0,
) -> loop.Outcome:
    """Train until the recipe's steps are done, or `stop` returns a signal's number; then the state is saved.

    Args:
        asked: what is trained.
        workers: how many processes; they share each batch equally.
        address: of the Ray cluster; "local" starts one here for the time of the training.
        resume: continue from the last checkpoint.
        source: directory of the trained network that it begins with; None = random weights, or what was resumed.
        watch: called with the steps that are logged.
        stop: asked every LOOK_EVERY seconds.

    Raises:
        InputError: as `loop.train`; a batch that cannot be shared equally; no cluster there.
        TrainingError: as `loop.train`; workers that failed too often.
    """
    batch = asked.recipe.content.batch
    if batch % workers:
        raise InputError(f"workers: expected a divisor of the recipe's batch of {batch} windows, got {workers}")
    with connected(address):  # first: without it, no directory is left behind
        if not resume:
            loop.begin(asked.space, asked.recipe, asked.directory, source)
        with _watching(asked.directory, watch, stop) as stopped:
            _fit(asked, workers)
    last = log.read_log(asked.directory)[-1]["step"]
    finished = (asked.directory / saved.CARD).exists()  # a wish to stop may come after the last step
    evaluation = loop.last_evaluation(asked.directory)
    return loop.Outcome(asked.directory, last, finished, 0 if finished else stopped[0], evaluation)


def _fit(asked: Asked, workers: int) -> None:
    """Let Ray Train run `_work` on all workers, again from the last checkpoint where one died."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError

    trainer = TorchTrainer(
        _work,
        train_loop_config={"asked": asked},
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=asked.device != "cpu",
            resources_per_worker={"CPU": asked.recipe.content.threads},
        ),
        run_config=RunConfig(
            name=RAY_FOLDER,
            storage_path=str(asked.directory.resolve()),
            failure_config=FailureConfig(max_failures=ATTEMPTS),
        ),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        raise _reason(error) from None


def _work(config: dict[str, Asked]) -> None:
    """Train as one of the workers."""
    import ray.train

    asked, context = config["asked"], ray.train.get_context()
    worker = Worker(context.get_world_rank(), context.get_world_size(), average_gradients)

    def stop() -> int:
        return int(_any_worker((asked.directory / STOP).exists(), asked.device))

    loop.train(asked.space, asked.recipe, asked.directory, resume=True, device=asked.device, worker=worker, stop=stop)


def _any_worker(wants: bool, device: str) -> bool:
    """Whether any worker wants something: all are told the same after the same step."""
    wish = torch.tensor(int(wants), device=device)
    torch.distributed.all_reduce(wish, torch.distributed.ReduceOp.MAX)
    return bool(wish)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the workers of torch's process group, in one exchange."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(together)
    together /= torch.distributed.get_world_size()
    means = torch.split(together, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


@contextmanager
def _watching(directory: Path, watch: loop.Watcher, stop: Callable[[], int]) -> Iterator[list[int]]:
    """Show a watcher here what the first worker logs, wherever it is; yield a list for the signal that asks to stop."""
    ended, signals = Event(), list[int]()

    def look_on() -> None:
        shown = 0
        while not ended.wait(LOOK_EVERY):
            shown = _show_after(shown, directory, watch)
            if not signals and (number := stop()):
                signals.append(number)
                (directory / STOP).touch()
        _show_after(shown, directory, watch)

    (directory / STOP).unlink(missing_ok=True)
    thread = Thread(target=look_on, daemon=True)
    thread.start()
    try:
        yield signals
    finally:
        ended.set()
        thread.join()
        (directory / STOP).unlink(missing_ok=True)


def _show_after(shown: int, directory: Path, watch: loop.Watcher) -> int:
    """Show the logged steps after one, and return the last that was shown."""
    with suppress(TrainingError):  # there is no log yet
        for line in log.read_log(directory):
            if line["kind"] == "step" and line["step"] > shown:
                shown = line["step"]
                watch(Step(**{name: value for name, value in line.items() if name != "kind"}))
    return shown


def _reason(error: Any) -> CodesignError:
    """Return what ended a training: our own message where there is one."""
    for cause in getattr(error, "worker_failures", {}).values():
        if isinstance(cause, CodesignError):
            return cause
    return TrainingError(f"the workers failed {ATTEMPTS + 1} times: {error}")
