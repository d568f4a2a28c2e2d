"""Kernels: compiled once, kept on disk, never trusted when damaged, and strict about what they are called with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from codesign.cost import machine_code
from codesign.cost.combine import lower_hulls
from codesign.cost.kernels import get_ready
from codesign.cost.machine_code import Kernel


def fresh() -> Kernel:
    """Return a kernel that nothing is loaded of."""
    return Kernel(lower_hulls.function, lower_hulls.arguments)


def marked(kernel: Kernel) -> list[int]:
    """Return which of three points are on the hull."""
    cycles, energy = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.9, 1.0])
    out = np.zeros(3, dtype=np.int64)
    kernel(cycles, energy, np.array([0, 3]), np.arange(3), out, np.empty(3, dtype=np.int64))
    return out.tolist()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep machine code in an empty folder."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    machine_code._folder.cache_clear()
    yield tmp_path
    machine_code._folder.cache_clear()


def test_machine_code_is_kept_and_found_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process finds what the first compiled, and gives the results of plain Python."""
    expected = [1, 0, 1]
    assert marked(fresh()) == expected
    (kept,) = folder.rglob("*.o")
    monkeypatch.setattr(machine_code, "machine_code", lambda *_: pytest.fail("compiled again"))
    assert marked(fresh()) == expected
    out = np.zeros(3, dtype=np.int64)
    room = np.empty(3, dtype=np.int64)
    lower_hulls.function(np.array([1.0, 2, 3]), np.array([3.0, 2.9, 1]), np.array([0, 3]), np.arange(3), out, room)
    assert out.tolist() == expected
    assert kept.name.startswith("lower_hulls-")


@pytest.mark.parametrize("damage", [lambda code: code[:0], lambda code: code[:99], lambda code: code + b"\0"])
def test_damaged_machine_code_is_compiled_again(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    """What a crash or a full disk left is not run."""
    marked(fresh())
    (kept,) = folder.rglob("*.o")
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert marked(fresh()) == [1, 0, 1]
    assert kept.read_bytes() == whole


def test_a_folder_that_cannot_be_written_costs_only_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container there may be none."""
    monkeypatch.setattr(machine_code, "_folder", lambda: None)
    assert marked(fresh()) == [1, 0, 1]


@pytest.mark.parametrize(
    "cycles", [np.zeros(6)[::2], np.zeros(3, dtype=np.float32), np.zeros((3, 1))], ids=["strided", "narrow", "columns"]
)
def test_what_a_kernel_would_misread_is_refused(cycles: np.ndarray) -> None:
    """Machine code trusts what it gets."""
    whole = np.zeros(3, dtype=np.int64)
    with pytest.raises(TypeError, match="a kernel expected"):
        lower_hulls(cycles, np.zeros(3), whole, whole, whole, whole)


def test_a_kernel_wants_all_of_its_arguments() -> None:
    """One too few would be read from where none is."""
    with pytest.raises(ValueError, match="argument"):
        lower_hulls(np.zeros(3), np.zeros(3))


def no_kernel() -> None:
    """Stand for a function that numba cannot compile; its name is none of its module's kernels."""


def test_what_the_compiler_says_is_passed_on(folder: Path) -> None:
    """A kernel that cannot be compiled names itself and the reason."""
    del folder
    broken = Kernel(no_kernel, ())
    with pytest.raises(RuntimeError, match=r"(?s)no_kernel cannot be compiled.*AttributeError"):
        broken()


def test_kernels_get_ready_in_the_background(folder: Path) -> None:
    """Those that are asked for early are compiled once."""
    kernel = fresh()
    get_ready(kernel)
    assert marked(kernel) == [1, 0, 1]
    assert len(list(folder.rglob("*.o"))) == 1
