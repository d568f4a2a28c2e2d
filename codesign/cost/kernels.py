"""Compiling kernels: numba with a cache on disk that notices every change of every kernel."""

from __future__ import annotations

import gc
import hashlib
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, wraps
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

FEWEST = 64
"""Rows below which a thread of their own is not worth its start."""


def jit(function: Kernel) -> Kernel:
    """Compile a part of a kernel; it is kept on disk as part of the kernels that call it."""
    return cast(Kernel, numba.njit(function, nogil=True, error_model="numpy"))


def kernel(function: Kernel) -> Kernel:
    """Compile a kernel that Python calls with rows; it releases the interpreter's lock.

    The code is kept on disk where some folder can be written (in a container, none may be). numba finds compiled code
    again by the kernel's own file alone, so a kernel would go on with an old version of what it calls from another
    file. Hence a folder for each state of the sources.
    """
    folder, config = _cache_folder(), cast(Any, numba.config)
    given, config.CACHE_DIR = config.CACHE_DIR, str(folder or config.CACHE_DIR)
    try:
        compiled = numba.njit(function, cache=folder is not None, nogil=True, error_model="numpy")
    finally:
        config.CACHE_DIR = given

    @wraps(function)
    def call(*columns: Any) -> Any:
        if compiled.signatures:
            return compiled(*columns)
        with _collector_off():
            return compiled(*columns)

    return cast(Kernel, call)


@contextmanager
def _collector_off() -> Iterator[None]:
    """Keep Python from looking for garbage while numba makes millions of objects: a seventh of the time to compile."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass
class _Cores:
    """How many cores the kernels of this process use."""

    number: int


CORES = _Cores(cpu_count() or 1)


def use_one_core() -> None:
    """Keep the kernels of this process on one core, because other processes use the others."""
    CORES.number = 1


def on_all_cores(rows: int, work: Callable[[int, int], None]) -> None:
    """Run `work(start, step)`, a kernel on every step-th row from a start, so that together all rows are done.

    One call a core, rows dealt out in turn: costs even out, and no thread asks for the interpreter's lock on its way.
    """
    cores = min(CORES.number, rows // FEWEST + 1)
    if cores == 1:
        work(0, 1)
        return
    with ThreadPoolExecutor(cores) as pool:
        for _ in pool.map(work, range(cores), [cores] * cores):
            pass


def _import_without_scipy() -> None:
    """Import what numba needs to load a kernel, and keep it from importing scipy.linalg just to see if it is there.

    No kernel uses linear algebra; it would take a sixth of the time of one estimate.
    """
    if "scipy" not in sys.modules:
        sys.modules["scipy"] = cast(Any, None)
        try:
            import numba.np.arraymath  # noqa: F401
        finally:
            del sys.modules["scipy"]


_import_without_scipy()


@cache
def _cache_folder() -> Path | None:
    """Return where compiled kernels are kept: what NUMBA_CACHE_DIR says, beside the sources, or the user's cache."""
    texts = (path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    state = hashlib.sha256(b"".join(text for text in texts if b"jit" in text)).hexdigest()[:16]
    given = cast(Any, numba.config).CACHE_DIR
    for base in filter(None, (given, Path(__file__).parent / "__pycache__", "~/.cache/codesign")):
        with suppress(OSError, RuntimeError):  # cannot be written, or there is no home
            folder = Path(base).expanduser() / f"kernels-{state}"
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                return folder
    return None
