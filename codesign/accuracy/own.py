"""A user's own proxy: an object, a callable, or the `module:function` that names one."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from codesign.accuracy.checked import Checked, FunctionProxy
from codesign.accuracy.protocol import Proxy
from codesign.errors import ProxyError


def adopted(found: Any, name: str | None = None) -> Proxy:
    """Return a user's object or function as a checked proxy.

    Args:
        found: what the user gave, or what was found by name.
        name: `module:function`, where it was named.

    Raises:
        ProxyError: it is neither a proxy nor a function.
    """
    if isinstance(found, Proxy):
        return Checked(found)
    if not callable(found):
        expected = "a function of a ModelShape or a Proxy"
        raise ProxyError(f"proxy {name or found!r}: expected {expected}, got {type(found).__name__}")
    own_name = getattr(found, "__qualname__", type(found).__qualname__)
    return Checked(FunctionProxy(name or f"{found.__module__}:{own_name}", found))


def loaded(path: str) -> Any:
    """Import what `module:function` names, from the current directory too.

    Raises:
        ProxyError: no such module or function; says what there is.
    """
    module_name, _, attributes = path.partition(":")
    if not module_name or not attributes:
        raise ProxyError(f"proxy {path!r}: expected module:function, such as my_proxies:perplexity")
    if (here := os.getcwd()) not in sys.path:
        # As `python -m` does; it stays, because the function may import its neighbours when it is called.
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # a module may raise anything while it is imported
        reason = f"{type(error).__name__}: {error}"
        message = f"proxy {path!r}: module {module_name!r} cannot be imported ({reason}); looked in {here} too"
        raise ProxyError(message) from error
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            known = ", ".join(name for name, value in vars(found).items() if callable(value) and name[0] != "_")
            message = f"proxy {path!r}: {module_name} has no function {attributes!r}; it has: {known or 'none'}"
            raise ProxyError(message) from None
    return found
