"""Compiling kernels: numba with a cache on disk that notices every change of every kernel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

SHARE = 256
"""Rows that a thread takes at once: small enough to share uneven work, large enough that taking costs nothing."""


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
    if folder is None:
        return jit(function)
    given, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        return cast(Kernel, numba.njit(function, cache=True, nogil=True, error_model="numpy"))
    finally:
        config.CACHE_DIR = given


def on_all_cores(rows: int, work: Callable[[slice], None]) -> None:
    """Run `work`, a kernel on a slice of rows, over all rows, on all cores."""
    shares = [slice(start, min(start + SHARE, rows)) for start in range(0, rows, SHARE)]
    if len(shares) < 2:
        for share in shares:
            work(share)
        return
    with ThreadPoolExecutor(cpu_count()) as pool:
        for _ in pool.map(work, shares):
            pass


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
