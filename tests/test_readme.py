"""The README says what works: its commands and code run as printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the fenced code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_two_setup_commands_are_make_targets() -> None:
    """`make search` and `make test` exist, and are what the README's first block shows."""
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    shown = re.findall(r"^make ([\w-]+)", blocks("sh")[0], flags=re.MULTILINE)
    assert shown == ["search", "test"]
    assert set(shown) <= set(targets)


def test_commands_run_as_printed(tmp_path: Path) -> None:
    """Every command of the README's second block succeeds, in the order in which it is shown."""
    commands = [line for line in blocks("sh")[1].splitlines() if line.startswith(("codesign ", "printf "))]
    assert len(commands) >= 9
    for command in commands:
        line = command.replace("codesign ", f"{sys.executable} -m codesign ", 1)
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_python_blocks_run_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of the README runs."""
    monkeypatch.chdir(tmp_path)
    shown = blocks("python")
    assert shown
    for block in shown:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_own_proxy_example_searches(tmp_path: Path) -> None:
    """The README's own proxy works from the command line once it is in a module."""
    block = next(block for block in blocks("python") if "def depth_and_width" in block)
    (tmp_path / "my_module.py").write_text(block)
    space = (ROOT / "search_spaces" / "tiny.toml").read_text().replace('"perplexity"', '"error"')
    (tmp_path / "my_space.toml").write_text(space)
    command = "search my_space.toml gemmini_40nm --proxy my_module:depth_and_width --budget 60 --population 20"
    done = subprocess.run(
        [sys.executable, "-m", "codesign", *command.split(), "--run", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "the proxy gives no error" in done.stdout


def test_the_example_design_is_costed() -> None:
    """The example of a design file works as its first line says."""
    command = (ROOT / "docs" / "design.toml").read_text().splitlines()[0].partition("codesign ")[2]
    done = subprocess.run(
        [sys.executable, "-m", "codesign", *command.split()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "6 decoder layers, hidden 672" in done.stdout


def test_the_readme_is_short() -> None:
    """The README stays within 900 words."""
    assert len(re.sub(r"```.*?```", "", README, flags=re.DOTALL).split()) <= 900
