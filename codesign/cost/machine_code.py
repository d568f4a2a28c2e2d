"""Machine code of kernels: made from LLVM IR (`intermediate`), kept on disk, and loaded.

The IR comes with the package. Where it is of other sources, or cannot be read, numba makes it anew, in a program of its
own (`compiler`) that takes ten times as long. llvmlite, which numba stands on, does all else.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from threading import Lock
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from codesign.cost.intermediate import shipped, state_of_sources

SYMBOL = "kernel"
"""The name of the function in a piece of machine code."""

_LINKING = Lock()


@dataclass(frozen=True)
class Argument:
    """What a kernel takes in one place: an array that lies in memory row by row, or a number."""

    dtype: np.dtype[Any]
    ndim: int
    """0: a number."""


class Part:
    """A function that kernels call. Python calls it as it is; numba, where it meets one in a kernel, compiles it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__doc__, self.__name__, self.__module__ = function.__doc__, function.__name__, function.__module__

    def __call__(self, *values: Any) -> Any:
        """Call the function."""
        return self.function(*values)

    @property
    def _numba_type_(self) -> Any:
        from codesign.cost.compiler import compiled

        return compiled(self.function)._numba_type_


class Kernel:
    """A function that is compiled, or found compiled, on its first call; it releases the interpreter's lock.

    It returns nothing, and neither it nor its parts may allocate or raise. Its code is kept on disk where some folder
    can be written (in a container, none may be).
    """

    def __init__(self, function: Callable[..., None], arguments: tuple[Argument, ...]) -> None:
        self.function, self.arguments = function, arguments
        self.__doc__, self.__name__, self.__module__ = function.__doc__, function.__name__, function.__module__
        self._lock = Lock()
        self._loaded: Callable[..., int] | None = None

    def __call__(self, *values: Any) -> None:
        """Call the function.

        Raises:
            TypeError: a value is not what the kernel takes.
            RuntimeError: it cannot be compiled; with what the compiler says.
        """
        scalars = [scalar for each in zip(self.arguments, values, strict=True) for scalar in _scalars(*each)]
        # numba's convention: a place for the result, one for an exception, then each value in scalars
        status = self.ready()(ctypes.byref(ctypes.c_void_p()), ctypes.byref(ctypes.c_void_p()), *scalars)
        if status != 0:
            raise RuntimeError(f"kernel {self.__name__} stopped with status {status}")

    def ready(self) -> Callable[..., int]:
        """Load the kernel, if need be after compiling it."""
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    self._loaded = _load(self._kept() or self._compile())
        return self._loaded

    @property
    def is_ready(self) -> bool:
        """Whether it is loaded."""
        return self._loaded is not None

    @property
    def _path(self) -> Path | None:
        folder = _folder()
        return folder / f"{self.__name__}-{_machine()}.o" if folder else None

    def _kept(self) -> bytes | None:
        """Return the code on disk, if it is there and whole."""
        path = self._path
        if path is not None:
            with suppress(OSError):
                content = path.read_bytes()
                digest, code = content[: len(_digest(b""))], content[len(_digest(b"")) :]
                return code if digest == _digest(code) else None
        return None

    def _shipped(self) -> bytes | None:
        """Return the code that comes with the package, unless there is none or it is of no use here."""
        text = shipped().get(f"{self.__module__}.{self.__name__}")
        if text is not None:
            with suppress(RuntimeError):  # an LLVM that writes its IR in another way
                return machine_code(text)
        return None

    def _compile(self) -> bytes:
        code = self._shipped() or machine_code(run_compiler(self.__module__, self.__name__))
        path = self._path
        if path is not None:
            with suppress(OSError), NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(_digest(code) + code)
                file.flush()
                os.replace(file.name, path)
        return code


def run_compiler(module: str, name: str) -> str:
    """Return the IR that `compiler` makes of a kernel; without optimisation in numba, see there.

    Raises:
        RuntimeError: it cannot; with what it says.
    """
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-m", "codesign.cost.compiler", module, name],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=os.environ | {"PYTHONPATH": paths, "NUMBA_OPT": "0"},
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"kernel {name} cannot be compiled:\n{done.stderr}")
    return done.stdout


def machine_code(text: str) -> bytes:
    """Return this machine's code of a kernel in IR, which is optimised already.

    Raises:
        RuntimeError: this LLVM cannot read it.
    """
    with _LINKING:
        _initialize()
        machine = llvm.Target.from_default_triple().create_target_machine(
            opt=3,
            cpu=llvm.get_host_cpu_name(),
            features=llvm.get_host_cpu_features().flatten(),
            reloc="pic",
            codemodel="jitdefault",
        )
        module = llvm.parse_assembly(text)
        module.triple, module.data_layout = machine.triple, str(machine.target_data)
        return bytes(machine.emit_object(module))


def _load(code: bytes) -> Callable[..., int]:
    """Return the function that a piece of machine code holds."""
    with _LINKING:
        _initialize()
        linker = llvm.create_lljit_compiler()
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(SYMBOL)
        library = builder.link(linker, SYMBOL)
    function = ctypes.CFUNCTYPE(ctypes.c_int32)(library[SYMBOL])

    def call(*scalars: Any, _code: Any = library) -> int:  # which must live as long as the function
        return int(function(*scalars))

    return call


def _scalars(argument: Argument, value: Any) -> Iterator[Any]:
    """Yield a value as numba passes it: an array as owner (two), number, size of an item, address, shape, strides."""
    if not argument.ndim:
        yield ctypes.c_int64(value) if argument.dtype.kind == "i" else ctypes.c_double(value)
        return
    if value.dtype != argument.dtype or value.ndim != argument.ndim or not value.flags.c_contiguous:
        raise TypeError(f"a kernel expected {argument}, row by row; got {value.dtype}, {value.shape}, {value.strides}")
    yield from (ctypes.c_void_p(), ctypes.c_void_p())
    yield from map(ctypes.c_int64, (value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides))


@cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _digest(code: bytes) -> bytes:
    return hashlib.sha256(code).digest()


@cache
def _machine() -> str:
    """Return a name of all that decides how sources become machine code."""
    features = llvm.get_host_cpu_features().flatten()
    machine = (llvmlite.__version__, llvm.get_process_triple(), llvm.get_host_cpu_name(), features)
    return _digest(repr(machine).encode()).hex()[:16]


@cache
def _folder() -> Path | None:
    """Return where machine code is kept: what NUMBA_CACHE_DIR says, beside the sources, or the user's cache.

    A folder for each state of the sources.
    """
    for base in (os.environ.get("NUMBA_CACHE_DIR"), Path(__file__).parent / "__pycache__", "~/.cache/codesign"):
        with suppress(OSError, RuntimeError):  # cannot be written, or there is no home
            folder = Path(base or "").expanduser() / f"kernels-{state_of_sources()[:16]}"
            if base:
                folder.mkdir(parents=True, exist_ok=True)
                with TemporaryFile(dir=folder):
                    return folder
    return None
