"""What the terminal shows: `fronts` and costs as tables, through one console, and how far a search is (`progress`)."""

from __future__ import annotations

from codesign.terminal.console import out as out
from codesign.terminal.costs import cost_tables as cost_tables
from codesign.terminal.numbers import engineering as engineering
from codesign.terminal.progress import err
from codesign.terminal.progress import search_progress as search_progress
from codesign.terminal.progress import show_in_place as show_in_place
from codesign.terminal.progress import training_progress as training_progress
from codesign.terminal.progress import with_bar as with_bar


def say(text: str) -> None:
    """Print what a user should know beside the answer, if anything, where it is not taken for a part of it."""
    if text:
        err.print(f"note: {text}")
