"""Progress bars of searches and trainings on standard error, and text that is shown in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, track
from rich.text import Text

from codesign.errors import CodesignError
from codesign.terminal.numbers import engineering

if TYPE_CHECKING:
    from codesign.optimize.loop import Progress as SearchProgress
    from codesign.optimize.loop import Watcher
    from codesign.training.trainer import Step

err = Console(highlight=False, soft_wrap=True, stderr=True)

T = TypeVar("T")


def with_bar(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Yield the items, and show how many of them have come."""
    return track(items, description, total, console=err)


@contextmanager
def search_progress() -> Iterator[tuple[Watcher, Callable[[str], None]]]:
    """Show a progress bar with evaluations/s, hypervolume, front size, failures and ETA.

    Yields what the search calls: after each portion, and with what is to be said beside the bar.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("HV {task.fields[hv]}"),
        TextColumn("front {task.fields[front]}"),
        TextColumn("{task.fields[failed]}"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    progress = Progress(*columns, console=err)
    blank: dict[str, Any] = {"rate": "", "hv": "-", "front": "-", "failed": ""}
    first = progress.add_task("searching", total=None, **blank)
    tasks: dict[Path, TaskID] = {}
    again: dict[Path, TaskID] = {}

    def watch(state: SearchProgress) -> None:
        place = state.run.directory
        if place not in tasks:
            tasks[place] = progress.add_task(state.run.name, **blank) if tasks else first
        task = tasks[place]
        done, failures = len(state.run.evaluations), int((state.run.evaluations.failure != "").sum())
        elapsed = next(known.elapsed for known in progress.tasks if known.id == task) or 0.0
        rate = f"{(done - state.replayed) / elapsed:,.0f}/s" if elapsed > 0 and done > state.replayed else "replay"
        progress.update(
            task,
            completed=done,
            total=done if state.finished else state.run.manifest.budget,
            rate=rate,
            hv=f"{state.run.hypervolume():.4f}",
            front=str(len(state.run.front_ids())),
            failed=f"{failures} failed" if failures else "",
        )
        if state.finished and state.run.again is not None:
            plan, done = state.run.again.plan, len(state.run.again.designs)
            if place not in again:
                again[place] = progress.add_task("full budget", total=len(plan.ids), **blank)
            progress.update(again[place], completed=done)

    stop = progress.stop
    progress.start()
    try:
        yield watch, progress.console.print
    except CodesignError:
        if not progress.tasks[0].completed:  # a search that never began shows its error only
            progress.live.transient, stop = True, progress.live.stop
        raise
    finally:
        stop()


@contextmanager
def training_progress() -> Iterator[Callable[[Step], None]]:
    """Show losses, sub-network tokens/s and ETA of a training, in a terminal only; yields what it calls each step."""
    columns = (*(TextColumn(f"{{task.{name}}}") for name in ("description", "completed", "total")), BarColumn(24))
    with Progress(*columns, TimeRemainingColumn(True), console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        first: list[Step] = []

        def watch(step: Step) -> None:
            if not first:
                first.append(step)
                progress.reset(task, total=step.steps, completed=step.step)  # what was resumed is not speed
            seconds, tokens = step.seconds - first[0].seconds, (step.tokens - first[0].tokens) * step.settings
            rate = engineering(tokens / seconds) if seconds > 0 else "-"
            losses = f"loss {step.largest:.3f} largest {step.smallest:.3f} smallest {rate} tokens/s"
            progress.update(task, completed=step.step, description=losses)

        yield watch


def show_in_place(console: Console, texts: Iterable[str]) -> None:
    """Print each text in the place of the one before; where the output is no terminal, only the last one."""
    with Live(console=console, auto_refresh=False) as live:
        for text in texts:
            live.update(Text(text), refresh=True)
