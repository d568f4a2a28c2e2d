"""The console that answers are printed on."""

from __future__ import annotations

import sys

from rich.console import Console

PIPE_WIDTH = 200
"""Columns where the output is no terminal, so that tables are whole in files and pipes."""

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout and sys.stdout.isatty() else PIPE_WIDTH)
