"""Verbs about runs that others write: status."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from codesign.cli.options import AsJson, RunDirectory, app, print_json
from codesign.errors import InputError

EVERY_S = 2.0
"""Seconds between two looks of `status --watch`."""


@app.command(epilog="Example: codesign status runs/survey_lm-gemmini_40nm-001 --watch")
def status(
    run: RunDirectory,
    watch: Annotated[bool, typer.Option("--watch", help="Look again until the search has ended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say how far a search is, from any terminal or machine that sees its directory; it is not disturbed."""
    from codesign import terminal
    from codesign.members import members
    from codesign.status import as_lines, as_record, follow

    places = members(run)
    if watch and len(places) > 1:
        raise InputError(f"{run}: --watch: expected one run, got {len(places)}; watch one: {places[-1]}")
    if len(places) > 1:
        for state in (next(follow(place, EVERY_S)) for place in places):
            if as_json:
                print_json(as_record(state))
            else:
                terminal.out.print("\n".join(as_lines(state)), markup=False)
        return
    states = follow(run, EVERY_S)
    if as_json:
        for state in states:
            print_json(as_record(state))
            if not watch:
                break
    elif watch:
        with suppress(KeyboardInterrupt):  # Ctrl-C is how one stops to watch
            terminal.show_in_place(terminal.out, ("\n".join(as_lines(state)) for state in states))
    else:
        terminal.out.print("\n".join(as_lines(next(states))), markup=False)
