"""A program of its own that makes LLVM IR of kernels: of the one whose module and name are its arguments, or of all.

Apart, because numba takes long to import and much memory, and because what is set here would be set for all that a
process compiles. Parts are compiled without optimisation, and then all at once: numba would optimise each again in each
that calls it, which took longer than all else.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from os import cpu_count
from pkgutil import iter_modules
from typing import Any

import llvmlite.binding as llvm
import numba

from codesign import cost
from codesign.cost.intermediate import packed, shipped_path
from codesign.cost.machine_code import SYMBOL, Argument, Kernel, run_compiler

_OF_LLVM_22 = re.compile(r" nocreateundeforpoison|.*@llvm\.lifetime\..*\n")
"""Hints that older LLVMs cannot read; without them they read all the rest, back to LLVM 20."""


@cache
def compiled(function: Callable[..., Any], *signature: Any) -> Any:
    """Return a function that numba compiles: now where it has a signature, else for those that call it.

    It allocates nothing, so numba need not count references; and raises nothing.
    """
    options: Any = {"error_model": "numpy", "_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return numba.njit(*signature, **options)(function)


def intermediate(kernel: Kernel) -> str:
    """Return the IR of a kernel, and of the parts it calls: optimised, and the same whenever and wherever it is made.

    Optimised as far as that does not depend on the machine, so vectors are left out: they gained nothing.
    """
    whole = compiled(kernel.function, numba.void(*map(_type, kernel.arguments)))
    (signature,) = whole.signatures
    module = llvm.parse_assembly(whole.inspect_llvm(signature))
    name = whole.overloads[signature].fndesc.llvm_func_name
    for part in (*module.functions, *module.global_variables):
        if not part.is_declaration:
            part.linkage = "external" if part.name == name else "internal"
    module.get_function(name).name = SYMBOL
    machine = llvm.Target.from_default_triple().create_target_machine()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    passes = builder.getModulePassManager()
    passes.add_strip_symbols_pass()  # numba counts in them what it has compiled
    passes.run(module, builder)
    return _OF_LLVM_22.sub("", str(module))


def _type(argument: Argument) -> Any:
    item = numba.from_dtype(argument.dtype)
    return numba.types.Array(item, argument.ndim, "C") if argument.ndim else item


def all_kernels() -> list[tuple[str, str]]:
    """Return module and name of each kernel of this package."""
    modules = [import_module(f"{cost.__name__}.{found.name}") for found in iter_modules(cost.__path__)]
    kernels = [value for module in modules for value in vars(module).values() if isinstance(value, Kernel)]
    return sorted({(kernel.__module__, kernel.__name__) for kernel in kernels})


def all_intermediate() -> bytes:
    """Return the content of the file that comes with the package; each kernel is made by a process of its own."""
    names = all_kernels()
    with ThreadPoolExecutor(cpu_count()) as pool:
        texts = list(pool.map(lambda name: run_compiler(*name), names))
    return packed({".".join(name): text for name, text in zip(names, texts, strict=True)})


def main() -> None:
    """Write the IR of the kernel that is named to the standard output, or else of all to the package."""
    if not sys.argv[1:]:
        shipped_path().write_bytes(all_intermediate())
        return
    gc.disable()  # numba makes millions of objects: a seventh of the time
    llvm.ExecutionEngine.finalize_object = lambda _: None  # numba would link what nothing here runs
    module, name = sys.argv[1:]
    sys.stdout.write(intermediate(getattr(import_module(module), name)))


if __name__ == "__main__":
    main()
