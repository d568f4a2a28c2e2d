"""What can go wrong by the user's hand, as one small tree of exceptions.

Every message says where (file, key path), what was expected, what came, and the fix or the known names.
The command line prints the message of a `CodesignError` without a traceback; anything else is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable


class CodesignError(ValueError):
    """Root of all errors that the user can mend."""


class InputError(CodesignError):
    """A file, option or value given by the user cannot be used."""


class RunError(CodesignError):
    """A run directory cannot be created, read, continued or extended."""


class ProxyError(CodesignError):
    """An accuracy proxy cannot see something that the search space varies, or returned unusable columns."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Build the one error for every unknown name; it lists the known ones."""
    return InputError(f"unknown {kind} {name!r}; known: {', '.join(sorted(known))}")
