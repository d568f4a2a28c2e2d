"""Calling the command line in this process, as its entry point does."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from unittest import mock

import pytest
from typer.testing import CliRunner

from codesign import cli


def call(*arguments: str | Path) -> str:
    """Run a command that succeeds; return what it printed on stdout."""
    result = CliRunner().invoke(cli.app, [*map(str, arguments)])
    assert result.exit_code == 0, (result.exception, result.output)
    return result.stdout


def refusal(*arguments: str | Path) -> str:
    """Run a command that must be refused; return its one message on stderr."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch("sys.argv", ["codesign", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main()
    assert ended.value.code == 2, err.getvalue()
    assert out.getvalue() == ""
    assert "Traceback" not in err.getvalue()
    return err.getvalue()
