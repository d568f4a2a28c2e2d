"""How a run is doing, asked from any terminal or machine that sees its directory. Nothing is locked or written."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from codesign.record import EVALUATIONS
from codesign.remote.copies import fetching, shown
from codesign.run import Run, begun, grown
from codesign.run_log import Event, failed_ids, has_driver, last_event

FORMAT = 1
"""Of `as_record`."""

QUIET_S = 60.0
"""How old the last line of a driver on another machine may be for it to count as running."""

SHOWN_FAILURES = 3

State = Literal["not started", "running", "silent", "stopped", "killed", "finished"]


@dataclass(frozen=True)
class Status:
    """A run as it stands at one moment."""

    run: Run
    state: State
    why: str
    """Of this state, where it is known."""
    event: Event | None
    """The last line of the log."""
    now: datetime

    @property
    def per_s(self) -> float | None:
        """Evaluations a second over the last minute of the log; None where none are made."""
        searching = self.state == "running" and len(self.run.evaluations) < self.run.manifest.budget
        return self.event.evaluations_per_s if self.event and searching else None

    @property
    def eta_s(self) -> float | None:
        """Seconds until the budget is used, at this rate."""
        left = self.run.manifest.budget - len(self.run.evaluations)
        return None if self.per_s is None else left / self.per_s

    @property
    def came(self) -> datetime | None:
        """When the last evaluation was written; None before the first."""
        if not len(self.run.evaluations):
            return None
        return datetime.fromtimestamp((self.run.directory / EVALUATIONS).stat().st_mtime, UTC)

    @property
    def failures(self) -> dict[int, str]:
        """The last failures: id and traceback."""
        return {int(id_): self.run.evaluations.failure[id_] for id_ in failed_ids(self.run)[-SHOWN_FAILURES:]}


def follow(address: str | Path, every_s: float) -> Iterator[Status]:
    """Yield the status of a run now and then again after each pause, until it is not running.

    Only what was appended in the meantime is read.

    Raises:
        RunError: no run there, or its record is damaged.
    """
    fetch = fetching(address)
    run, reader = begun(fetch())
    directory = run.directory
    while True:
        # First who writes, then what is written: a search that ends in between is not taken for one that was killed.
        driver, event = has_driver(directory), last_event(directory)
        run = grown(run, reader)
        now = datetime.now(UTC)
        state, why = judge(run, event, driver, now)
        yield Status(run, state, why, event, now)
        if state != "running":
            return
        time.sleep(every_s)
        fetch()


def judge(run: Run, event: Event | None, driver: bool | None, now: datetime) -> tuple[State, str]:
    """Return the state of a run, and why.

    Args:
        run: as it is recorded.
        event: the last line of its log.
        driver: whether a process holds the lock of the log; None where that cannot be asked.
        now: the time.
    """
    if driver:
        return "running", ""
    if event is not None and event.event not in ("finished", "stopped"):
        return _without_an_end(event, driver, now)
    if event is not None and event.event == "stopped":
        return "stopped", event.text
    if event is not None and event.evaluations == len(run.evaluations) and event.budget == run.manifest.budget:
        return "finished", event.text
    if len(run.evaluations) >= run.manifest.budget:
        return "finished", "budget used"
    if not len(run.evaluations):
        return "not started", "nothing is evaluated yet"
    return "stopped", "there is no log that says how"


def _without_an_end(event: Event, driver: bool | None, now: datetime) -> tuple[State, str]:
    """Judge a run whose driver did not write that it ended."""
    age = (now - event.time).total_seconds()
    if event.host != socket.gethostname():
        heard = f"last heard of {_seconds(age)} ago on {event.host}"
        return ("running" if age <= QUIET_S else "silent"), heard
    if driver is None and _alive(event.pid):
        return "running", ""
    return "killed", f"process {event.pid} is gone and did not say why"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def as_record(status: Status) -> dict[str, Any]:
    """Return a status as the JSON that `codesign status --json` prints."""
    run, event, came = status.run, status.event, status.came
    return {
        "format": FORMAT,
        "run": shown(run.directory),
        "state": status.state,
        "why": status.why,
        "evaluations": len(run.evaluations),
        "budget": run.manifest.budget,
        "evaluations_per_s": status.per_s,
        "eta_s": status.eta_s,
        "front": len(run.front_ids()),
        "hypervolume": run.hypervolume(),
        "remeasured": len(run.again.designs) if run.again else 0,
        "to_remeasure": len(run.again.plan.ids) if run.again else 0,
        "failures": len(failed_ids(run)),
        "last_failures": [{"id": id_, "text": text} for id_, text in status.failures.items()],
        "last_evaluation": came,
        "last_evaluation_age_s": None if came is None else (status.now - came).total_seconds(),
        "driver": None if event is None else {"host": event.host, "pid": event.pid, "last_line": event.time},
    }


def as_lines(status: Status) -> list[str]:
    """Return a status as text."""
    run, event, came, per_s, eta = status.run, status.event, status.came, status.per_s, status.eta_s
    done, budget = len(run.evaluations), run.manifest.budget
    where = f" (process {event.pid} on {event.host})" if event and status.state == "running" else ""
    why = f": {status.why}" if status.why else ""
    speed = "" if per_s is None or eta is None else f", {per_s:.4g}/s, {_seconds(eta)} to go"
    lines = [
        f"{shown(run.directory)}: {status.state}{where}{why}",
        f"evaluations  {done:,} of {budget:,} ({done / budget:.1%}){speed}",
        f"front        {len(run.front_ids())} designs, hypervolume {run.hypervolume():.4f}",
    ]
    if run.again is not None:
        lines.append(f"full budget  {len(run.again.designs)} of {len(run.again.plan.ids)} designs measured")
    if came is not None:
        age = (status.now - came).total_seconds()
        lines.append(f"last came    {_seconds(age)} ago, {came:%Y-%m-%d %H:%M:%S} UTC")
    lines.append(f"failures     {len(failed_ids(run))}")
    lines += [f"  {id_}: {line}" for id_, text in status.failures.items() for line in _gist(text)]
    if status.state in ("stopped", "killed", "not started") and run.manifest.checksums:
        lines.append(f"continue with: codesign resume {shown(run.directory)}")
    return lines


def _gist(traceback: str) -> list[str]:
    """Return the first and the last line of a traceback, which say what it is and what was raised."""
    lines = traceback.strip().splitlines()
    return lines[:1] if len(lines) < 2 else [lines[0], lines[-1]]


def _seconds(seconds: float) -> str:
    """Return a duration as people say it, in its two largest units."""
    whole = max(round(seconds), 0)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
