"""The command line: verbs only. Each reads its arguments, calls one function and prints what it returns."""

from __future__ import annotations

import errno
import sys
from io import TextIOWrapper

import typer

from codesign.cli.options import app as app
from codesign.errors import CodesignError

# Each import adds its verbs, and --help lists them in this order.
# isort: off
from codesign.cli import searching as searching
from codesign.cli import reading as reading
from codesign.cli import watching as watching
from codesign.cli import costing as costing
from codesign.cli import training as training
from codesign.cli import pruning as pruning
from codesign.cli import rerunning as rerunning
from codesign.cli import products as products
# isort: on


def main() -> None:
    """Run the command line; an error that the user can mend is one message, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign must not stop a search
    try:
        app()
    except CodesignError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            raise
        typer.echo(f"error: {error.filename or 'the disk'}: cannot be written: {error.strerror}", err=True)
        sys.exit(2)
