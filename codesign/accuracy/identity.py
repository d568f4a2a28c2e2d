"""What makes the answers of a proxy, as one hash: two proxies of one identity give a shape the same answer.

A name is not enough: a directory may hold another trained network tomorrow, a module another function. Codesign's own
equations are not in it; what keeps answers (`cache`) keeps those of its versions apart.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from codesign.accuracy.protocol import Proxy
from codesign.errors import ProxyError


@runtime_checkable
class Identified(Protocol):
    """What a proxy has besides that can say what makes its answers."""

    def identity(self) -> str | None:
        """Return a text that changes whenever the answers may; None where nobody knows."""


def identity_of(proxy: Proxy) -> str | None:
    """Return what makes a proxy's answers, as a SHA-256; None where nobody knows.

    Raises:
        ProxyError: its `identity` returns no text; or what it is made of cannot be read.
    """
    found = proxy.identity() if isinstance(proxy, Identified) else None
    if found is not None and not isinstance(found, str):
        raise ProxyError(f"proxy {proxy.name!r}: identity: expected a text or None, got {type(found).__name__}")
    return found


def digest(*parts: str | bytes) -> str:
    """Return the SHA-256 of some texts, told apart from the same letters cut at other places."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(b"%d:" % len(data))
        whole.update(data)
    return whole.hexdigest()


def function_identity(name: str, function: Any) -> str | None:
    """Return the hash of a user's function: of its name and of the source file of the module that it is found in.

    What the module imports, reads or was told when it ran is not seen.

    Args:
        name: `module:function`.
        function: what was given; only if its name leads to it, nothing else can have made it.

    Returns:
        None for what has no name of its own (a lambda, a function made by a call, an object) and where there is no
        source file, as in an interactive session.
    """
    module_name, _, attributes = name.partition(":")
    module = sys.modules.get(module_name)
    found: Any = module
    for attribute in attributes.split("."):
        found = getattr(found, attribute, None)
    source = getattr(module, "__file__", None)
    if found is None or found is not function or source is None:
        return None
    try:
        return digest(name, Path(source).read_bytes())
    except OSError:  # such as a module in an archive
        return None
