"""Kernels in LLVM IR: shipped, of these very sources, for any machine; compiled anew where they are not."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from codesign.cost import intermediate, machine_code
from codesign.cost.compiler import all_intermediate, all_kernels
from codesign.cost.intermediate import packed, shipped, shipped_path, state_of_sources
from codesign.cost.kernels import Kernel
from tests.cost.test_machine_code import fresh, marked

COST = Path(intermediate.__file__).parent
HULLS = "codesign.cost.combine.lower_hulls"


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Keep no machine code, let tests replace what is shipped, and list the kernels that numba compiles."""
    names: list[str] = []
    run = machine_code.run_compiler

    def counted(module: str, name: str) -> str:
        names.append(name)
        return run(module, name)

    monkeypatch.setattr(machine_code, "_folder", lambda: None)
    monkeypatch.setattr(machine_code, "run_compiler", counted)
    monkeypatch.setattr(intermediate, "shipped_path", lambda: tmp_path / "kernels")
    shipped.cache_clear()
    yield names
    shipped.cache_clear()


def test_what_is_shipped_is_of_these_sources() -> None:
    """Who edits a kernel makes the file anew, or everybody waits for numba."""
    assert shipped(), "the shipped kernels are of other sources: run `make kernels` and commit what it writes"


def test_every_kernel_is_shipped() -> None:
    """Those that are used rarely as well."""
    assert set(shipped()) - {intermediate.SOURCES} == {".".join(name) for name in all_kernels()}


@pytest.mark.parametrize(("module", "name"), all_kernels())
def test_a_shipped_kernel_needs_no_numba(module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This LLVM reads it and makes machine code that can be linked."""
    monkeypatch.setattr(machine_code, "_folder", lambda: None)
    monkeypatch.setattr(machine_code, "run_compiler", lambda *_: pytest.fail("numba was asked"))
    kernel = getattr(import_module(module), name)
    assert callable(Kernel(kernel.function, kernel.arguments).ready())


def test_what_is_shipped_holds_no_address() -> None:
    """Numba writes addresses of Python objects; nothing of the process that made the file is left."""
    assert not [name for name, text in shipped().items() if "inttoptr" in text]


def test_kernels_of_other_sources_are_not_trusted(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """After an edit numba compiles, although IR is there that could be read."""
    with monkeypatch.context() as other:
        other.setattr(intermediate, "state_of_sources", lambda: "other sources")
        intermediate.shipped_path().write_bytes(packed({HULLS: "not read"}))
    assert marked(fresh()) == [1, 0, 1]
    assert compiled == ["lower_hulls"]


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda file: file[: len(file) // 2], lambda file: file[:1000] + b"?" + file[1001:]],
    ids=["empty", "cut", "changed"],
)
def test_a_damaged_file_costs_only_time(damage: Callable[[bytes], bytes], compiled: list[str]) -> None:
    """What the file system made of it is not run."""
    intermediate.shipped_path().write_bytes(damage(shipped_path().read_bytes()))
    assert not shipped()
    assert marked(fresh()) == [1, 0, 1]
    assert compiled == ["lower_hulls"]


def test_ir_that_this_llvm_cannot_read_is_made_anew(compiled: list[str]) -> None:
    """LLVM promises nothing from one version to the next."""
    intermediate.shipped_path().write_bytes(packed({HULLS: "define nonsense"}))
    assert shipped()
    assert marked(fresh()) == [1, 0, 1]
    assert compiled == ["lower_hulls"]


def hashed() -> list[ModuleType]:
    """Modules that the state of the sources covers."""
    modules = [path for path in sorted(COST.glob("*.py")) if b"jit" in path.read_bytes()]
    return [import_module(f"codesign.cost.{path.stem}") for path in modules]


def test_every_number_of_a_kernel_is_of_a_source_that_is_watched() -> None:
    """A constant from any other module could change, and the kernels would not."""
    watched = {module.__name__ for module in hashed()}
    for module in hashed():
        for line in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
            if (
                isinstance(line, ast.ImportFrom)
                and str(line.module).startswith("codesign")
                and line.module not in watched
            ):
                values = [getattr(module, name.asname or name.name, None) for name in line.names]
                assert not [value for value in values if isinstance(value, int | float | tuple | np.ndarray)], module


@pytest.mark.long
def test_making_the_file_again_changes_nothing() -> None:
    """`make kernels` depends on the sources and the versions of constraints.txt alone."""
    assert all_intermediate() == shipped_path().read_bytes()


def test_the_state_of_the_sources_is_of_sources_alone() -> None:
    """The file does not change the state that it names."""
    assert shipped_path().parent == COST
    assert shipped_path().suffix != ".py"
    assert len(state_of_sources()) == 64
